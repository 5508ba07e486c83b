#include "gyro/cli/probe.h"

#include "gyro/cli/commands.h"

namespace gyro {

void add_probe_command(CLI::App& app, int& exit_code) {
  auto* probe = app.add_subcommand("probe", "What a model and its constructions compute: attention, representations");
  probe->require_subcommand(1);
  add_probe_attention_command(*probe, exit_code);
  add_probe_cka_command(*probe, exit_code);
  add_probe_drift_command(*probe, exit_code);
  add_probe_rotation_command(*probe, exit_code);
  probe->footer("gyro probe COMMAND --help shows a command's options and examples.");
}

}  // namespace gyro
