#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/base/team.h"
#include "gyro/cli/report.h"
#include "gyro/diff/document.h"
#include "gyro/diff/journal.h"
#include "gyro/diff/result_files.h"
#include "gyro/diff/result_json.h"
#include "gyro/diff/result_names.h"
#include "gyro/diff/runner.h"
#include "gyro/report/report.h"
#include "model.h"
#include "watch.h"

namespace gyro::python {
namespace {

/// A result as Python holds one: gyro._core.Result.
struct Result {
  std::shared_ptr<const DiffResult> result;
};

// What is asked of a comparison beside its models.
struct Asked {
  std::vector<int64_t> layers, experts;
  std::vector<std::string> types, measures;
  int64_t null_draws = 1, null_nf_draws = 0;
  uint64_t seed = 0;
  bool trajectory = false;
  std::string command;
};

std::vector<MatrixType> types_of(const std::vector<std::string>& names) {
  std::vector<MatrixType> types;
  for (const std::string& name : names) {
    const auto type = type_from_name(name);
    if (!type) fail_field("types", "'{}' is no type of matrix", printable(name, 40));
    if (std::ranges::find(types, *type) == types.end()) types.push_back(*type);
  }
  return types;
}

std::vector<Measure> measures_of(const std::vector<std::string>& names) {
  std::vector<Measure> measures;
  for (const auto& [measure, known] : kNames<Measure>) {
    if (std::ranges::find(names, known) != names.end()) measures.push_back(measure);
  }
  for (const std::string& name : names) {
    const auto is_it = [&](const auto& entry) { return entry.second == name; };
    if (std::ranges::none_of(kNames<Measure>, is_it)) fail_field("measure", "'{}' is none", printable(name, 40));
  }
  return measures;
}

// A path under which a request knows an open model, and by which messages call it: one that no other has, and that is
// not the word for noise.
std::string add_model(DiffRequest& request, const Model& model, const std::string& name) {
  std::string path = model.source->path().string();
  while (request.opened.contains(path) || path == kNoise) path += " ";
  request.opened[path] = model.source;
  if (!name.empty()) request.names[path] = name;
  return path;
}

using Named = std::vector<std::pair<std::optional<Model>, std::string>>;  // no model: noise

DiffRequest request_of(const Model& base, const std::string& base_name, const Named& posts, const Named& controls,
                       const Asked& asked) {
  DiffRequest request;
  request.base = add_model(request, base, base_name);
  for (const auto& [model, name] : posts) request.posts.push_back(add_model(request, model.value(), name));
  for (const auto& [model, name] : controls)
    request.controls.push_back(model ? add_model(request, *model, name) : std::string(kNoise));
  request.layers = asked.layers;
  request.experts = asked.experts;
  request.types = types_of(asked.types);
  request.measures = measures_of(asked.measures);
  request.trajectory = asked.trajectory;
  request.null_draws = asked.null_draws;
  request.null_nf_draws = asked.null_nf_draws;
  request.seed = asked.seed;
  request.arrays = true;
  request.command = asked.command;
  return request;
}

Named named_models(const nb::list& pairs) {
  Named out;
  for (const nb::handle pair : pairs) {
    const nb::handle model = pair[0];
    out.emplace_back(model.is_none() ? std::nullopt : std::optional(nb::cast<Model>(model)),
                     nb::cast<std::string>(pair[1]));
  }
  return out;
}

Result diff(const Model& base, const std::string& base_name, const nb::list& posts, const nb::list& controls,
            const Asked& asked, const Manner& manner) {
  const DiffRequest request = request_of(base, base_name, named_models(posts), named_models(controls), asked);
  return watched<Result>(manner, [request](const RunOptions& run, const Warn& warn) {
    DiffRequest here = request;
    here.run = run;
    here.warn = warn;
    DiffOutcome outcome = run_diff(here);
    if (!outcome.result) throw Stopped();
    return Result{std::make_shared<const DiffResult>(std::move(*outcome.result))};
  });
}

std::vector<std::string> array_names(const Result& result) {
  std::vector<std::string> names;
  for (const auto& [name, array] : result.result->arrays) names.push_back(name);
  return names;
}

ReadOnlyArray array(const Result& result, const std::string& name) {
  const auto at = result.result->arrays.find(name);
  if (at == result.result->arrays.end()) throw nb::key_error(name.c_str());
  return array_for_python(at->second.dtype, at->second.shape, at->second.bytes, result.result);
}

// As gyro diff --out leaves a folder: both files and the page.
void save(const Result& result, const std::string& folder, bool force, const Manner& manner) {
  run_watched(manner, [=, held = result.result](const RunOptions& run, const Warn& warn) {
    OutputFolder(folder, held->fingerprint, force).finish(*held);
    try {
      write_folder_report(folder, {.threads = run.threads}, true, warn);
    } catch (const ReportTooLarge&) {
      warn(fmt::format("{}: report.html is not written: the result is too large for one page", folder));
    }
  });
}

// Its two files alone, in a folder that is there.
void write(const Result& result, const std::string& folder, const Manner& manner) {
  run_watched(manner, [=, held = result.result](const RunOptions&, const Warn&) { write_result_files(folder, *held); });
}

// The page of a result alone, by way of its files in `folder`, which is there.
void report(const Result& result, const std::string& page, const std::string& folder, const std::string& title,
            const Manner& manner) {
  run_watched(manner, [=, held = result.result](const RunOptions& run, const Warn&) {
    write_result_files(folder, *held);
    std::vector<ReportInput> inputs;
    inputs.push_back(read_report_input(folder));
    write_report(page, inputs, {.title = title, .threads = run.threads});
  });
}

Result load(const std::string& folder) {
  const nb::gil_scoped_release released;
  const ReportInput input = read_report_input(folder);  // says what is wrong with a folder
  DiffResult result = read_result(folder + "/result.json", input.document);
  result.arrays = read_arrays(folder);
  return {std::make_shared<const DiffResult>(std::move(result))};
}

}  // namespace

void add_diff(nb::module_& module) {
  nb::class_<Asked>(module, "Asked", "What is asked of a comparison beside its models.")
      .def(nb::init<>())
      .def_rw("layers", &Asked::layers)
      .def_rw("experts", &Asked::experts)
      .def_rw("types", &Asked::types)
      .def_rw("measures", &Asked::measures)
      .def_rw("null_draws", &Asked::null_draws)
      .def_rw("null_nf_draws", &Asked::null_nf_draws)
      .def_rw("seed", &Asked::seed)
      .def_rw("trajectory", &Asked::trajectory)
      .def_rw("command", &Asked::command);
  nb::class_<Result>(module, "Result", "What a comparison gave.")
      .def("text", [](const Result& result) { return result_text(*result.result); })
      .def("names", [](const Result& result) { return model_names(result.result->comparisons); })
      .def("array_names", &array_names)
      .def("array", &array, nb::arg("name"))
      .def("save", &save, nb::arg("folder"), nb::arg("force"), nb::arg("manner"))
      .def("write", &write, nb::arg("folder"), nb::arg("manner"))
      .def("report", &report, nb::arg("page"), nb::arg("folder"), nb::arg("title"), nb::arg("manner"))
      .def_static("load", &load, nb::arg("folder"));
  module.def("diff", &diff, nb::arg("base"), nb::arg("base_name"), nb::arg("posts"), nb::arg("controls"),
             nb::arg("asked"), nb::arg("manner"));
}

}  // namespace gyro::python
