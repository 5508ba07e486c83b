#pragma once

#include <concepts>
#include <type_traits>

#include "gyro/arch/arch.h"
#include "gyro/diff/result.h"

/// Each struct's fields by their names, in their order: the one list, by which result_json.cc writes and reads them. A
/// visitor is called with the name and the member (`optional`: left out where there is none). What follows from other
/// members is written (`derived`) and not read.
namespace gyro::result_fields {

template <typename T, typename Struct>
concept Of = std::same_as<std::remove_const_t<T>, Struct>;

template <typename Visit>
void fields(Visit& visit, Of<RescaledShare> auto& rescaled) {
  visit("fitted", rescaled.fitted);
  visit("off_diagonal", rescaled.off_diagonal);
  visit("symmetric_share", rescaled.symmetric_share);
  visit("symmetric_null", rescaled.symmetric_null);
  visit("symmetric_sd", rescaled.symmetric_sd);
  visit("symmetric_z", rescaled.symmetric_z);
}

template <typename Visit>
void fields(Visit& visit, Of<SideShares> auto& side) {
  visit("input", side.input);
  visit("input_null", side.input_null);
  visit("input_sd", side.input_sd);
  visit("turn", side.turn);
  visit("turn_sd", side.turn_sd);
  visit("stretch", side.stretch);
  visit("stretch_sd", side.stretch_sd);
}

template <typename Visit>
void fields(Visit& visit, Of<RowEnergy> auto& energy) {
  visit("total", energy.total);
  visit("scaling", energy.scaling);
  visit("co_rotation", energy.co_rotation);
  visit("counter_rotation", energy.counter_rotation);
  visit("leakage", energy.leakage);
  visit("counter_over_co", energy.counter_over_co);
  visit("z", energy.z);
  visit("symmetric_share", energy.symmetric_share);
  visit("symmetric_null", energy.symmetric_null);
  visit("symmetric_sd", energy.symmetric_sd);
  visit("symmetric_z", energy.symmetric_z);
  visit("rounding_ratio", energy.rounding_ratio);
  visit("rescaled", energy.rescaled);
  visit("side", energy.side);
}

template <typename Visit>
void fields(Visit& visit, Of<RowSample> auto& sample) {
  visit("draws", sample.draws);
  visit("seed", sample.seed);
  visit("alpha_mean", sample.alpha_mean);
  visit("alpha_std", sample.alpha_std);
  visit("alpha_std_sd", sample.alpha_std_sd);
  visit("nf_draws", sample.nf_draws);
  visit("nf", sample.nf);
  visit("nf_sd", sample.nf_sd);
  visit("nf_robust", sample.nf_robust);
  visit("nf_robust_sd", sample.nf_robust_sd);
}

template <typename Visit>
void fields(Visit& visit, Of<RowNull> auto& null) {
  visit("valid", null.valid);
  visit("alpha_mean", null.alpha_mean);
  visit("alpha_std", null.alpha_std);
  visit("alpha_method", null.alpha_method);
  visit("nf", null.nf);
  visit("nf_robust", null.nf_robust);
  visit("nf_robust_sd", null.nf_robust_sd);
  visit("sampled", null.sampled);
}

template <typename Visit>
void fields(Visit& visit, Of<Against> auto& figure) {
  visit("value", figure.value);
  visit("null", figure.null);
  visit("sd", figure.sd);
  visit.derived("z", figure.z());
}

template <typename Visit>
void fields(Visit& visit, Of<PrincipalShare> auto& share) {
  visit("k", share.k);
  visit("u", share.u);
  visit("v", share.v);
  visit("uv", share.uv);
}

template <typename Visit>
void fields(Visit& visit, Of<PrincipalShares> auto& shares) {
  visit("q01", shares.q01);
  visit("q10", shares.q10);
  visit("q50", shares.q50);
}

template <typename Visit>
void fields(Visit& visit, Of<SubspaceOverlap> auto& overlap) {
  visit("k", overlap.k);
  visit("u", overlap.u);
  visit("v", overlap.v);
  visit("angle_max_u", overlap.angle_max_u);
  visit("angle_max_v", overlap.angle_max_v);
}

template <typename Visit>
void fields(Visit& visit, Of<SubspaceOverlaps> auto& overlaps) {
  visit("q01", overlaps.q01);
  visit("q10", overlaps.q10);
  visit("q50", overlaps.q50);
}

template <typename Visit>
void fields(Visit& visit, Of<Intruders> auto& intruders) {
  visit("of", intruders.of);
  visit("u", intruders.u);
  visit("v", intruders.v);
  visit("u_null", intruders.u_null);
  visit("v_null", intruders.v_null);
}

template <typename Visit>
void fields(Visit& visit, Of<HeavyTail> auto& tail) {
  visit("alpha", tail.alpha);
  visit("distance", tail.distance);
  visit("lambda_min", tail.lambda_min);
  visit("count", tail.count);
}

template <typename Visit>
void fields(Visit& visit, Of<SpectrumShift> auto& spectrum) {
  visit("nss", spectrum.nss);
  visit("nss_c", spectrum.nss_c);
  visit("erank_base", spectrum.erank_base);
  visit("erank_post", spectrum.erank_post);
  visit("ww_alpha_base", spectrum.ww_alpha_base);
  visit("ww_alpha_post", spectrum.ww_alpha_post);
}

template <typename Visit>
void fields(Visit& visit, Of<UpdateSpectrum> auto& update) {
  visit("erank", update.erank);
  visit("rank_90", update.rank_90);
  visit("rank_99", update.rank_99);
  visit("top1", update.top1);
  visit("top16", update.top16);
  visit("spikes", update.spikes);
}

template <typename Visit>
void fields(Visit& visit, Of<MaskOverlap> auto& masks) {
  visit("low", masks.low);
  visit("principal", masks.principal);
}

template <typename Visit>
void fields(Visit& visit, Of<Quantities> auto& q) {
  visit("principal_share", q.principal_share);
  visit("subspace_overlap", q.subspace_overlap);
  visit("intruders", q.intruders);
  visit("spectrum", q.spectrum);
  visit.optional("update_spectrum", q.update_spectrum);
  visit.optional("masks", q.masks);
}

template <typename Visit>
void fields(Visit& visit, Of<ZeroRows> auto& zero) {
  visit("base", zero.base);
  visit("post", zero.post);
  visit("either", zero.either);
  visit("base_rows", zero.base_rows);
  visit("post_rows", zero.post_rows);
}

template <typename Visit>
void fields(Visit& visit, Of<SubspaceDrift> auto& drift) {
  visit("k", drift.k);
  visit("to_base_u", drift.to_base_u);
  visit("to_base_v", drift.to_base_v);
  visit("to_last_u", drift.to_last_u);
  visit("to_last_v", drift.to_last_v);
}

template <typename Visit>
void fields(Visit& visit, Of<MatrixRow> auto& row) {
  visit("layer", row.layer);
  visit("type", row.type);
  visit.optional("expert", row.expert);
  visit("tensor", row.tensor);
  visit("slice", row.slice);
  visit.optional("blocks", row.blocks);
  visit.optional("columns", row.columns);
  visit.derived("fused", type_is_fused(row.type));
  visit("d_in", row.d_in);
  visit("d_out", row.d_out);
  visit("n", row.n);
  visit("k", row.k);
  visit("rank", row.rank);
  visit("method", row.method);
  visit("flags", row.flags);
  visit("alpha_mean", row.alpha_mean);
  visit("alpha_std", row.alpha_std);
  visit("alpha_error", row.alpha_error);
  visit("nf", row.nf);
  visit("nf_error", row.nf_error);
  visit("nf_robust", row.nf_robust);
  visit("nf_robust_error", row.nf_robust_error);
  visit("nf_chance", row.nf_chance);
  visit("nf_robust_chance", row.nf_robust_chance);
  visit("scale", row.scale);
  visit("relative_change", row.relative_change);
  visit("cosine", row.cosine);
  visit("polar_inner", row.polar_inner);
  visit("q1_orthogonality", row.q1_orthogonality);
  visit("q2_orthogonality", row.q2_orthogonality);
  visit("energy", row.energy);
  visit("unchanged", row.unchanged);
  visit("sparse_expected", row.sparse_expected);
  visit("stable_rank", row.stable_rank);
  visit("update_rank", row.update_rank);
  visit("rounding_over_residual", row.rounding_over_residual);
  visit("scale_sd", row.scale_sd);
  visit("k_eff", row.k_eff);
  visit("first_order_variance", row.first_order_variance);
  visit("null", row.null);
  visit.optional("zero_rows", row.zero_rows);
  visit.optional("quantities", row.quantities);
  visit.optional("drift", row.drift);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeEnergy> auto& energy) {
  visit("total", energy.total);
  visit("scaling", energy.scaling);
  visit("co_rotation", energy.co_rotation);
  visit("counter_rotation", energy.counter_rotation);
  visit("leakage", energy.leakage);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeNull> auto& null) {
  visit("alpha_mean", null.alpha_mean);
  visit("alpha_std", null.alpha_std);
  visit("nf_mean", null.nf_mean);
  visit("nf_robust_mean", null.nf_robust_mean);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeVerdicts> auto& verdicts) {
  visit("uniform_scaling", verdicts.uniform_scaling);
  visit("co_rotation", verdicts.co_rotation);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeMargins> auto& margins) {
  visit("uniform_scaling", margins.uniform_scaling);
}

template <typename Visit>
void fields(Visit& visit, Of<FamilySpread> auto& spread) {
  visit("median", spread.median);
  visit("low", spread.low);
  visit("high", spread.high);
  visit("furthest", spread.furthest);
  visit("layer", spread.layer);
  visit("expert", spread.expert);
}

template <typename Visit>
void fields(Visit& visit, Of<ExpertFamily> auto& family) {
  visit("matrices", family.matrices);
  visit("alpha_mean", family.alpha_mean);
  visit("nf", family.nf);
  visit("relative_change", family.relative_change);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeRow> auto& row) {
  visit("type", row.type);
  visit("layers", row.layers);
  visit.derived("fused", type_is_fused(row.type));
  visit("alpha_mean", row.alpha_mean);
  visit("alpha_std", row.alpha_std);
  visit("alpha_prime", row.alpha_prime);
  visit("nf_mean", row.nf_mean);
  visit("nf_max", row.nf_max);
  visit("nf_chance", row.nf_chance);
  visit("nf_robust_mean", row.nf_robust_mean);
  visit("counter_over_co", row.counter_over_co);
  visit("counter_over_co_sd", row.counter_over_co_sd);
  visit("z", row.z);
  visit("symmetric_share", row.symmetric_share);
  visit("symmetric_null", row.symmetric_null);
  visit("symmetric_sd", row.symmetric_sd);
  visit("symmetric_z", row.symmetric_z);
  visit("rounding_ratio", row.rounding_ratio);
  visit("rescaled", row.rescaled);
  visit("side", row.side);
  visit("energy", row.energy);
  visit("scale_mean", row.scale_mean);
  visit("scale_sd", row.scale_sd);
  visit("relative_change_mean", row.relative_change_mean);
  visit("unchanged", row.unchanged);
  visit("sparse_expected", row.sparse_expected);
  visit("update_rank", row.update_rank);
  visit("k_eff", row.k_eff);
  visit("null", row.null);
  visit("alpha_mean_over_null", row.alpha_mean_over_null);
  visit("alpha_std_over_null", row.alpha_std_over_null);
  visit("nf_mean_over_null", row.nf_mean_over_null);
  visit("nf_robust_mean_over_null", row.nf_robust_mean_over_null);
  visit("verdicts", row.verdicts);
  visit("margins", row.margins);
  visit.optional("alpha_layers", row.alpha_layers);
  visit.optional("nf_layers", row.nf_layers);
  visit.optional("experts", row.experts);
  visit.optional("quantities", row.quantities);
  visit.optional("drift", row.drift);
  visit.optional("untouched", row.untouched);
}

template <typename Visit>
void fields(Visit& visit, Of<Finding> auto& finding) {
  visit("id", finding.id);
  visit("verdict", finding.verdict);
  visit("value", finding.value);
  visit("null", finding.null);
  visit("threshold", finding.threshold);
  visit("z", finding.z);
  visit("types", finding.types);
  visit("text", finding.text);
}

template <typename Visit>
void fields(Visit& visit, Of<ModelInfo> auto& model) {
  visit("id", model.id);
  visit("path", model.path);
  visit("revision", model.revision);
  visit("architecture", model.architecture);
  visit("model_type", model.model_type);
  visit("layers", model.layers);
  visit("parameters", model.parameters);
  visit("dtypes", model.dtypes);
  visit("sha256", model.sha256);
}

template <typename Visit>
void fields(Visit& visit, Of<OutsideGroup> auto& group) {
  visit("kind", group.kind);
  visit("tensors", group.tensors);
  visit("changed", group.changed);
  visit("missing", group.missing);
  visit("added", group.added);
  visit("reshaped", group.reshaped);
  visit.optional("defined", group.defined);
  visit("relative_change", group.relative_change);
  visit.optional("cosine", group.cosine);
  visit.optional("unchanged", group.unchanged);
}

template <typename Visit>
void fields(Visit& visit, Of<OutsideTensor> auto& tensor) {
  visit("place", tensor.place);
  visit("kind", tensor.kind);
  visit("layer", tensor.layer);
  visit("relative_change", tensor.relative_change);
  visit("cosine", tensor.cosine);
  visit("unchanged", tensor.unchanged);
}

template <typename Visit>
void fields(Visit& visit, Of<TokenRow> auto& row) {
  visit("id", row.id);
  visit("token", row.token);
  visit("relative_change", row.relative_change);
  visit("even", row.even);
  visit("change", row.change);
  visit("cosine", row.cosine);
}

template <typename Visit>
void fields(Visit& visit, Of<TokenRows> auto& tokens) {
  visit("kind", tokens.kind);
  visit("tied", tokens.tied);
  visit("rows", tokens.rows);
  visit("rows_unchanged", tokens.rows_unchanged);
  visit("even", tokens.even);
  visit("largest", tokens.largest);
  visit("rows_beyond", tokens.rows_beyond);
  visit("most", tokens.most);
  visit("text", tokens.text);
}

template <typename Visit>
void fields(Visit& visit, Of<VocabularyRows> auto& vocabulary) {
  visit("base", vocabulary.base);
  visit("post", vocabulary.post);
  visit("compared", vocabulary.compared);
}

template <typename Visit>
void fields(Visit& visit, Of<Outside> auto& outside) {
  visit("groups", outside.groups);
  visit("vocabulary", outside.vocabulary);
  visit("base_head", outside.base_head);
  visit("post_head", outside.post_head);
  visit("missing", outside.missing);
  visit("added", outside.added);
  visit("text", outside.text);
  visit.optional("tensors", outside.tensors);
  visit.optional("tensors_left_out", outside.tensors_left_out);
  visit.optional("tokens", outside.tokens);
}

template <typename Visit>
void fields(Visit& visit, Of<Comparison> auto& comparison) {
  visit("post", comparison.post);
  visit("role", comparison.role);
  visit("noise_of", comparison.noise_of);
  visit("matrices", comparison.matrices);
  visit("types", comparison.types);
  visit("findings", comparison.findings);
  visit.optional("outside", comparison.outside);
}

template <typename Visit>
void fields(Visit& visit, Of<DiffOptions> auto& options) {
  visit.selection("layers", options.layers);
  visit.selection("types", options.types);
  visit.selection("experts", options.experts);
  visit.optional("measures", options.measures);
  visit("null_draws", options.null_draws);
  visit("null_nf_draws", options.null_nf_draws);
  visit("seed", options.seed);
}

template <typename Visit>
void fields(Visit& visit, Of<Program> auto& program) {
  visit("version", program.version);
  visit("build", program.build);
  visit("device", program.device);
}

template <typename Visit>
void fields(Visit& visit, Of<RunInfo> auto& run) {
  visit("command", run.command);
  visit("date", run.date);
  visit("seconds", run.seconds);
  visit("commit", run.commit);
}

template <typename Visit>
void fields(Visit& visit, Of<TrajectoryLine> auto& line) {
  visit("type", line.type);
  visit("figure", line.figure);
  visit("at_base", line.at_base);
  visit("values", line.values);
  visit("half_way", line.half_way);
}

template <typename Visit>
void fields(Visit& visit, Of<Trajectory> auto& trajectory) {
  visit("steps", trajectory.steps);
  visit("lines", trajectory.lines);
}

template <typename Visit>
void fields(Visit& visit, Of<ChangeOverlap> auto& overlap) {
  visit("values", overlap.values);
  visit("changed_a", overlap.changed_a);
  visit("changed_b", overlap.changed_b);
  visit("changed_both", overlap.changed_both);
  visit("same_sign", overlap.same_sign);
  visit("norm_a", overlap.norm_a);
  visit("norm_b", overlap.norm_b);
  visit("product", overlap.product);
  visit("product_sd", overlap.product_sd);
  visit("both_expected", overlap.both_expected);
  visit.derived("cosine", overlap.cosine());
  visit.derived("sign_agreement", overlap.sign_agreement());
  visit.derived("jaccard", overlap.jaccard());
  visit.derived("jaccard_chance", overlap.jaccard_chance());
}

template <typename Visit>
void fields(Visit& visit, Of<MatrixOverlap> auto& matrix) {
  visit("layer", matrix.layer);
  visit("type", matrix.type);
  visit.optional("expert", matrix.expert);
  visit("overlap", matrix.overlap);
}

template <typename Visit>
void fields(Visit& visit, Of<TypeOverlap> auto& type) {
  visit("type", type.type);
  visit("matrices", type.matrices);
  visit("overlap", type.overlap);
}

template <typename Visit>
void fields(Visit& visit, Of<PostPair> auto& pair) {
  visit("a", pair.a);
  visit("b", pair.b);
  visit("matrices", pair.matrices);
  visit("types", pair.types);
  visit("pooled", pair.pooled);
  visit("overlap", pair.overlap);
}

template <typename Visit>
void fields(Visit& visit, Of<Interference> auto& interference) {
  visit("k", interference.k);
  visit("singular_task", interference.singular_task);
  visit("singular_task_null", interference.singular_task_null);
  visit("rank", interference.rank);
  visit("alignment", interference.alignment);
  visit("alignment_null", interference.alignment_null);
}

template <typename Visit>
void fields(Visit& visit, Of<MatrixInterference> auto& matrix) {
  visit("layer", matrix.layer);
  visit("type", matrix.type);
  visit.optional("expert", matrix.expert);
  visit("interference", matrix.interference);
}

template <typename Visit>
void fields(Visit& visit, Of<PostsTogether> auto& posts) {
  visit("pairs", posts.pairs);
  visit.optional("interference", posts.interference);
}

template <typename Visit>
void fields(Visit& visit, Of<DiffResult> auto& result) {
  visit.schema("gyro.diff/2", "gyro.diff/1");  // which has fewer members
  visit("gyro", result.gyro);
  visit("options", result.options);
  visit("base", result.base);
  visit("comparisons", result.comparisons);
  visit.optional("posts", result.posts);
  visit("fingerprint", result.fingerprint);
  visit.optional("trajectory", result.trajectory);
  visit.optional("run", result.run);
}

}  // namespace gyro::result_fields
