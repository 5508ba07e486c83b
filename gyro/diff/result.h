#pragma once

#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gyro/arch/arch.h"
#include "gyro/diff/posts.h"
#include "gyro/spectra/pair.h"
#include "gyro/spectra/quantities.h"

namespace gyro {

// What a comparison gives. The members are named as the fields of result.json are, and docs/result.schema.json says
// what each of them means. A number that is not defined is NaN here and null there; none is infinite.
// (Members have `= {}` so that designated initializers may leave them out.)

inline constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// What is left once row and column factors were fitted out of E.
struct RescaledShare {
  double fitted = kUndefined, off_diagonal = kUndefined;
  double symmetric_share = kUndefined, symmetric_null = kUndefined, symmetric_sd = kUndefined, symmetric_z = kUndefined;
};

/// Whether row and column factors take all of E, so that there is nothing left to test.
bool nothing_is_left(const RescaledShare& rescaled);

/// Which sides turn, or are stretched.
struct SideShares {
  double input = kUndefined, input_null = kUndefined, input_sd = kUndefined;
  double turn = kUndefined, turn_sd = kUndefined;
  double stretch = kUndefined, stretch_sd = kUndefined;
};

/// ‖E‖² and the shares of it; how symmetric what is off the diagonal is, and what chance makes of that.
struct RowEnergy {
  double total = kUndefined;
  double scaling = kUndefined, co_rotation = kUndefined, counter_rotation = kUndefined, leakage = kUndefined;
  double counter_over_co = kUndefined, z = kUndefined;
  double symmetric_share = kUndefined, symmetric_null = kUndefined, symmetric_sd = kUndefined, symmetric_z = kUndefined;
  double rounding_ratio = kUndefined;
  RescaledShare rescaled = {};
  SideShares side = {};
};

/// Draws of the null model, and standard deviations between them.
struct RowSample {
  int64_t draws = 0;
  uint64_t seed = 0;
  double alpha_mean = kUndefined, alpha_std = kUndefined, alpha_std_sd = kUndefined;
  int64_t nf_draws = 0;
  double nf = kUndefined, nf_sd = kUndefined, nf_robust = kUndefined, nf_robust_sd = kUndefined;
};

enum class AlphaMethod { ClosedForm, Sampled };

/// What a structureless change of the same size gives.
struct RowNull {
  bool valid = false;  ///< nf may be compared with it
  double alpha_mean = kUndefined, alpha_std = kUndefined;
  std::optional<AlphaMethod> alpha_method = {};
  double nf = kUndefined, nf_robust = kUndefined, nf_robust_sd = kUndefined;
  std::optional<RowSample> sampled = {};
};

/// Rows of W (outputs) that are exactly zero: how many in the base, in the post and in either of them, and the numbers
/// of the first of each model.
struct ZeroRows {
  int64_t base = 0, post = 0, either = 0;
  std::vector<int64_t> base_rows = {}, post_rows = {};
};

/// Of a checkpoint in a series: how much its leading k-dimensional subspaces (k = max(1, n/10)) share with the base's
/// and with the last checkpoint's, ‖·‖_F² / k of the k x k products of their vectors. The long side of a matrix that is
/// not square is NaN beside the last: its vectors lie in no common space that was computed. Of a type: means.
struct SubspaceDrift {
  int64_t k = 0;
  double to_base_u = kUndefined, to_base_v = kUndefined;
  double to_last_u = kUndefined, to_last_v = kUndefined;
};

/// One matrix of one comparison.
struct MatrixRow {
  int64_t layer = 0;
  MatrixType type = MatrixType::Q;
  std::optional<int64_t> expert = {};  ///< in a mixture of experts
  std::string tensor = {};
  std::optional<std::pair<int64_t, int64_t>> slice = {};  ///< rows of the tensor (MatrixSite), where it is a part of it
  std::optional<std::pair<int64_t, int64_t>> blocks = {};   ///< block and block_step (MatrixSite) of rows in blocks
  std::optional<std::pair<int64_t, int64_t>> columns = {};  ///< col_begin and col_step of what is stored transposed
  int64_t d_in = 0, d_out = 0, n = 0, k = 0, rank = 0;
  Method method = Method::Gram;
  std::vector<std::string> flags = {};
  double alpha_mean = kUndefined, alpha_std = kUndefined, alpha_error = kUndefined;
  double nf = kUndefined, nf_error = kUndefined, nf_robust = kUndefined, nf_robust_error = kUndefined;
  double nf_chance = kUndefined, nf_robust_chance = kUndefined;
  double scale = kUndefined, relative_change = kUndefined, cosine = kUndefined, polar_inner = kUndefined;
  double q1_orthogonality = kUndefined, q2_orthogonality = kUndefined;
  RowEnergy energy = {};
  double unchanged = kUndefined, sparse_expected = kUndefined;
  double stable_rank = kUndefined, update_rank = kUndefined, rounding_over_residual = kUndefined;
  double scale_sd = kUndefined, k_eff = kUndefined, first_order_variance = kUndefined;
  RowNull null = {};
  std::optional<ZeroRows> zero_rows = {};     ///< of a matrix that lacks directions, if it has such rows
  std::optional<Quantities> quantities = {};  ///< none in older results
  std::optional<SubspaceDrift> drift = {};    ///< in a series
};

/// ‖E‖² over the layers of a type, and the shares of it.
struct TypeEnergy {
  double total = kUndefined;
  double scaling = kUndefined, co_rotation = kUndefined, counter_rotation = kUndefined, leakage = kUndefined;
};

struct TypeNull {
  double alpha_mean = kUndefined, alpha_std = kUndefined, nf_mean = kUndefined, nf_robust_mean = kUndefined;
};

enum class Verdict { Yes, No, Undefined, Unclear, AsChance, SomeTypes, Slight, Counter, Rounding, NotAsked };

/// What can be said of one type alone.
struct TypeVerdicts {
  Verdict uniform_scaling = Verdict::Undefined, co_rotation = Verdict::Undefined;
};
/// Bounds that depend on the type.
struct TypeMargins {
  double uniform_scaling = kUndefined;
};

/// How one figure spreads over the members of a family: their median and deciles (linear between neighbours), and the
/// member furthest from the median.
struct FamilySpread {
  double median = kUndefined, low = kUndefined, high = kUndefined;
  double furthest = kUndefined;
  std::optional<int64_t> layer = {}, expert = {};  ///< of the furthest; none where no member has the figure
};

/// The experts of one type: how many matrices they are over all layers, and how their figures spread.
struct ExpertFamily {
  int64_t matrices = 0;
  FamilySpread alpha_mean = {}, nf = {}, relative_change = {};
};

/// All layers of one type. What some matrices lack (NF, and α, of one that lacks directions) is pooled over the others.
struct TypeRow {
  MatrixType type = MatrixType::Q;
  int64_t layers = 0;
  double alpha_mean = kUndefined, alpha_std = kUndefined, alpha_prime = kUndefined;
  double nf_mean = kUndefined, nf_max = kUndefined, nf_chance = kUndefined, nf_robust_mean = kUndefined;
  double counter_over_co = kUndefined, counter_over_co_sd = kUndefined, z = kUndefined;
  double symmetric_share = kUndefined, symmetric_null = kUndefined, symmetric_sd = kUndefined, symmetric_z = kUndefined;
  double rounding_ratio = kUndefined;
  RescaledShare rescaled = {};
  SideShares side = {};
  TypeEnergy energy = {};
  double scale_mean = kUndefined, scale_sd = kUndefined, relative_change_mean = kUndefined;
  double unchanged = kUndefined, sparse_expected = kUndefined, update_rank = kUndefined, k_eff = kUndefined;
  TypeNull null = {};
  double alpha_mean_over_null = kUndefined, alpha_std_over_null = kUndefined;
  double nf_mean_over_null = kUndefined, nf_robust_mean_over_null = kUndefined;
  TypeVerdicts verdicts = {};
  TypeMargins margins = {};
  std::optional<int64_t> alpha_layers = {}, nf_layers = {};  ///< matrices that have the figure; none in older results
  std::optional<ExpertFamily> experts = {};                  ///< where the type has experts
  /// Of all matrices that have them: shares of the sum of their ‖E‖², counts their sums, all else their mean. None in
  /// older results, nor where no matrix of the type has changed.
  std::optional<Quantities> quantities = {};
  std::optional<SubspaceDrift> drift = {};  ///< in a series
  std::optional<int64_t> untouched = {};    ///< matrices that are the base's bit for bit; none in older results
};

enum class FindingId {
  Unrelated,
  UniformScaling,
  CommonScalar,
  WoAnomaly,
  CoRotation,
  LowRankUpdate,
  SparseUpdate,
  PrincipalUpdate,
  Intruders,
  UntouchedTypes,
  RoundingOnly,
  Order,
};

/// A statement about a comparison, with its evidence: the value, what chance gives, and the bound of the verdict.
struct Finding {
  FindingId id = FindingId::Unrelated;
  Verdict verdict = Verdict::Undefined;
  double value = kUndefined, null = kUndefined, threshold = kUndefined, z = kUndefined;
  std::vector<MatrixType> types = {};  ///< of which it is said
  std::string text = {};
};

/// A model as it was found. A noise control is described as the base, without what is of its files; its id names the
/// post: "noise (instruct)".
struct ModelInfo {
  std::string id = {};
  std::optional<std::string> path = {}, revision = {};
  std::string architecture = {}, model_type = {};
  int64_t layers = 0, parameters = 0;
  std::vector<std::string> dtypes = {};
  std::optional<std::string> sha256 = {};  ///< TensorSource::identity
};

enum class Role { Post, Control };

enum class OutsideKind { Embeddings, Head, Norms, Biases, Other };
/// Tensors outside the matrices, of one kind.
struct OutsideGroup {
  OutsideKind kind = OutsideKind::Other;
  int64_t tensors = 0;             ///< whose values were compared
  int64_t changed = 0;             ///< of these, not equal
  int64_t missing = 0, added = 0;  ///< that the base alone has, that the post alone has
  int64_t reshaped = 0;            ///< that both have, in shapes that do not compare
  /// Of those compared, the ones whose values are all numbers: relative change and cosine are theirs. None in older
  /// results, where one that is not made both undefined.
  std::optional<int64_t> defined = {};
  double relative_change = kUndefined;   ///< ‖post − base‖ / ‖base‖
  std::optional<double> cosine = {};     ///< ⟨base, post⟩ / (‖base‖‖post‖); none in older results
  std::optional<double> unchanged = {};  ///< share of all values compared that are equal; none in older results
};
/// A tensor outside the matrices whose values changed.
struct OutsideTensor {
  std::string place = {};
  OutsideKind kind = OutsideKind::Other;
  std::optional<int64_t> layer = {};  ///< none outside the layers
  double relative_change = kUndefined, cosine = kUndefined, unchanged = kUndefined;
};
/// A token's row of the embeddings or of the head.
struct TokenRow {
  int64_t id = 0;
  std::optional<std::string> token = {};  ///< its text, where the base's tokenizer.json tells it
  double relative_change = kUndefined;    ///< ‖Δrow‖ / ‖row of the base‖; undefined of a row that was zero
  double even = kUndefined;               ///< what that is on average if ‖Δ‖ is spread evenly
  double change = kUndefined;             ///< ‖Δrow‖
  double cosine = kUndefined;
};
/// Which tokens' rows changed most: of the embeddings, or of the head where it is stored beside them (token_rows).
struct TokenRows {
  OutsideKind kind = OutsideKind::Embeddings;
  bool tied = false;                               ///< the embeddings are the head too, of both models
  int64_t rows = 0, rows_unchanged = 0;            ///< that both models have, and of these equal
  double even = kUndefined, largest = kUndefined;  ///< of an even spread: a row's mean, and the largest of all rows
  int64_t rows_beyond = 0;                         ///< that changed by more than `largest`
  std::vector<TokenRow> most = {};                 ///< the most changed first, of those whose change is defined
  int64_t rows_undefined = 0;                      ///< whose change is not, for values that are no numbers; in no file
  std::string text = {};                           ///< the same in words
};
/// Rows of the embeddings, and how many of them both have.
struct VocabularyRows {
  int64_t base = 0, post = 0, compared = 0;
};
/// Whether a model has a head of its own, takes the embeddings for it as config.json says, or has neither head nor such
/// a word; None where it has no embeddings either, or neither model has a head.
enum class HeadKind { None, Own, Tied, Missing };
/// A tensor outside the matrices with values that are no numbers.
struct OddTensor {
  std::string tensor = {};  ///< by its model's name
  bool in_base = false;
  int64_t count = 0;
};
/// What lies outside the matrices of the post, against the base: by place in the model, whatever stands before the
/// names, and by value, whatever the dtype. A head that one of the two has is compared with the other's embeddings.
struct Outside {
  std::vector<OutsideGroup> groups = {};
  std::optional<VocabularyRows> vocabulary = {};  ///< where the two differ
  HeadKind base_head = HeadKind::None, post_head = HeadKind::None;
  std::vector<std::string> missing = {}, added = {};  ///< the first places of such tensors
  std::string text = {};                              ///< the same in words
  /// Those that changed, the most changed first, and how many more there are; none in older results.
  std::optional<std::vector<OutsideTensor>> tensors = {};
  std::optional<int64_t> tensors_left_out = {};
  std::optional<std::vector<TokenRows>> tokens = {};  ///< none in older results
  std::vector<std::string> reshaped = {};  ///< "norm.weight ([64] → [32])", the first; in no file but as words
  std::vector<OddTensor> odd = {};         ///< likewise; what is the same in both is said of both
};

struct Comparison {
  ModelInfo post = {};
  Role role = Role::Post;
  std::optional<std::string> noise_of = {};  ///< of a noise control: the id of the post whose change it imitates
  std::vector<MatrixRow> matrices = {};
  std::vector<TypeRow> types = {};
  std::vector<Finding> findings = {};
  std::optional<Outside> outside = {};  ///< nothing of noise, and in older results
};

/// What is measured where it is asked for, since it costs more than a twentieth of a run.
enum class Measure { UpdateSpectrum, Masks, Interference };

/// What was asked for; empty layers, types or experts: all.
struct DiffOptions {
  std::vector<int64_t> layers = {};
  std::vector<MatrixType> types = {};
  std::vector<int64_t> experts = {};
  int64_t null_draws = 0, null_nf_draws = 0;
  uint64_t seed = 0;
  std::optional<std::vector<Measure>> measures = {};  ///< beyond what is always measured; none in older results
};

/// What computed it: the version, the library that did the work, "cpu" or "cuda".
struct Program {
  std::string version = {}, build = {}, device = {};
};

/// How a result came about.
struct RunInfo {
  std::string command = {};  ///< as typed
  std::string date = {};     ///< of its beginning: "2026-11-27T07:20:55Z"
  double seconds = kUndefined;
  std::string commit = {};  ///< of Gyro; empty where it was not built from a repository
};

/// An array of arrays.safetensors: its bytes are little-endian, row-major, as many as dtype and shape say.
struct ResultArray {
  DType dtype = DType::F64;
  std::vector<int64_t> shape = {};
  std::vector<std::byte> bytes = {};
};
using ResultArrays = std::map<std::string, ResultArray>;

/// How one figure of one type goes with the checkpoints of a series.
struct TrajectoryLine {
  MatrixType type = MatrixType::Q;
  std::string figure = {};
  double at_base = kUndefined;           ///< what the figure is where nothing has changed
  std::vector<double> values = {};       ///< at each step
  std::optional<int64_t> half_way = {};  ///< first step (from 0) at which it has gone half of its way to the last; none
                                         ///< where it is not defined, or its way is within rounding
};
/// The posts as checkpoints of one run, in order (`--trajectory`).
struct Trajectory {
  std::vector<std::string> steps = {};  ///< names
  std::vector<TrajectoryLine> lines = {};
};

/// A comparison of one base with its posts and controls.
struct DiffResult {
  Program gyro = {};
  DiffOptions options = {};
  ModelInfo base = {};
  std::vector<Comparison> comparisons = {};  ///< posts, then controls; all of the same matrices in the same order
  std::optional<PostsTogether> posts = {};   ///< of several posts; none in older results
  std::string fingerprint = {};
  std::optional<Trajectory> trajectory = {};  ///< where it was asked for
  std::optional<RunInfo> run = {};            ///< nothing where no command was given
  ResultArrays arrays = {};                   ///< by name; empty unless asked for
};

/// What one matrix gave: a row for each comparison, what its posts have in common, and its arrays.
struct UnitResult {
  std::vector<MatrixRow> rows = {};
  std::vector<ChangeOverlap> overlaps = {};  ///< of each pair of posts: (0, 1), (0, 2), ..., (1, 2), ...
  std::optional<Interference> interference = {};
  ResultArrays arrays = {};
};

/// Values as an array of F64 in one dimension.
ResultArray result_array(const std::vector<double>& values);
/// What arrays.safetensors keeps of a pair, by the last part of its names: sigma, turn_u, ..., and of a rotation corner
/// sim_u, .... What is not defined is not there.
ResultArrays pair_arrays(const PairMeasure& measure);

/// One matrix's row.
MatrixRow matrix_row(const MatrixSite& site, const PairMeasure& measure);

/// The pooled rows of a comparison, one for each type that occurs, in the order of kAllMatrixTypes.
std::vector<TypeRow> pool_types(const std::vector<MatrixRow>& rows);

/// The last part of a path or id, which tells the models of a result apart, or its last `parts`; no slash at the end.
std::string short_name(const std::string& id, size_t parts = 1);

/// Short names that tell ids apart: of each its last part, with those above it as far as another has the same. Ids that
/// are the same have the same name.
std::vector<std::string> short_names(const std::vector<std::string>& ids);

/// What a result calls the models of its comparisons: short_names, and of a noise control its id, which has its post's.
std::vector<std::string> model_names(const std::vector<Comparison>& comparisons);

/// How a model is named in the result.
ModelInfo describe_model(const TensorSource& checkpoint);

}  // namespace gyro
