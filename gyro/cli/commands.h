#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace gyro {

/// Exit codes of the contract: done, failed; 2 is wrong usage, which the parser returns.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr int kInterrupted = 130;

/// Gives `app` the program's description, options and subcommands; `exit_code` is what the one that runs ends with.
void add_commands(CLI::App& app, int& exit_code);

/// Each adds its subcommand to `app`; `exit_code` is what it ends with.
void add_diff_command(CLI::App& app, int& exit_code);
void add_info_command(CLI::App& app, int& exit_code);
void add_report_command(CLI::App& app, int& exit_code);
void add_build_command(CLI::App& app, int& exit_code);
void add_init_command(CLI::App& app, int& exit_code);
void add_lora_command(CLI::App& app, int& exit_code);
void add_chat_command(CLI::App& app, int& exit_code);
void add_perplexity_command(CLI::App& app, int& exit_code);
void add_grade_command(CLI::App& app, int& exit_code);
void add_eval_command(CLI::App& app, int& exit_code);
void add_probe_command(CLI::App& app, int& exit_code);
void add_study_command(CLI::App& app, int& exit_code);

/// The command as typed, quoted where a shell needs it, once main has kept it; of a study's stage the stage's own.
const std::string& command_line();
void keep_command_line(const std::vector<std::string>& words);
/// "gyro" and the words, as one types them.
std::string typed_line(const std::vector<std::string>& words);

}  // namespace gyro
