#include "gyro/diff/outside.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "gyro/base/file.h"
#include "gyro/checkpoint/checkpoint.h"
#include "gyro/diff/outside_words.h"
#include "gyro/diff/test_util.h"
#include "gyro/diff/tokens.h"

namespace gyro {
namespace {

using Extra = std::map<std::string, std::pair<std::vector<int64_t>, std::vector<float>>>;

// A tiny model's matrices, with other tensors beside them, and everything under another prefix.
class OutsideTest : public testing::Test {
 protected:
  std::shared_ptr<const TensorSource> model(const std::string& name, const Extra& extra,
                                            const std::string& prefix = "model.", bool tied = false) const {
    TinyModel().write(dir / "matrices", [](int64_t layer, const std::string& of, int64_t d_in, int64_t d_out) {
      return gaussian_for(layer, of, d_in, d_out, 1);
    });
    const Checkpoint matrices(dir / "matrices");
    std::vector<TestTensor> tensors;
    for (const auto& [tensor, info] : matrices.tensors()) {
      const TensorLease lease = matrices.read(tensor);
      tensors.push_back({prefix + tensor.substr(6), info.dtype, info.shape, {lease.bytes.begin(), lease.bytes.end()}});
    }
    for (const auto& [tensor, values] : extra)
      tensors.push_back({tensor, DType::F32, values.first, bytes_of(values.second)});
    std::filesystem::create_directories(dir / name);
    std::string config = read_file(dir / "matrices" / "config.json", 10000);
    if (tied) config.insert(1, R"("tie_word_embeddings":true,)");
    write_text(dir / name / "config.json", config);
    write_tensors(dir / name / "model.safetensors", std::move(tensors));
    return std::make_shared<Checkpoint>(dir / name);
  }

  static OutsidePairs pairs(const TensorSource& base, const TensorSource& post) {
    const ModelMap base_map = map_model(base), post_map = map_model(post);
    return pair_outside(base, base_map, post, post_map, base_map.sites);
  }
  static Outside measured(const TensorSource& base, const TensorSource& post, int threads = 1) {
    return measure_outside(base, post, pairs(base, post), threads, nullptr).value();
  }
  static const OutsideGroup& group(const Outside& outside, OutsideKind kind) {
    for (const OutsideGroup& one : outside.groups) {
      if (one.kind == kind) return one;
    }
    throw std::out_of_range("no such group");
  }

  TempDir dir;
  Extra base_tensors = {{"model.embed_tokens.weight", {{3, 2}, {1, 2, 3, 4, 5, 6}}},
                        {"lm_head.weight", {{3, 2}, {1, 1, 1, 1, 1, 1}}},
                        {"model.norm.weight", {{2}, {1, 2}}},
                        {"model.layers.0.input_layernorm.weight", {{2}, {2, 2}}},
                        {"model.layers.0.self_attn.q_proj.bias", {{2}, {0, 0}}}};
};

TEST_F(OutsideTest, ChangesAreByKind) {
  Extra other = base_tensors;
  other["model.embed_tokens.weight"].second = {1, 2, 3, 4, 5, 9};
  other["model.norm.weight"].second = {1, 3};
  const auto base = model("base", base_tensors), post = model("post", other);
  const Outside outside = measured(*base, *post, 2);
  EXPECT_DOUBLE_EQ(group(outside, OutsideKind::Embeddings).relative_change, 3 / std::sqrt(91.0));
  EXPECT_DOUBLE_EQ(group(outside, OutsideKind::Norms).relative_change, 1 / std::sqrt(13.0));
  EXPECT_EQ(group(outside, OutsideKind::Norms).tensors, 2);
  EXPECT_EQ(group(outside, OutsideKind::Norms).changed, 1);
  EXPECT_EQ(group(outside, OutsideKind::Head).relative_change, 0);
  EXPECT_TRUE(std::isnan(group(outside, OutsideKind::Biases).relative_change));  // of nothing: 0/0
  EXPECT_EQ(outside.text, "Outside the matrices 2 of 5 tensors differ: the embeddings by 31 %, 1 of 2 norms by 28 %.");
  EXPECT_EQ(outside_warning(pairs(*base, *post)), "");
  EXPECT_EQ(differing(*base, *post, pairs(*base, *post), 1),
            (std::vector<std::string>{"model.embed_tokens.weight", "model.norm.weight"}));
}

TEST_F(OutsideTest, PlacesAreWithoutWhatStandsBeforeTheLayers) {
  Extra other;
  for (const auto& [name, values] : base_tensors)
    other[name.starts_with("model.") ? "language_model." + name : "language_model." + name] = values;
  const auto base = model("base", base_tensors), post = model("post", other, "language_model.model.");
  const Outside outside = measured(*base, *post);
  for (const OutsideGroup& one : outside.groups) {
    EXPECT_EQ(one.changed + one.missing + one.added + one.reshaped, 0);
  }
  EXPECT_EQ(outside.text, "Outside the matrices all 5 tensors have the base's values.");
  EXPECT_TRUE(differing(*base, *post, pairs(*base, *post), 1).empty());
}

TEST_F(OutsideTest, AHeadOfOneIsHeldAgainstTheEmbeddingsOfTheOther) {
  Extra tied = base_tensors, copied = base_tensors;
  tied.erase("lm_head.weight");
  copied["lm_head.weight"] = copied["model.embed_tokens.weight"];
  const auto base = model("base", tied, "model.", true), post = model("post", copied);
  const Outside same = measured(*base, *post);
  EXPECT_EQ(same.base_head, HeadKind::Tied);
  EXPECT_EQ(same.post_head, HeadKind::Own);
  EXPECT_EQ(group(same, OutsideKind::Head).changed, 0);
  EXPECT_TRUE(differing(*base, *post, pairs(*base, *post), 1).empty());
  const auto changed = model("changed", base_tensors);
  EXPECT_DOUBLE_EQ(group(measured(*base, *changed), OutsideKind::Head).relative_change, std::sqrt(55.0 / 91.0));
  const auto lacking = model("lacking", tied);
  EXPECT_EQ(measured(*post, *lacking).post_head, HeadKind::Missing);
  EXPECT_EQ(outside_warning(pairs(*post, *lacking)), "lacks 1 tensor: lm_head.weight, which the base has");
  EXPECT_EQ(outside_warning(pairs(*base, *lacking)),
            "has no lm_head.weight, and its config.json does not tie the head to the embeddings, as the base's does");
  EXPECT_TRUE(contains(outside_warning(pairs(*lacking, *base)), "ties the head to its embeddings; the base's config"));
  EXPECT_EQ(outside_warning(pairs(*lacking, *lacking)), "");
}

TEST_F(OutsideTest, VocabulariesCompareAsFarAsBothGo) {
  Extra grown = base_tensors;
  grown["model.embed_tokens.weight"] = {{4, 2}, {1, 2, 3, 4, 5, 6, 7, 8}};
  const auto base = model("base", base_tensors), post = model("post", grown);
  const Outside outside = measured(*base, *post);
  ASSERT_TRUE(outside.vocabulary);
  EXPECT_EQ(outside.vocabulary->base, 3);
  EXPECT_EQ(outside.vocabulary->post, 4);
  EXPECT_EQ(outside.vocabulary->compared, 3);
  EXPECT_EQ(group(outside, OutsideKind::Embeddings).changed, 0);
  EXPECT_EQ(differing(*base, *post, pairs(*base, *post), 1), (std::vector<std::string>{"model.embed_tokens.weight"}));
}

// GPT-2 has its positions before its tokens by name, and no fewer of them by kind.
TEST_F(OutsideTest, PositionsAreNoVocabulary) {
  Extra learned = base_tensors;
  learned.erase("lm_head.weight");
  learned.erase("model.embed_tokens.weight");
  learned["model.wte.weight"] = {{3, 2}, {1, 2, 3, 4, 5, 6}};
  learned["model.wpe.weight"] = {{3, 2}, {9, 9, 9, 9, 9, 9}};
  Extra copied = learned, longer = learned;
  copied["lm_head.weight"] = learned["model.wte.weight"];
  longer["model.wpe.weight"] = {{4, 2}, {9, 9, 9, 9, 9, 9, 9, 9}};
  const auto base = model("base", learned, "model.", true), post = model("post", copied);
  EXPECT_EQ(group(measured(*base, *post), OutsideKind::Head).changed, 0);
  EXPECT_TRUE(differing(*base, *post, pairs(*base, *post), 1).empty());
  const auto grown = model("grown", longer, "model.", true);
  const Outside outside = measured(*base, *grown);
  EXPECT_FALSE(outside.vocabulary);
  EXPECT_EQ(group(outside, OutsideKind::Embeddings).tensors, 1);
  EXPECT_EQ(group(outside, OutsideKind::Embeddings).reshaped, 1);
  EXPECT_EQ(outside.text,
            "Outside the matrices all 4 tensors have the base's values. 1 tensor is of another shape: wpe.weight "
            "([3, 2] → [4, 2]).");
  EXPECT_EQ(differing(*base, *grown, pairs(*base, *grown), 1), (std::vector<std::string>{"model.wpe.weight"}));
}

TEST_F(OutsideTest, TheHeadsAreSaidAsTheyAre) {
  Extra headless = base_tensors, bare = base_tensors;
  headless.erase("lm_head.weight");
  bare = headless;
  bare.erase("model.embed_tokens.weight");
  const auto own = model("own", base_tensors);
  const auto said = [&](const TensorSource& base) { return measured(base, *own).text; };
  EXPECT_TRUE(contains(said(*model("tied", headless, "model.", true)),
                       " The base has the embeddings for a head, the post has a head of its own."));
  EXPECT_TRUE(contains(said(*model("untied", headless)),
                       " The base has no head (its embeddings are compared in place of one), the post has a head of "
                       "its own."));
  EXPECT_TRUE(contains(said(*model("bare", bare)),
                       " The base has neither head nor embeddings, the post has a head of its own."));
}

TEST_F(OutsideTest, EqualIsEqualThoughNotFinite) {
  const float inf = std::numeric_limits<float>::infinity(), none = std::nanf("");
  Extra masked = base_tensors, other = base_tensors;
  masked["model.norm.weight"].second = {-inf, 2};
  masked["model.layers.0.input_layernorm.weight"].second = {none, 2};
  other = masked;
  other["model.layers.0.input_layernorm.weight"].second = {none, 3};
  const auto base = model("base", masked), post = model("post", other);
  EXPECT_EQ(measured(*base, *base).text,
            "Outside the matrices all 5 tensors have the base's values. In the base 1 value is no number: "
            "model.layers.0.input_layernorm.weight (1). In the post 1 value is no number: "
            "model.layers.0.input_layernorm.weight (1).");
  EXPECT_EQ(group(measured(*base, *base), OutsideKind::Norms).relative_change, 0);
  const OutsideGroup norms = group(measured(*base, *post), OutsideKind::Norms);
  EXPECT_EQ(norms.changed, 1);
  EXPECT_DOUBLE_EQ(norms.relative_change, 1 / std::sqrt(8.0));
  other["model.norm.weight"].second = {inf, 2};
  const OutsideGroup turned = group(measured(*base, *model("turned", other)), OutsideKind::Norms);
  EXPECT_EQ(turned.changed, 2);
  EXPECT_EQ(turned.defined, 1);  // of the two norms
  EXPECT_DOUBLE_EQ(turned.relative_change, 1 / 2.0);
}

// Only what has more than the one dimension of a bias, or is no float, is a mask.
TEST_F(OutsideTest, MasksThatAreCalledBiasesAreLeftOut) {
  Extra masked = base_tensors;
  masked["model.layers.0.attn.bias"] = {{1, 1, 2, 2}, {1, 0, 1, 1}};
  masked["model.layers.0.attn.masked_bias"] = {{}, {-1e9F}};
  masked["model.layers.0.attention.bias"] = {{1, 1, 2, 2}, {1, 0, 1, 1}};
  const auto base = model("base", base_tensors), post = model("post", masked);
  EXPECT_EQ(outside_warning(pairs(*base, *post)), "");
  EXPECT_EQ(group(measured(*base, *post), OutsideKind::Biases).added, 0);
  Extra more = base_tensors;
  more["model.layers.0.attn.bias"] = {{2}, {1, 1}};
  more["model.layers.0.mlp.experts.down_proj_bias"] = {{2, 2}, {1, 1, 1, 1}};
  EXPECT_EQ(group(measured(*base, *model("more", more)), OutsideKind::Biases).added, 2);
}

// As ChatGLM has them. A tower's are its own, where the model has some.
TEST_F(OutsideTest, EmbeddingsMayStandBesideWhatHasTheLayers) {
  Extra beside = base_tensors, grown;
  beside.erase("model.embed_tokens.weight");
  beside["embedding.word_embeddings.weight"] = {{3, 2}, {1, 2, 3, 4, 5, 6}};
  grown = beside;
  grown["embedding.word_embeddings.weight"] = {{4, 2}, {1, 2, 3, 4, 5, 9, 7, 8}};
  const auto base = model("base", beside), post = model("post", grown);
  const Outside outside = measured(*base, *post);
  EXPECT_DOUBLE_EQ(group(outside, OutsideKind::Embeddings).relative_change, 3 / std::sqrt(91.0));
  ASSERT_TRUE(outside.vocabulary);
  EXPECT_EQ(outside.vocabulary->post, 4);
  beside["model.embed_tokens.weight"] = base_tensors["model.embed_tokens.weight"];
  const auto both = model("both", beside), without = model("without", base_tensors);
  EXPECT_EQ(group(measured(*both, *both), OutsideKind::Embeddings).tensors, 1);
  EXPECT_EQ(outside_warning(pairs(*without, *both)), "");
}

TEST_F(OutsideTest, WhatOneLacksIsCountedAndNamed) {
  Extra other = base_tensors;
  other.erase("model.norm.weight");
  other["model.layers.1.self_attn.k_proj.bias"] = {{2}, {1, 1}};
  other["vision_tower.patch.weight"] = {{2}, {1, 1}};
  other["model.layers.0.input_layernorm.weight"] = {{3}, {2, 2, 2}};
  const auto base = model("base", base_tensors), post = model("post", other);
  const Outside outside = measured(*base, *post);
  EXPECT_EQ(group(outside, OutsideKind::Norms).missing, 1);
  EXPECT_EQ(group(outside, OutsideKind::Norms).reshaped, 1);
  EXPECT_EQ(group(outside, OutsideKind::Biases).added, 1);
  EXPECT_EQ(group(outside, OutsideKind::Other).added, 1);
  EXPECT_EQ(outside.missing, (std::vector<std::string>{"norm.weight"}));
  EXPECT_EQ(outside_warning(pairs(*base, *post)),
            "lacks 1 tensor: norm.weight, which the base has; has 1 tensor: layers.1.self_attn.k_proj.bias, which the "
            "base lacks");
}

TEST_F(OutsideTest, GroupsHaveACosineAndAShareThatIsUnchanged) {
  Extra other = base_tensors;
  other["model.norm.weight"].second = {2, 2};  // of (1, 2); the other norm is (2, 2)
  const auto base = model("base", base_tensors), post = model("post", other);
  const OutsideGroup norms = group(measured(*base, *post), OutsideKind::Norms);
  EXPECT_DOUBLE_EQ(norms.cosine.value(), (2 + 4 + 4 + 4) / std::sqrt(13.0 * 16));
  EXPECT_DOUBLE_EQ(norms.unchanged.value(), 0.75);
  EXPECT_EQ(group(measured(*base, *post), OutsideKind::Head).cosine, 1);
  const OutsideGroup biases = group(measured(*base, *post), OutsideKind::Biases);
  EXPECT_TRUE(std::isnan(biases.cosine.value()));
  EXPECT_EQ(biases.unchanged, 1);
}

TEST_F(OutsideTest, TensorsThatChangedAreToldTheMostChangedFirst) {
  Extra other = base_tensors;
  other["model.norm.weight"].second = {1, 2.5};
  other["model.layers.0.input_layernorm.weight"].second = {2, 1};
  other["model.layers.0.self_attn.q_proj.bias"].second = {0, 3};
  other["model.embed_tokens.weight"] = {{2, 3}, {1, 2, 3, 4, 5, 6}};  // does not compare
  const auto base = model("base", base_tensors), post = model("post", other);
  const Outside outside = measured(*base, *post);
  const auto& tensors = outside.tensors.value();
  ASSERT_EQ(tensors.size(), 3U);
  EXPECT_EQ(outside.tensors_left_out, 0);
  EXPECT_EQ(tensors[0].place, "layers.0.self_attn.q_proj.bias");  // from zero
  EXPECT_TRUE(std::isnan(tensors[0].relative_change));
  EXPECT_EQ(tensors[0].layer, 0);
  EXPECT_EQ(tensors[0].unchanged, 0.5);
  EXPECT_EQ(tensors[1].place, "layers.0.input_layernorm.weight");
  EXPECT_EQ(tensors[1].kind, OutsideKind::Norms);
  EXPECT_DOUBLE_EQ(tensors[1].relative_change, 1 / std::sqrt(8.0));
  EXPECT_DOUBLE_EQ(tensors[1].cosine, 6 / std::sqrt(8.0 * 5));
  EXPECT_EQ(tensors[2].place, "norm.weight");
  EXPECT_FALSE(tensors[2].layer);
  EXPECT_DOUBLE_EQ(tensors[2].relative_change, 0.5 / std::sqrt(5.0));
}

TEST_F(OutsideTest, NoMoreThanSomeTensorsAreTold) {
  Extra many = base_tensors, other;
  for (int i = 0; i < 520; ++i) many[fmt::format("model.layers.0.norm_{}.weight", i)] = {{2}, {1, 1}};
  other = many;
  for (int i = 0; i < 520; ++i) other[fmt::format("model.layers.0.norm_{}.weight", i)].second[0] = 2;
  const Outside outside = measured(*model("base", many), *model("post", other));
  EXPECT_EQ(outside.tensors.value().size(), 512U);
  EXPECT_EQ(outside.tensors_left_out, 8);
}

// Three rows of 200 changed, more of the embeddings than the head; the tokenizer knows two of their tokens.
TEST_F(OutsideTest, TokensThatChangedAreNamed) {
  std::vector<float> values(200 * 4, 1);
  Extra tokens = base_tensors, other;
  tokens["model.embed_tokens.weight"] = tokens["lm_head.weight"] = {{200, 4}, values};
  other = tokens;
  for (const int row : {5, 17, 180}) other["model.embed_tokens.weight"].second[static_cast<size_t>(row) * 4] = 3;
  other["lm_head.weight"].second[5 * 4] = 2;
  const auto base = model("base", tokens), post = model("post", other);
  write_text(dir / "base" / "tokenizer.json",
             R"({"model":{"type":"BPE","vocab":{"Ġbe":5,"Ċ":17}},"decoder":{"type":"ByteLevel"}})");
  Outside outside = measured(*base, *post, 2);
  ASSERT_EQ(outside.tokens.value().size(), 2U);
  complete_tokens(*base, {&(*outside.tokens)[0], &(*outside.tokens)[1]});
  const TokenRows &embeddings = (*outside.tokens)[0], &head = (*outside.tokens)[1];
  EXPECT_EQ(embeddings.kind, OutsideKind::Embeddings);
  EXPECT_FALSE(embeddings.tied);
  EXPECT_EQ(embeddings.rows, 200);
  EXPECT_EQ(embeddings.rows_unchanged, 197);
  ASSERT_EQ(embeddings.most.size(), 3U);
  EXPECT_EQ(embeddings.most[0].token, " be");
  EXPECT_EQ(embeddings.most[1].token, "\n");
  EXPECT_FALSE(embeddings.most[2].token);
  EXPECT_DOUBLE_EQ(embeddings.most[2].relative_change, 1);
  EXPECT_DOUBLE_EQ(embeddings.most[2].cosine, 6 / std::sqrt(4.0 * 12));
  EXPECT_TRUE(embeddings.text.starts_with("Of 200 rows of the embeddings 3 changed, all of them by more than the "))
      << embeddings.text;
  EXPECT_TRUE(
      embeddings.text.ends_with(R"( spread evenly: " be" (5) by 100 %, "\n" (17) by 100 %, token 180 by 100 %.)"))
      << embeddings.text;
  EXPECT_TRUE(head.text.starts_with("Of 200 rows of the head 1 changed, by more than the ")) << head.text;
  EXPECT_EQ(head.rows_beyond, 1);
}

TEST_F(OutsideTest, TiedEmbeddingsAreOneList) {
  Extra tied = base_tensors;
  tied.erase("lm_head.weight");
  const auto base = model("base", tied, "model.", true);
  const Outside outside = measured(*base, *base);
  ASSERT_EQ(outside.tokens.value().size(), 1U);
  EXPECT_TRUE(outside.tokens->front().tied);
  EXPECT_EQ(token_words(outside.tokens->front()), "Of 3 rows of the embeddings (and head) none changed.");
}

TEST_F(OutsideTest, StopsWhenItIsAsked) {
  const auto base = model("base", base_tensors);
  EXPECT_FALSE(measure_outside(*base, *base, pairs(*base, *base), 1, [] { return true; }));
}

}  // namespace
}  // namespace gyro
