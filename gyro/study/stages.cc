#include "gyro/study/stages.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

void add(Words& words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
}

void add_machine(Words& words, const StudyRequest& request) {
  add(words, {"--device", request.device});
  if (request.threads > 0) add(words, {"--threads", std::to_string(request.threads)});
  if (request.force) words.emplace_back("--force");
  add(words, {"--seed", std::to_string(request.seed)});
}

void add_engine(Words& words, const StudyRequest& request) {
  if (!request.dtype.empty()) add(words, {"--dtype", request.dtype});
  add_machine(words, request);
}

// The questions that probes put: what was named, else those of the tasks, else the built-in ones. Attention is looked
// at in a question of each domain, as the paper does.
void add_questions(Words& words, const StudyRequest& request, bool one_of_each) {
  Words files = {request.questions};
  if (request.questions.empty()) files = request.tasks;
  if (files.empty()) files = {(request.out / kQuestionsFile).string()};
  if (!one_of_each) files.resize(1);
  const int64_t count = one_of_each ? (files.size() > 1 ? 1 : 4) : request.count;
  add(words, {"--questions", fmt::format("{}", fmt::join(files, ",")), "--count", std::to_string(count)});
  if (!request.data.empty()) add(words, {"--data", request.data});
}

Stage diff_stage(const StudyRequest& request) {
  Stage stage{StageKind::Diff, "", {"diff", request.base}, request.out / "result.json"};
  for (const StudyPost& post : request.posts) stage.words.push_back(post.name + "=" + post.path);
  if (!request.controls.empty()) {
    stage.words.emplace_back("--control");
    add(stage.words, request.controls);
  }
  add(stage.words, {"--out", request.out.string()});
  if (!request.memory.empty()) add(stage.words, {"--memory", request.memory});
  add_machine(stage.words, request);
  return stage;
}

// A command about one post and its constructions.
Stage of_post(const StudyRequest& request, const StudyPost& post, StageKind kind, Words command, const char* file) {
  const fs::path folder = post_folder(request, post);
  add(command, {"--out", folder.string()});
  return {kind, post.name, std::move(command), folder / file};
}

void add_sibling(Words& words, const StudyPost& post) {
  if (!post.sibling.empty()) add(words, {"--sibling", post.sibling});
}

Stage attention_stage(const StudyRequest& request, const StudyPost& post) {
  Stage stage = of_post(request, post, StageKind::Attention,
                        {"probe", "attention", post.path, "--base", request.base, "--variants",
                         fmt::format("{}", fmt::join(attention_variants(), ","))},
                        "attention.json");
  add_questions(stage.words, request, true);
  add_engine(stage.words, request);
  return stage;
}

Stage evaluation_stage(const StudyRequest& request, const StudyPost& post) {
  Stage stage = of_post(request, post, StageKind::Evaluation,
                        {"eval", "--base", request.base, "--post", post.path, "--variants",
                         fmt::format("{}", fmt::join(evaluated_variants(!post.sibling.empty()), ","))},
                        "eval.json");
  add_sibling(stage.words, post);
  add(stage.words, {"--task", fmt::format("{}", fmt::join(request.tasks, ",")), "--repeats",
                    std::to_string(request.repeats), "--max-tokens", std::to_string(request.max_tokens)});
  if (!request.data.empty()) add(stage.words, {"--data", request.data});
  if (request.limit > 0) add(stage.words, {"--limit", std::to_string(request.limit)});
  add_engine(stage.words, request);
  return stage;
}

Stage cka_stage(const StudyRequest& request, const StudyPost& post) {
  Stage stage = of_post(request, post, StageKind::Cka,
                        {"probe", "cka", post.path, "--base", request.base, "--variants",
                         fmt::format("{}", fmt::join(cka_variants(!post.sibling.empty()), ","))},
                        "cka.json");
  add_sibling(stage.words, post);
  add_questions(stage.words, request, false);
  add_engine(stage.words, request);
  return stage;
}

Stage drift_stage(const StudyRequest& request, const StudyPost& post) {
  Stage stage = of_post(request, post, StageKind::Drift,
                        {"probe", "drift", request.base, post.path, "--result", request.out.string()}, "drift.json");
  add_questions(stage.words, request, false);
  add_engine(stage.words, request);
  return stage;
}

Stage rotation_stage(const StudyRequest& request) {
  Stage stage{StageKind::Rotation, "", {"probe", "rotation", request.base}, request.out / "rotation.json"};
  for (const StudyPost& post : request.posts) stage.words.push_back(post.path);
  add(stage.words, {"--out", request.out.string()});
  if (!request.memory.empty()) add(stage.words, {"--memory", request.memory});
  add_machine(stage.words, request);
  return stage;
}

}  // namespace

std::string stage_title(const Stage& stage) {
  constexpr const char* kTitles[] = {"weights",         "attention", "answers",
                                     "representations", "drift",     "rotations that posts share"};
  const std::string title = kTitles[static_cast<size_t>(stage.kind)];
  return stage.post.empty() ? title : fmt::format("{} of {}", title, stage.post);
}

fs::path post_folder(const StudyRequest& request, const StudyPost& post) {
  return request.out / post.name;
}

std::vector<std::string> evaluated_variants(bool has_sibling) {
  std::vector<std::string> names = {"paper", "controls", "replace-noise"};
  if (has_sibling) names.insert(names.end(), {"restore-attention-out-sibling", "restore-mlp-out-sibling"});
  return names;
}

std::vector<std::string> attention_variants() {
  return {"replace", "replace-noise", "replace-fake"};
}

std::vector<std::string> cka_variants(bool has_sibling) {
  std::vector<std::string> names;
  for (const char* ending : {"", "-fake"}) {
    for (const char* operation : {"ablate", "restore"}) {
      for (const char* group : {"attention", "mlp"}) {
        for (const char* side : {"out", "in"})
          names.push_back(fmt::format("{}-{}-{}{}", operation, group, side, ending));
      }
    }
  }
  if (has_sibling) names.insert(names.end(), {"restore-attention-out-sibling", "restore-mlp-out-sibling"});
  return names;
}

std::vector<Stage> study_stages(const StudyRequest& request) {
  std::vector<Stage> stages = {diff_stage(request)};
  for (const StudyPost& post : request.posts) {
    stages.push_back(attention_stage(request, post));
    if (!request.tasks.empty()) stages.push_back(evaluation_stage(request, post));
    stages.push_back(cka_stage(request, post));
    stages.push_back(drift_stage(request, post));
  }
  if (request.posts.size() > 1) stages.push_back(rotation_stage(request));
  return stages;
}

}  // namespace gyro
