#include "gyro/report/report.h"

#include <algorithm>
#include <map>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/report/embedded.h"
#include "gyro/report/page_data.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPlotlyName = "plotly.min.js";

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// Short names of the bases that tell them apart.
std::vector<std::string> base_names(const std::vector<ReportInput>& inputs) {
  std::vector<std::string> names;
  for (const ReportInput& input : inputs) {
    const Json& base = input.document["base"];
    const bool shared = std::any_of(inputs.begin(), inputs.end(), [&](const ReportInput& other) {
      const Json& another = other.document["base"];
      return model_name(another) == model_name(base) && another.value("id", Json()) != base.value("id", Json());
    });
    names.push_back(model_name(base, shared ? 2 : 1));
  }
  return names;
}

std::string default_title(const std::vector<ReportInput>& inputs, const std::vector<EvaluationInput>& evaluations) {
  const std::vector<std::string> bases = base_names(inputs);
  std::string title;
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::string posts;
    for (const Json& comparison : inputs[i].document["comparisons"]) {
      if (comparison["role"] == "post") posts += (posts.empty() ? "" : ", ") + model_name(comparison["post"]);
    }
    const bool goes_on = i > 0 && bases[i] == bases[i - 1];
    title += i == 0 ? bases[i] + " → " : goes_on ? ", " : "; " + bases[i] + " → ";
    title += posts;
  }
  if (!inputs.empty()) return printable(title, 200);
  for (const EvaluationInput& evaluation : evaluations) {
    title += (title.empty() ? "" : "; ") + evaluation_name(evaluation.document);
  }
  return printable(title, 200);
}

// `page` with each `{{name}}` replaced by its part, in one pass, so that no part is looked into.
std::string fill(std::string_view page, const std::map<std::string_view, std::string_view>& parts) {
  std::string out;
  size_t from = 0;
  for (size_t at = page.find("{{"); at != page.npos; at = page.find("{{", from)) {
    const size_t end = page.find("}}", at);
    out += page.substr(from, at - from);
    out += parts.at(page.substr(at + 2, end - at - 2));
    from = end + 2;
  }
  out += page.substr(from);
  return out;
}

// The second data block: the evaluations, each with the place of the result that is of its folder. Beside results they
// take a third of the page at most.
std::string evaluations_data(const std::vector<ReportInput>& inputs, const std::vector<EvaluationInput>& evaluations,
                             size_t budget) {
  const std::vector<size_t> places = joined_places(inputs);
  Json json = Json::array();
  for (const EvaluationInput& evaluation : evaluations) {
    const auto it = std::ranges::find(inputs, evaluation.folder, &ReportInput::folder);
    const int64_t place = it == inputs.end() ? -1 : static_cast<int64_t>(places[it - inputs.begin()]);
    json.push_back(evaluation_data(evaluation, place, budget / evaluations.size()));
  }
  return script_json(json);
}

}  // namespace

std::string render_report(const std::vector<ReportInput>& inputs, const ReportOptions& options,
                          const std::vector<EvaluationInput>& evaluations) {
  const std::string title = options.title.empty() ? default_title(inputs, evaluations) : printable(options.title, 300);
  const bool inline_plotly = options.plotly == PlotlyMode::Inline;
  std::string plotly = R"(<script src="plotly.min.js"></script>)";
  if (inline_plotly) plotly = "<script>" + std::string(plotly_script()) + "</script>";

  const std::string script = page_script(), safe_title = html_text(title);
  std::map<std::string_view, std::string_view> parts = {
      {"title", safe_title},
      {"style", page_style()},
      {"policy", inline_plotly ? "'unsafe-inline'" : "'unsafe-inline' 'self' file:"},
      {"script", script},
      {"plotly", plotly},
      {"data", ""},
      {"evaluations", ""}};
  const size_t frame = fill(page_template(), parts).size();
  if (frame > kReportLimit) fail("report", "the page's own parts are too large");
  const std::string asked = evaluations_data(inputs, evaluations, (kReportLimit - frame) / (inputs.empty() ? 1 : 3));
  const std::string data = page_data(inputs, title, kReportLimit - frame - asked.size(), options.threads);
  parts["data"] = data;
  parts["evaluations"] = asked;
  return fill(page_template(), parts);
}

void write_report(const fs::path& path, const std::vector<ReportInput>& inputs, const ReportOptions& options,
                  const std::vector<EvaluationInput>& evaluations) {
  const std::string page = render_report(inputs, options, evaluations);
  if (options.plotly == PlotlyMode::Directory) {
    write_file_atomically(path.parent_path() / kPlotlyName, plotly_script());
  }
  write_file_atomically(path, page);
}

}  // namespace gyro
