#include "gyro/report/export.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/temporary.h"
#include "gyro/report/base64.h"
#include "gyro/report/browser.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

// The page's names are fit for files. It is made of a result of whom ever, so that is not taken on trust.
std::string checked_name(const Json& name) {
  std::string text = name.is_string() ? name.get<std::string>() : "";
  const bool fit = !text.empty() && text.front() != '.' && text.size() < 250 &&
                   std::all_of(text.begin(), text.end(), [](unsigned char c) {
                     return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
                   });
  if (!fit) fail("report.html", "{} is no name for a file", printable(text));
  return text;
}

std::string bytes_of(const Json& file, Browser& browser) {
  if (file.contains("text")) return file.at("text").get<std::string>();
  if (file.contains("base64")) return base64_bytes("report.html", file.at("base64").get<std::string>());
  // An image to be printed: it takes the page's place while it is.
  const Json& image = file.at("print");
  browser.evaluate("gyro.showExport(" + image.dump() + ")");
  std::string pdf = browser.pdf(image.at("width").get<double>(), image.at("height").get<double>());
  browser.evaluate("gyro.leaveExport()");
  return pdf;
}

}  // namespace

const std::vector<std::string>& export_formats() {
  static const std::vector<std::string> formats = {"pdf", "svg", "png", "csv", "tex"};
  return formats;
}

const std::vector<std::string>& export_widths() {
  static const std::vector<std::string> widths = {"column", "page", "slide"};
  return widths;
}

std::vector<std::string> export_report(const fs::path& folder, const std::vector<ReportInput>& inputs,
                                       const ReportOptions& page, const ExportOptions& options,
                                       const std::vector<EvaluationInput>& evaluations,
                                       const std::vector<ProbeInput>& probes) {
  ReportOptions whole = page;
  whole.plotly = PlotlyMode::Inline;
  const std::string html = render_report(inputs, whole, evaluations, probes);
  const TemporaryFolder work(fs::temp_directory_path() / "gyro-export");
  fs::permissions(work.path(), fs::perms::owner_all);  // names of models are in it
  const fs::path file = work.path() / "report.html";
  write_file_atomically(file, html);
  Browser browser(work.path());
  browser.open(file);
  const Json wishes = {{"formats", options.formats}, {"widths", options.widths}, {"choices", options.choices}};
  const Json count = browser.evaluate("gyro.planExport(" + wishes.dump() + ")");
  MadeFolders made;
  made.make(folder);
  std::vector<std::string> names;
  for (int i = 0; i < count.get<int>(); ++i) {
    for (const Json& one : browser.evaluate(fmt::format("gyro.exportItem({})", i))) {
      names.push_back(checked_name(one.at("name")));
      write_file_atomically(folder / names.back(), bytes_of(one, browser));
    }
  }
  return names;
}

}  // namespace gyro
