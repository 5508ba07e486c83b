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

std::string default_title(const std::vector<ReportInput>& inputs, const std::vector<EvaluationInput>& evaluations,
                          const std::vector<ProbeInput>& probes) {
  const std::vector<std::string> bases = base_names(inputs);
  std::string title;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string posts = fmt::format("{}", fmt::join(post_names(inputs[i].document), ", "));
    const bool goes_on = i > 0 && bases[i] == bases[i - 1];
    title += i == 0 ? bases[i] + " → " : goes_on ? ", " : "; " + bases[i] + " → ";
    title += posts;
  }
  if (!inputs.empty()) return printable(title, 200);
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  for (const EvaluationInput& evaluation : evaluations) add(evaluation_name(evaluation.document));
  for (const ProbeInput& probe : probes) add(evaluation_name({{"models", probed_models(probe)}}));
  return printable(fmt::format("{}", fmt::join(names, "; ")), 200);
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

fs::path whole_path(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.has_filename() ? normal : normal.parent_path();
}

// Whether two spellings may be of one place.
bool may_be_same(const fs::path& one, const fs::path& other) {
  const fs::path a = whole_path(one), b = whole_path(other);
  if (a.is_absolute() == b.is_absolute()) return a == b;
  const fs::path &whole = a.is_absolute() ? a : b, &end = a.is_absolute() ? b : a;
  const std::string text = fmt::format("/{}", end.string());
  return !end.empty() && *end.begin() != ".." && whole.string().ends_with(text);
}

bool is_of(const Json& model, const Json& named) {
  const Json path = named.value("path", Json());
  return path.is_string() && may_be_same(model["path"].get<std::string>(), path.get<std::string>());
}

// Whether a result has the base and one of the posts.
bool has_models(const Json& document, const Json& models) {
  bool base = true, post = false;
  for (const Json& model : models) {
    if (model["role"] == "base") base = is_of(model, document["base"]);
    if (model["role"] != "post") continue;
    for (const Json& comparison : document["comparisons"]) post = post || is_of(model, comparison["post"]);
  }
  return base && post;
}

// The second data block: the evaluations, each with the place of the result that it is of.
std::string evaluations_data(const std::vector<ReportInput>& inputs, const std::vector<EvaluationInput>& evaluations,
                             size_t budget) {
  Json json = Json::array();
  for (const EvaluationInput& evaluation : evaluations) {
    const int64_t place = place_beside(inputs, evaluation.folder, evaluation.document["models"]);
    json.push_back(evaluation_data(evaluation, place, budget / evaluations.size()));
  }
  return script_json(json);
}

// The third: the same of probes.
std::string all_probes_data(const std::vector<ReportInput>& inputs, const std::vector<ProbeInput>& probes,
                            size_t budget) {
  Json json = Json::array();
  for (const ProbeInput& probe : probes) {
    const int64_t place = place_beside(inputs, probe.folder, probed_models(probe));
    json.push_back(probes_data(probe, place, budget / probes.size()));
  }
  return script_json(json);
}

}  // namespace

int64_t place_beside(const std::vector<ReportInput>& inputs, const std::string& folder, const Json& models) {
  const std::vector<size_t> places = joined_places(inputs);
  const fs::path own = whole_path(fs::absolute(folder));
  for (const fs::path& wanted : {own, own.parent_path()}) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (whole_path(fs::absolute(inputs[i].folder)) == wanted) return static_cast<int64_t>(places[i]);
    }
  }
  int64_t place = -1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!has_models(inputs[i].document, models)) continue;
    if (place >= 0 && place != static_cast<int64_t>(places[i])) return -1;
    place = static_cast<int64_t>(places[i]);
  }
  return place;
}

std::string render_report(const std::vector<ReportInput>& inputs, const ReportOptions& options,
                          const std::vector<EvaluationInput>& evaluations, const std::vector<ProbeInput>& probes) {
  const std::string title =
      options.title.empty() ? default_title(inputs, evaluations, probes) : printable(options.title, 300);
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
      {"evaluations", ""},
      {"probes", ""}};
  const size_t frame = fill(page_template(), parts).size();
  if (frame > kReportLimit) fail("report", "the page's own parts are too large");
  // Beside results, evaluations take a third of the page at most, and so do probes.
  const size_t room = kReportLimit - frame;
  const size_t share = room / (!inputs.empty() ? 3 : evaluations.empty() || probes.empty() ? 1 : 2);
  const std::string asked = evaluations_data(inputs, evaluations, share);
  const std::string probed = all_probes_data(inputs, probes, share);
  const std::string data = page_data(inputs, title, room - asked.size() - probed.size(), options.threads);
  parts["data"] = data;
  parts["evaluations"] = asked;
  parts["probes"] = probed;
  return fill(page_template(), parts);
}

void write_report(const fs::path& path, const std::vector<ReportInput>& inputs, const ReportOptions& options,
                  const std::vector<EvaluationInput>& evaluations, const std::vector<ProbeInput>& probes) {
  const std::string page = render_report(inputs, options, evaluations, probes);
  if (options.plotly == PlotlyMode::Directory) {
    write_file_atomically(path.parent_path() / kPlotlyName, plotly_script());
  }
  write_file_atomically(path, page);
}

}  // namespace gyro
