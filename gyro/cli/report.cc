#include "gyro/cli/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/parse.h"
#include "gyro/report/export.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

struct ReportArguments {
  std::vector<std::string> folders;
  std::string out, plotly = "inline", title, figures;
  ExportOptions wishes = {.formats = export_formats(), .widths = {"page"}};
  bool quiet = false;
};

// All that the page is made of.
struct Inputs {
  std::vector<ReportInput> results;
  std::vector<EvaluationInput> evaluations;
  std::vector<ProbeInput> probes;
};

// What a folder has, which is something: where there is nothing else, the lack of a result is the error.
void read_folder(const fs::path& folder, Inputs& inputs) {
  std::optional<EvaluationInput> evaluation = read_evaluation(folder);
  std::optional<ProbeInput> probes = read_probes(folder);
  if ((!evaluation && !probes) || fs::exists(folder / "result.json")) {
    inputs.results.push_back(read_report_input(folder));
  }
  if (evaluation) inputs.evaluations.push_back(std::move(*evaluation));
  if (probes) inputs.probes.push_back(std::move(*probes));
}

int run(const ReportArguments& arguments) {
  Inputs inputs;
  for (const std::string& folder : arguments.folders) read_folder(folder, inputs);
  const ReportOptions page = {.plotly = plotly_mode(arguments.plotly), .title = arguments.title};
  if (!arguments.figures.empty()) {
    const size_t count =
        export_report(arguments.figures, inputs.results, page, arguments.wishes, inputs.evaluations, inputs.probes)
            .size();
    if (!arguments.quiet) fmt::print("Wrote {} files to {}\n", count, printable(arguments.figures));
    return kDone;
  }
  fs::path out = arguments.out;
  // The page of several results is no result's own.
  if (out.empty())
    out = arguments.folders.size() > 1 ? fs::path("report.html") : fs::path(arguments.folders.front()) / "report.html";
  if (fs::is_directory(out)) out /= "report.html";
  write_report(out, inputs.results, page, inputs.evaluations, inputs.probes);
  if (!arguments.quiet) fmt::print("Wrote {}\n", printable(out.string()));
  return kDone;
}

CLI::Option* add_export_options(CLI::App& command, ReportArguments& arguments) {
  auto* folder = command
                     .add_option("--export", arguments.figures,
                                 "Write figures and tables as files into this folder, instead of the page")
                     ->type_name("DIR");
  command.add_option("--format", arguments.wishes.formats, "Kinds of files to write")
      ->delimiter(',')
      ->allow_extra_args(false)  // a DIR may follow
      ->check(one_of(export_formats()))
      ->needs(folder)
      ->capture_default_str();
  command
      .add_option("--width", arguments.wishes.widths,
                  "Widths of figures: a column (3.3 in), a page (7 in), a slide (12.3 in)")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of(export_widths()))
      ->needs(folder)
      ->capture_default_str();
  command
      .add_option("--choices", arguments.wishes.choices,
                  "What figures show, as it stands in the page's address behind the '#' once it was chosen there")
      ->needs(folder);
  return folder;
}

}  // namespace

PlotlyMode plotly_mode(const std::string& name) {
  return name == "directory" ? PlotlyMode::Directory : PlotlyMode::Inline;
}

CLI::Option* add_plotly_option(CLI::App& command, std::string& name) {
  return command
      .add_option("--plotly", name, "plotly.js in the report (inline), or in plotly.min.js beside it (directory)")
      ->check(one_of({"inline", "directory"}))
      ->capture_default_str();
}

void write_folder_report(const fs::path& folder, const ReportOptions& options, bool again,
                         const std::function<void(const std::string&)>& warn) {
  const fs::path page = folder / "report.html";
  std::error_code error;
  const auto written = fs::last_write_time(page, error);
  const auto newer_than = [&](const std::string& name) {
    std::error_code missing;
    const auto time = fs::last_write_time(folder / name, missing);
    return missing || written >= time;
  };
  std::vector<std::string> files = {"result.json", "eval.json"};
  for (const char* kind : kProbeKinds) files.push_back(fmt::format("{}.json", kind));
  if (!error && std::ranges::all_of(files, newer_than) && !again) return;
  Inputs inputs;
  const auto add = [&](auto read, auto& list) {
    try {
      if (auto found = read(folder)) list.push_back(std::move(*found));
    } catch (const Error& problem) {
      warn(fmt::format("{}; report.html is made without it", problem.what()));
    }
  };
  add(read_evaluation, inputs.evaluations);
  add(read_probes, inputs.probes);
  inputs.results.push_back(read_report_input(folder));
  try {
    write_report(page, inputs.results, options, inputs.evaluations, inputs.probes);
  } catch (const ReportTooLarge&) {
    fs::remove(page, error);
    throw;
  }
}

void add_report_command(CLI::App& app, int& exit_code) {
  auto* command = app.add_subcommand("report", "Rebuild the page of a result, or join results into one page");
  auto arguments = std::make_shared<ReportArguments>();
  command->add_option("DIR", arguments->folders, "Folders that gyro diff, gyro eval or gyro probe wrote by --out")
      ->required()
      ->type_name("DIR");
  auto* out = command->add_option("-o,--out", arguments->out, "The page to write [report.html in DIR; of several here]")
                  ->type_name("FILE");
  add_plotly_option(*command, arguments->plotly);
  command->add_option("--title", arguments->title, "The page's title [made from the models' names]");
  add_export_options(*command, *arguments)->excludes(out);
  command->add_flag("-q,--quiet", arguments->quiet, "Print nothing but errors");
  command->footer(
      "Results of one base become one comparison side by side; results of several bases are chosen from in the page.\n"
      "--export makes what the page gives to download, for a paper's build: each figure as PDF, SVG and PNG, its "
      "values\n"
      "and the tables as CSV, the tables in LaTeX. Figures are drawn by Chromium or Chrome, without a window or a "
      "network:\n"
      "the one on PATH, or what GYRO_BROWSER names.\n"
      "Examples:\n"
      "  gyro report result\n"
      "  gyro report instruct reasoning --out both.html --title 'Two ways from one base'\n"
      "  gyro report result --export figures --format pdf,tex\n"
      "  gyro report result --export figures --width column --choices 'model=instruct;type=W_O;nf.scale=log'");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
