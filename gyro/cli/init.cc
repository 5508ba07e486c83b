#include "gyro/edit/init.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <memory>
#include <optional>

#include "gyro/base/error.h"
#include "gyro/cli/adapter_text.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/run_options.h"
#include "gyro/cli/subjects.h"
#include "gyro/cli/table.h"
#include "gyro/cli/terminal.h"
#include "gyro/edit/rescale.h"

namespace gyro {
namespace {

struct InitArguments {
  std::string kind, base, out, band, diff, dtype = "keep", shard_size = "5GB";
  std::vector<std::string> target_modules, types;
  std::optional<double> by;
  int64_t rank = 16;
  double alpha = 0;
  bool force = false;
  RunArguments run;
};

int run_rescaling(const InitArguments& arguments) {
  if (arguments.types.empty()) throw CLI::ValidationError("--types", "rescale needs the types to scale, such as W_O");
  if (!arguments.by) throw CLI::ValidationError("--by", "rescale needs the factor, such as 1.4");
  RescaleRequest request;
  request.out = arguments.out;
  for (const MatrixType type : parse_types(arguments.types)) request.by[type] = *arguments.by;
  request.dtype = parse_dtype(arguments.dtype);
  request.shard_size = parse_size("--shard-size", arguments.shard_size);
  request.force = arguments.force;
  request.run = run_options(arguments.run);
  request.command = command_line();
  request.base = open_subject(arguments.base, arguments.run.quiet);
  if (!run_rescale(request)) return report_interruption(kNothingWritten);
  if (!arguments.run.quiet) fmt::print("Wrote {}\n", arguments.out);
  return kDone;
}

// "auto" asks for --diff; a number is the first component.
void set_band(const InitArguments& arguments, InitRequest& request) {
  const bool automatic = arguments.band == "auto";
  if (automatic == arguments.diff.empty()) throw CLI::ValidationError("--band", "auto and --diff go together");
  if (automatic) {
    request.diff = arguments.diff;
  } else if (!arguments.band.empty()) {
    const double first = parse_number("--band", arguments.band);
    if (first != std::floor(first) || first < 0 || first > 1e9)
      throw CLI::ValidationError("--band", "'" + arguments.band + "' is not the number of a component");
    request.first = static_cast<int64_t>(first);
  }
}

int run(const InitArguments& arguments) {
  const bool middle = arguments.kind == "middle";
  if (!middle && !(arguments.band.empty() && arguments.diff.empty()))
    throw CLI::ValidationError("--band", "goes with middle");
  if (arguments.by && !std::isfinite(*arguments.by)) throw CLI::ValidationError("--by", "takes a finite number");
  if (arguments.kind == "rescale") return run_rescaling(arguments);
  InitRequest request;
  request.out = arguments.out;
  request.band = middle ? Band::Middle : arguments.kind == "minor" ? Band::Bottom : Band::Top;
  request.adapter_folder = arguments.kind + "_init/";
  request.rank = arguments.rank;
  if (arguments.alpha > 0) request.alpha = arguments.alpha;
  request.target_modules = {arguments.target_modules.begin(), arguments.target_modules.end()};
  if (middle) set_band(arguments, request);
  request.dtype = parse_dtype(arguments.dtype);
  request.shard_size = parse_size("--shard-size", arguments.shard_size);
  request.force = arguments.force;
  request.run = run_options(arguments.run);
  request.command = command_line();
  request.base = open_subject(arguments.base, arguments.run.quiet);
  const auto outcome = run_init(request);
  if (!outcome) return report_interruption(kNothingWritten);
  if (arguments.run.quiet) return kDone;
  Table table{"", {"components", "of ‖W‖²", "rounding / ‖W‖"}, {}};
  for (const InitRow& row : outcome->rows) {
    table.rows.push_back({row.module,
                          {fmt::format("{}-{}", row.first, row.first + row.rank - 1),
                           fmt::format("{:.1f} %", 100 * row.share), fmt::format("{:.2g}", row.rounding)}});
  }
  fmt::print("{}\n", text_table(table, terminal_of(STDOUT_FILENO).width));
  for (const std::string& line : outcome->left) fmt::print("Left whole, without an adapter: {}\n", line);
  fmt::print("{}", capped_text(outcome->rows, request.rank));
  fmt::print("Wrote the residual model to {0} and the adapter to {0}/{1}\n", arguments.out, request.adapter_folder);
  return kDone;
}

}  // namespace

void add_init_command(CLI::App& app, int& exit_code) {
  auto* command =
      app.add_subcommand("init", "Make starting points for fine-tuning: LoRA adapters from singular components");
  auto arguments = std::make_shared<InitArguments>();
  command->add_option("KIND", arguments->kind, "pissa (largest components), middle, minor (smallest), or rescale")
      ->required()
      ->check(one_of({"pissa", "middle", "minor", "rescale"}));
  command->add_option("BASE", arguments->base, "Folder of the base checkpoint")->required()->type_name("DIR");
  command->add_option("-o,--out", arguments->out, "Folder to write: the residual model, with the adapter in KIND_init/")
      ->required()
      ->type_name("DIR");
  command->add_flag("--force", arguments->force, "Replace the files of a folder that is not empty");
  command->add_option("-r,--rank", arguments->rank, "Components a matrix, at most what it has")
      ->check(whole_number_from(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--alpha", arguments->alpha, "lora_alpha; the scaling is alpha / rank [rank]")
      ->check(positive_number());
  command
      ->add_option("--target-modules", arguments->target_modules, "Projections such as q_proj,v_proj or W_Q,W_V [all]")
      ->delimiter(',');
  command->add_option("--band", arguments->band, "Middle: number of the first component, or auto [centred]");
  command
      ->add_option("--diff", arguments->diff,
                   "Middle, --band auto: folder of a gyro diff of BASE; takes what turned most")
      ->type_name("DIR");
  command->add_option("--types", arguments->types, "Rescale: types such as W_O")->delimiter(',');
  command->add_option("--by", arguments->by, "Rescale: the factor");
  command->add_option("--dtype", arguments->dtype, "Type of the written model: keep, f32, bf16 or f16")
      ->check(one_of({"keep", "f32", "bf16", "f16"}))
      ->capture_default_str();
  command->add_option("--shard-size", arguments->shard_size, "Largest file")->capture_default_str();
  add_run_options(*command, arguments->run);
  command->footer(
      "Examples:\n"
      "  gyro init pissa base --rank 16 --target-modules q_proj,v_proj --out start\n"
      "  gyro init middle base --rank 32 --band auto --diff result --out start\n"
      "  gyro init rescale base --types W_O --by 1.4 --out scaled");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
