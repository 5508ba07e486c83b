#include "gyro/edit/build.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>

#include "gyro/base/error.h"
#include "gyro/checkpoint/writer.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/run_options.h"
#include "gyro/cli/subjects.h"
#include "gyro/cli/table.h"
#include "gyro/cli/terminal.h"
#include "gyro/diff/plan.h"
#include "gyro/edit/copy.h"
#include "gyro/edit/variants.h"

namespace gyro {
namespace {

struct BuildArguments {
  std::string operation, base, post, out, sibling;
  std::string side = "out", on = "all", scale = "auto", dtype = "keep", shard_size = "5GB", what = "sigma";
  std::vector<std::string> layers;
  double t = 0.5;
  uint64_t seed = 0;
  bool align_signs = false;
  RunArguments run;
  std::shared_ptr<const TensorSource> model;  // BASE: the request's base, unless a sibling takes its place
  BuildRequest request;
};

Group group_of(const std::string& on) {
  return on == "attention" ? Group::Attention : on == "mlp" ? Group::Mlp : Group::All;
}

// "auto", a number for all types, or W_Q=0.9,W_O=1.4 (types not named keep 1).
std::map<MatrixType, double> scales_of(const BuildArguments& arguments) {
  if (arguments.scale == "auto") {
    return automatic_scales(arguments.model, arguments.request.post, arguments.request.run);
  }
  std::map<MatrixType, double> scales;
  const std::vector<std::string> parts = CLI::detail::split(arguments.scale, ',');
  for (const std::string& part : parts) {
    const size_t equals = part.find('=');
    if (equals != std::string::npos) {
      const MatrixType type = parse_types({part.substr(0, equals)}, "--scale").front();
      scales[type] = parse_number("--scale", part.substr(equals + 1));
      continue;
    }
    const double scale = parse_number("--scale", part);
    if (parts.size() > 1) throw CLI::ValidationError("--scale", "takes auto, one number, or W_Q=0.9,W_O=1.4");
    for (const MatrixType type : kAllMatrixTypes) scales[type] = scale;
  }
  return scales;
}

Variant variant_of(const BuildArguments& arguments, const std::filesystem::path& folder, Operation operation, Side side,
                   Group on, std::map<MatrixType, double> scales) {
  Variant variant{
      folder, {operation, side, 1, arguments.align_signs, arguments.t, arguments.seed}, on, std::move(scales), ""};
  variant.description = describe(variant);
  return variant;
}

std::vector<Variant> paper_variants(const BuildArguments& arguments) {
  std::vector<Variant> variants;
  for (const std::string& name : paper_variant_names()) {
    NamedVariant named = named_variant(name).value();
    if (named.scaled) named.variant.scales = scales_of(arguments);
    named.variant.folder = std::filesystem::path(arguments.out) / name;
    named.variant.what.align_signs = arguments.align_signs;
    named.variant.description = describe(named.variant);
    variants.push_back(std::move(named.variant));
  }
  return variants;
}

std::vector<Variant> variants_of(const BuildArguments& arguments) {
  if (arguments.operation == "paper") return paper_variants(arguments);
  const Side side = arguments.side == "out" ? Side::Out : Side::In;
  const Group on = group_of(arguments.on);
  const auto one = [&](Operation operation, std::map<MatrixType, double> scales = {}) {
    return std::vector{variant_of(arguments, arguments.out, operation, side, on, std::move(scales))};
  };
  if (arguments.operation == "replace") return one(Operation::Replace, scales_of(arguments));
  if (arguments.operation == "ablate") return one(Operation::Ablate);
  if (arguments.operation == "restore") return one(Operation::Restore);
  if (arguments.operation == "noise") return one(Operation::Noise);
  if (arguments.operation == "interpolate") return one(Operation::Interpolate);
  return one(arguments.what == "sigma" ? Operation::TransplantSigma : Operation::TransplantRotation);
}

// Variants share the matrices that stay: each is said once.
void print_left(const std::vector<BuildRow>& rows) {
  std::set<std::string> left;
  for (const BuildRow& row : rows) left.insert(row.left.begin(), row.left.end());
  for (const std::string& line : left) fmt::print("Left as the post's: {}\n", line);
}

void print_rows(const std::vector<BuildRow>& rows, const BuildArguments& arguments) {
  Table table{"", {"type", "matrices", "moved / change", "rounding / change"}, {}};
  std::string last;
  for (const BuildRow& row : rows) {
    const auto ratio = [&](double norm) {
      return row.change > 0 ? fmt::format("{:.3g}", norm / row.change) : std::string("-");
    };
    table.rows.push_back(
        {row.variant == last ? "" : row.variant,
         {std::string(type_name(row.type)), std::to_string(row.matrices), ratio(row.moved), ratio(row.rounding)}});
    last = row.variant;
  }
  const size_t width = terminal_of(STDOUT_FILENO).width;
  fmt::print("{}\n{}", text_table(table, width),
             wrapped("Norms over ‖W_post − W_base‖: how far the built matrices are from the post's, and what storing "
                     "them rounds away.",
                     width, ""));
  print_left(rows);
  fmt::print("Wrote {}\n", arguments.out);
}

int run(BuildArguments& arguments) {
  if (!arguments.sibling.empty() && arguments.operation != "restore") {
    throw CLI::ValidationError("--sibling", "goes with restore (eq. 12)");
  }
  if (arguments.align_signs && arguments.operation != "ablate")
    throw CLI::ValidationError("--align-signs", "goes with ablate");
  BuildRequest& request = arguments.request;
  arguments.model = open_subject(arguments.base, arguments.run.quiet);
  request.run = run_options(arguments.run);
  request.leave_deficient = true;
  request.dtype = parse_dtype(arguments.dtype);
  request.shard_size = parse_size("--shard-size", arguments.shard_size);
  request.layers = chosen_numbers(parse_layers(arguments.layers), count_layers(*arguments.model), "layers", "layer");
  std::vector<std::filesystem::path> inputs = {arguments.base, arguments.post};
  if (!arguments.sibling.empty()) inputs.emplace_back(arguments.sibling);
  if (arguments.operation != "paper") {
    check_output_folder(arguments.out, inputs, request.force);
  } else {  // the folder stays and takes those of the variants, each of which is checked
    check_not_an_input(arguments.out, inputs);
    if (!request.force) check_new_or_empty(arguments.out);
  }
  request.base = arguments.sibling.empty() ? arguments.model
                                           : open_subject(arguments.sibling, arguments.run.quiet, arguments.model);
  request.post = open_subject(arguments.post, arguments.run.quiet, arguments.model);
  plan_tensors(*request.post, request.dtype);  // refuses before a diff is made for --scale auto
  request.variants = variants_of(arguments);
  const auto rows = interrupted() ? std::nullopt : run_build(request);
  if (!rows) return report_interruption(kNothingWritten);
  if (!arguments.run.quiet) print_rows(*rows, arguments);
  return kDone;
}

}  // namespace

void add_build_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("build", "Build counterfactual checkpoints from a base and its post");
  auto arguments = std::make_shared<BuildArguments>();
  BuildRequest& request = arguments->request;
  command
      ->add_option("OP", arguments->operation,
                   "replace, ablate, restore, transplant, interpolate, noise, or paper for all of the paper's variants")
      ->required()
      ->check(one_of({"replace", "ablate", "restore", "transplant", "interpolate", "noise", "paper"}));
  command->add_option("BASE", arguments->base, "Folder of the base checkpoint")->required()->type_name("DIR");
  command->add_option("POST", arguments->post, "Folder of the post-trained checkpoint")->required()->type_name("DIR");
  command->add_option("-o,--out", arguments->out, "Folder to write")->required()->type_name("DIR");
  command->add_flag("--force", request.force, "Replace the files of a folder that is not empty");
  command
      ->add_option("--side", arguments->side,
                   "Side whose vectors are the base's: out (V, eqs. 10, 11) or in (U, eqs. 15, 16)")
      ->check(one_of({"out", "in"}))
      ->capture_default_str();
  command->add_option("--on", arguments->on, "Matrices that are built; the others stay the post's")
      ->check(one_of({"attention", "mlp", "all"}))
      ->capture_default_str();
  command
      ->add_option("--scale", arguments->scale,
                   "α' of replace: auto (Table 4, from a diff), a number, or W_Q=0.9,W_O=1.4")
      ->capture_default_str();
  command->add_option("--sibling", arguments->sibling, "Restore from this model's factors in the base's place (eq. 12)")
      ->type_name("DIR");
  command->add_flag("--align-signs", arguments->align_signs,
                    "Ablate with the base's pairs flipped to agree with the post's");
  command->add_option("--what", arguments->what, "What transplant puts onto the base: the post's sigma or rotation")
      ->check(one_of({"sigma", "rotation"}))
      ->capture_default_str();
  command->add_option("--at", arguments->t, "Where interpolate stands between base (0) and post (1)")
      ->check(number_from(-1, 2))
      ->capture_default_str();
  command->add_option("--layers", arguments->layers, "Layers to build, such as 0,5-8,-1")->delimiter(',');
  command->add_option("--dtype", arguments->dtype, "Type of the written tensors: keep, f32, bf16 or f16")
      ->check(one_of({"keep", "f32", "bf16", "f16"}))
      ->capture_default_str();
  command->add_option("--shard-size", arguments->shard_size, "Largest file")->capture_default_str();
  command->add_option("--seed", arguments->seed, "Seed of noise")->capture_default_str();
  add_run_options(*command, arguments->run);
  command->footer(
      "Examples:\n"
      "  gyro build replace base instruct --scale auto --out replaced\n"
      "  gyro build restore base instruct --side out --on attention --out restored\n"
      "  gyro build restore base reasoning --sibling instruct --on mlp --out from-instruct\n"
      "  gyro build paper base instruct --out variants --dtype f32\n"
      "  gyro build interpolate base instruct --at 0.5 --out halfway");
  command->callback([arguments, &exit_code] {
    arguments->request.command = command_line();
    exit_code = run(*arguments);
  });
}

}  // namespace gyro
