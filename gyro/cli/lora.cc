#include "gyro/edit/lora.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <memory>

#include "gyro/base/error.h"
#include "gyro/cli/adapter_text.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/interrupt.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/run_options.h"
#include "gyro/cli/subjects.h"
#include "gyro/cli/table.h"
#include "gyro/cli/terminal.h"

namespace gyro {
namespace {

struct LoraArguments {
  std::string base, post, out;
  std::vector<std::string> target_modules;
  double alpha = 0;
  RunArguments run;
  LoraRequest request;
};

void print_outcome(const LoraOutcome& outcome, const LoraArguments& arguments) {
  Table table{"", {"‖ΔW‖", "left / ‖ΔW‖", "rank 50 %", "90 %", "99 %"}, {}};
  double change = 0, error = 0;
  for (const LoraRow& row : outcome.rows) {
    const std::string left = row.change > 0 ? fmt::format("{:.4f}", row.error / row.change) : "-";
    table.rows.push_back({row.module,
                          {fmt::format("{:.4g}", row.change), left, std::to_string(row.rank50),
                           std::to_string(row.rank90), std::to_string(row.rank99)}});
    change += row.change * row.change;
    error += row.error * row.error;
  }
  const size_t width = terminal_of(STDOUT_FILENO).width;
  fmt::print("{}", text_table(table, width));
  if (change > 0) fmt::print("\nThe adapter holds {:.1f} % of ‖ΔW‖² of these modules.\n", 100 * (1 - error / change));
  if (!outcome.left_out.empty()) {
    const std::string left = fmt::format("{} other tensors differ and are not in it, such as {}.",
                                         outcome.left_out.size(), printable(outcome.left_out.front()));
    fmt::print("{}", wrapped(left, width, ""));
  }
  fmt::print("{}", capped_text(outcome.rows, arguments.request.rank));
  fmt::print("Wrote {}\n", arguments.out);
}

int run(LoraArguments& arguments) {
  LoraRequest& request = arguments.request;
  request.out = arguments.out;
  if (arguments.alpha > 0) request.alpha = arguments.alpha;
  request.target_modules = {arguments.target_modules.begin(), arguments.target_modules.end()};
  request.run = run_options(arguments.run);
  request.command = command_line();
  request.base = open_subject(arguments.base, arguments.run.quiet);
  request.post = open_subject(arguments.post, arguments.run.quiet, request.base);
  const auto outcome = run_lora(request);
  if (!outcome) return report_interruption(kNothingWritten);
  if (!arguments.run.quiet) print_outcome(*outcome, arguments);
  return kDone;
}

}  // namespace

void add_lora_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("lora", "Extract the best LoRA adapter that turns a base into its post");
  auto arguments = std::make_shared<LoraArguments>();
  LoraRequest& request = arguments->request;
  command->add_option("BASE", arguments->base, "Folder of the base checkpoint")->required()->type_name("DIR");
  command->add_option("POST", arguments->post, "Folder of the post-trained checkpoint")->required()->type_name("DIR");
  command->add_option("-o,--out", arguments->out, "Folder to write, as PEFT saves an adapter")
      ->required()
      ->type_name("DIR");
  command->add_flag("--force", request.force, "Replace the files of a folder that is not empty");
  command->add_option("-r,--rank", request.rank, "Rank of every module's adapter, at most what the module has")
      ->check(whole_number_from(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--alpha", arguments->alpha, "lora_alpha; the scaling is alpha / rank [rank]")
      ->check(positive_number());
  command
      ->add_option("--target-modules", arguments->target_modules, "Projections such as q_proj,v_proj or W_Q,W_V [all]")
      ->delimiter(',');
  add_run_options(*command, arguments->run);
  command->footer("Example:\n  gyro lora base instruct --rank 32 --out adapter");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
