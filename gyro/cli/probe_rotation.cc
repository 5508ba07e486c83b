#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gyro/base/version.h"
#include "gyro/checkpoint/writer.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/eval_document.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/names.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/probe.h"
#include "gyro/cli/probe_document.h"
#include "gyro/cli/progress.h"
#include "gyro/cli/run_options.h"
#include "gyro/cli/subjects.h"
#include "gyro/cli/table.h"
#include "gyro/cli/terminal.h"
#include "gyro/probe/rotations.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kFile = "rotation.json";
constexpr size_t kNameLimit = 24;

struct RotationArguments {
  std::string base, post;
  std::vector<std::string> others;
  DocumentPlace place;
  RunArguments run;
  RotationRequest request;
};

struct Named {
  const char* name;
  double SharedMeasure::*member;
};
constexpr Named kShared[] = {{"distance", &SharedMeasure::distance},
                             {"turn_correlation", &SharedMeasure::turn_correlation},
                             {"turn_correlation_sd", &SharedMeasure::turn_correlation_sd},
                             {"change_correlation", &SharedMeasure::change_correlation},
                             {"difference", &SharedMeasure::difference},
                             {"carry_error", &SharedMeasure::carry_error},
                             {"carry_error_kept", &SharedMeasure::carry_error_kept},
                             {"explained", &SharedMeasure::explained},
                             {"explained_by_chance", &SharedMeasure::explained_by_chance},
                             {"explained_sd", &SharedMeasure::explained_sd}};

void add_turn(const TurnMeasure& turn, const std::string& prefix, Json& json) {
  json[prefix + "cosine"] = turn.cosine;
  json[prefix + "relative_change"] = turn.relative_change;
  json[prefix + "q1_orthogonality"] = turn.q1_orthogonality;
  json[prefix + "q2_orthogonality"] = turn.q2_orthogonality;
  json[prefix + "identity_distance"] = turn.identity_distance;
  json[prefix + "identity_distance_null"] = turn.identity_distance_null;
}

// A row's and a pool's figures, the null's under the same names with "_null" behind.
void add_measures(const TurnMeasure& post, const TurnMeasure& other, const SharedMeasure& shared,
                  const SharedMeasure& null, Json& json) {
  add_turn(post, "", json);
  add_turn(other, "other_", json);
  for (const Named& named : kShared) {
    json[named.name] = shared.*named.member;
    json[std::string(named.name) + "_null"] = null.*named.member;
  }
}

Json row_json(const RotationRow& row) {
  Json json = {{"layer", row.key.layer}, {"type", type_name(row.key.type)}};
  if (row.key.expert >= 0) json["expert"] = row.key.expert;
  json.update({{"d_in", row.d_in},
               {"d_out", row.d_out},
               {"n", row.pair.n},
               {"method", row.pair.method == Method::Gram ? "gram" : "svd"},
               {"flags", row.pair.post.flags},
               {"other_flags", row.pair.other.flags}});
  add_measures(row.pair.post, row.pair.other, row.pair.shared, row.pair.null, json);
  return json;
}

Json pool_json(const RotationPool& pool) {
  Json json = Json::object();
  if (pool.type) json["type"] = type_name(*pool.type);
  json["matrices"] = pool.matrices;
  add_measures(pool.post, pool.other, pool.shared, pool.null, json);
  json["distance_z"] = pool.distance_z;
  return json;
}

const char* standing_name(Standing standing) {
  constexpr const char* kNames[] = {"undefined", "as_null", "above", "below"};
  return kNames[static_cast<size_t>(standing)];
}

Json verdicts_json(const RotationVerdicts& verdicts) {
  const auto name = [&](Standing standing) { return verdicts.unrelated ? "not_asked" : standing_name(standing); };
  return {{"unrelated", verdicts.unrelated},
          {"distance", name(verdicts.distance)},
          {"turns", name(verdicts.turns)},
          {"carried", name(verdicts.carried)}};
}

Json head_of(const RotationArguments& arguments) {
  const RotationRequest& request = arguments.request;
  Json models = Json::array(), identities = Json::array();
  const auto add = [&](const char* role, const std::string& path, const TensorSource& source) {
    models.push_back({{"role", role}, {"path", path}, {"identity", source.identity()}});
    identities.push_back(models.back()["identity"]);
  };
  add("base", arguments.base, *request.base);
  add("post", arguments.post, *request.post);
  for (size_t i = 0; i < arguments.others.size(); ++i) add("other", arguments.others[i], *request.others[i]);
  const std::string schema = "gyro.probe.rotation/1";
  const Json options = {{"null_draws", request.null_draws}, {"seed", request.seed}};
  return {{"schema", schema},
          {"gyro", {{"version", std::string(version())}}},
          {"command", command_line()},
          {"fingerprint", document_fingerprint({schema, std::string(version()), options, identities})},
          {"options", options},
          {"models", models}};
}

// The models' names, the post's first.
std::vector<std::string> names_of(const RotationArguments& arguments) {
  std::vector<std::string> paths = {arguments.post};
  paths.insert(paths.end(), arguments.others.begin(), arguments.others.end());
  return distinct_names(paths, kNameLimit);
}

Json document_of(const RotationArguments& arguments, Json head, const std::vector<RotationComparison>& comparisons) {
  const std::vector<std::string> names = names_of(arguments);
  Json pairs = Json::array(), sentences = Json::array();
  for (size_t i = 0; i < comparisons.size(); ++i) {
    const RotationComparison& comparison = comparisons[i];
    Json matrices = Json::array(), types = Json::array();
    for (const RotationRow& row : comparison.rows) matrices.push_back(row_json(row));
    for (const RotationPool& type : comparison.types) types.push_back(pool_json(type));
    const std::vector<std::string> said = rotation_sentences(comparison, names[0], names[i + 1]);
    for (const std::string& sentence : said) sentences.push_back(sentence);
    pairs.push_back({{"post", arguments.post},
                     {"other", arguments.others[i]},
                     {"verdicts", verdicts_json(comparison.verdicts)},
                     {"all", pool_json(comparison.all)},
                     {"types", std::move(types)},
                     {"matrices", std::move(matrices)},
                     {"sentences", said}});
  }
  head["pairs"] = std::move(pairs);
  head["sentences"] = std::move(sentences);
  return head;
}

std::string figure(double value, int decimals) {
  return std::isnan(value) ? "–" : fmt::format("{:.{}f}", value, decimals);
}

Table pair_table(const RotationComparison& comparison, const std::string& post, const std::string& other) {
  Table table{fmt::format("Q of {} and Q′ of {}", post, other),
              {"‖Q−I‖", "‖Q′−I‖", "‖Q−Q′‖", "noise", "turns", "changes", "carried %", "noise %", "chance %"},
              {}};
  std::vector<RotationPool> pools = comparison.types;
  pools.push_back(comparison.all);
  for (const RotationPool& pool : pools) {
    const SharedMeasure &shared = pool.shared, &null = pool.null;
    table.rows.push_back({pool.type ? std::string(type_name(*pool.type)) : "all",
                          {figure(pool.post.identity_distance, 3), figure(pool.other.identity_distance, 3),
                           figure(shared.distance, 3), figure(null.distance, 3), figure(shared.turn_correlation, 3),
                           figure(shared.change_correlation, 3), figure(100 * shared.explained, 1),
                           figure(100 * null.explained, 1), figure(100 * shared.explained_by_chance, 1)}});
  }
  return table;
}

void print_comparisons(const RotationArguments& arguments, const std::vector<RotationComparison>& comparisons) {
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  const std::vector<std::string> names = names_of(arguments);
  for (size_t i = 0; i < comparisons.size(); ++i) {
    fmt::print("{}\n", text_table(pair_table(comparisons[i], names[0], names[i + 1]), terminal.width));
    for (const std::string& sentence : rotation_sentences(comparisons[i], names[0], names[i + 1]))
      fmt::print("{}", wrapped(sentence, terminal.width, "  "));
    fmt::print("\n");
  }
  fmt::print("{}",
             wrapped("Distances are over √n. noise: a post of the other's size, drawn. turns: correlation of what the "
                     "rotations do to the base's weights; changes: of the changes. carried: what QᵀQ′ explains of "
                     "the difference; chance: what it does if the sides turn independently.",
                     terminal.width, "  "));
}

void open_models(RotationArguments& arguments) {
  RotationRequest& request = arguments.request;
  const bool quiet = arguments.run.quiet;
  request.base = open_subject(arguments.base, quiet);
  request.post = open_subject(arguments.post, quiet, request.base);
  for (const std::string& other : arguments.others) request.others.push_back(open_subject(other, quiet, request.base));
}

int run(RotationArguments& arguments) {
  RunArguments how = arguments.run;
  DocumentPlace& place = arguments.place;
  place.quiet = how.quiet;
  how.quiet = how.quiet || place.json;
  arguments.request.run = run_options(how);
  open_models(arguments);
  const Json head = head_of(arguments);
  if (!place.out.empty()) {
    std::vector<fs::path> inputs = {arguments.base, arguments.post};
    inputs.insert(inputs.end(), arguments.others.begin(), arguments.others.end());
    check_not_an_input(place.out, inputs);
  }
  if (is_kept(place, kFile, head)) return kDone;
  const auto comparisons = compare_rotations(arguments.request);
  if (!comparisons) return report_interruption(kNothingWritten);
  if (!keep_document(place, kFile, document_of(arguments, head, *comparisons))) return kDone;
  print_comparisons(arguments, *comparisons);
  print_kept(place, kFile);
  return kDone;
}

}  // namespace

void add_probe_rotation_command(CLI::App& probe, int& exit_code) {
  auto* command = probe.add_subcommand("rotation", "Whether posts of one base share its rotations (App. G.2)");
  auto arguments = std::make_shared<RotationArguments>();
  command->add_option("BASE", arguments->base, "Folder of the base checkpoint")->required()->type_name("DIR");
  command->add_option("POST", arguments->post, "Folder of a post-trained checkpoint")->required()->type_name("DIR");
  command
      ->add_option("OTHER", arguments->others,
                   "Folders of other posts of the base, or of models that have nothing to do with it, as controls")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("--null-draws", arguments->request.null_draws,
                   "Noise posts that are drawn for each model, each as much work as a post")
      ->check(whole_number_from(0, 10000))
      ->capture_default_str();
  command->add_option("--seed", arguments->request.seed, "Seed of all draws")->capture_default_str();
  command
      ->add_option("-o,--out", arguments->place.out, "Folder for rotation.json; a run that is there is not done again")
      ->type_name("DIR");
  command->add_flag("--force", arguments->place.force, "Write over another probe's file");
  command->add_flag("--json", arguments->place.json, "Print the document");
  add_run_options(*command, arguments->run);
  command->footer("Example:\n  gyro probe rotation base instruct reasoning rl --out rotations");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
