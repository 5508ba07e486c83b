#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"
#include "gyro/base/team.h"
#include "gyro/diff/plan.h"
#include "gyro/edit/build.h"
#include "gyro/edit/construct.h"
#include "gyro/edit/init.h"
#include "gyro/edit/overlay.h"
#include "gyro/edit/rescale.h"
#include "gyro/edit/variants.h"
#include "model.h"
#include "watch.h"

namespace gyro::python {
namespace {

using Scales = std::map<std::string, double>;

// A variant as Python describes one: by its operation, or by a name that named_variant knows.
struct GivenVariant {
  std::string folder, operation, side = "out", on = "all", what = "sigma";
  Scales scales;
  bool align_signs = false;
  double t = 0.5;
  uint64_t seed = 0;
};

std::map<MatrixType, double> scales_of(const Scales& given) {
  std::map<MatrixType, double> scales;
  for (const auto& [name, scale] : given) {
    const auto type = type_from_name(name);
    if (!type) fail_field("scale", "'{}' is no type of matrix", printable(name, 40));
    scales[*type] = scale;
  }
  return scales;
}

template <typename T>
T one_of(const std::string& field, const std::string& given, const std::map<std::string, T>& known) {
  const auto found = known.find(given);
  if (found != known.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [name, value] : known) names.push_back("'" + name + "'");
  fail_field(field, "can be {}, not '{}'", fmt::join(names, ", "), printable(given, 60));
}

Operation operation_of(const GivenVariant& given) {
  if (given.operation == "transplant") {
    return one_of<Operation>("what", given.what,
                             {{"sigma", Operation::TransplantSigma}, {"rotation", Operation::TransplantRotation}});
  }
  return one_of<Operation>("operation", given.operation,
                           {{"replace", Operation::Replace},
                            {"ablate", Operation::Ablate},
                            {"restore", Operation::Restore},
                            {"noise", Operation::Noise},
                            {"interpolate", Operation::Interpolate}});
}

Variant variant_of(const GivenVariant& given) {
  Variant variant;
  if (const auto named = named_variant(given.operation); named && given.operation.find('-') != std::string::npos) {
    if (named->base == VariantBase::Fake)
      fail_field("operation", "{} is of a fake base: evaluate() and probe() make it", given.operation);
    variant = named->variant;
  } else {
    variant.what.operation = operation_of(given);
    variant.what.side = one_of<Side>("side", given.side, {{"out", Side::Out}, {"in", Side::In}});
    variant.on =
        one_of<Group>("on", given.on, {{"attention", Group::Attention}, {"mlp", Group::Mlp}, {"all", Group::All}});
    variant.what.t = given.t;
  }
  variant.what.align_signs |= given.align_signs;
  variant.what.seed = given.seed;
  variant.folder = given.folder;
  variant.scales = scales_of(given.scales);
  variant.description = describe(variant);
  return variant;
}

// What is asked of a construction beside its models.
BuildRequest request_of(const Model& base, const Model& post, const std::vector<GivenVariant>& variants,
                        const std::vector<int64_t>& layers, const std::optional<std::string>& dtype, bool force,
                        const std::string& command) {
  BuildRequest request;
  request.base = base.source;
  request.post = post.source;
  for (const GivenVariant& variant : variants) request.variants.push_back(variant_of(variant));
  request.layers = chosen_numbers(layers, count_layers(*post.source), "layers", "layer");
  if (dtype) request.dtype = dtype_of("dtype", *dtype);
  request.force = force;
  request.leave_deficient = true;
  request.command = command;
  return request;
}

nb::list rows_for_python(const std::vector<BuildRow>& rows) {
  nb::list out;
  for (const BuildRow& row : rows) {
    nb::dict line;
    line["variant"] = row.variant;
    line["type"] = std::string(type_name(row.type));
    line["matrices"] = row.matrices;
    line["change"] = row.change;
    line["moved"] = row.moved;
    line["rounding"] = row.rounding;
    line["left"] = row.left;
    out.append(line);
  }
  return out;
}

nb::list build(const Model& base, const Model& post, const std::vector<GivenVariant>& variants,
               const std::vector<int64_t>& layers, const std::optional<std::string>& dtype, bool force,
               const std::string& command, const Manner& manner) {
  const BuildRequest request = request_of(base, post, variants, layers, dtype, force, command);
  using Rows = std::vector<BuildRow>;
  const Rows rows = watched<Rows>(manner, [request](const RunOptions& run, const Warn&) {
    BuildRequest here = request;
    here.run = run;
    std::optional<Rows> built = run_build(here);
    if (!built) throw Stopped();
    return *built;
  });
  return rows_for_python(rows);
}

// Each variant as a model whose matrices are made when they are read, on the reader's thread.
std::vector<Model> construct_lazily(const Model& base, const Model& post, const std::vector<GivenVariant>& variants,
                                    const std::vector<int64_t>& layers, const std::optional<std::string>& dtype) {
  const BuildRequest request = request_of(base, post, variants, layers, dtype, false, "");
  const nb::gil_scoped_release released;
  const auto constructions = std::make_shared<const Constructions>(request);
  std::vector<Model> models;
  for (size_t i = 0; i < request.variants.size(); ++i) models.push_back({overlay_of(constructions, i)});
  return models;
}

Scales automatic(const Model& base, const Model& post, const Manner& manner) {
  return watched<Scales>(manner, [base, post](const RunOptions& run, const Warn&) {
    Scales scales;
    for (const auto& [type, scale] : automatic_scales(base.source, post.source, run))
      scales[std::string(type_name(type))] = scale;
    return scales;
  });
}

nb::tuple init(const Model& base, const std::string& kind, int64_t rank, std::optional<double> alpha,
               const std::vector<std::string>& modules, std::optional<int64_t> first, const std::string& diff,
               const std::optional<std::string>& dtype, const std::string& adapter_folder, const std::string& out,
               bool force, const std::string& command, const Manner& manner) {
  InitRequest request;
  request.base = base.source;
  request.out = out;
  request.band = one_of<Band>("kind", kind, {{"pissa", Band::Top}, {"middle", Band::Middle}, {"minor", Band::Bottom}});
  request.rank = rank;
  request.alpha = alpha;
  request.target_modules = {modules.begin(), modules.end()};
  request.first = first;
  request.diff = diff;
  request.adapter_folder = adapter_folder;
  request.force = force;
  request.command = command;
  if (dtype) request.dtype = dtype_of("dtype", *dtype);
  const InitOutcome outcome = watched<InitOutcome>(manner, [request](const RunOptions& run, const Warn&) {
    InitRequest here = request;
    here.run = run;
    std::optional<InitOutcome> made = run_init(here);
    if (!made) throw Stopped();
    return *made;
  });
  nb::list rows;
  for (const InitRow& row : outcome.rows) {
    nb::dict line;
    line["module"] = row.module;
    line["first"] = row.first;
    line["rank"] = row.rank;
    line["share"] = row.share;
    line["rounding"] = row.rounding;
    rows.append(line);
  }
  return nb::make_tuple(rows, outcome.left);
}

void rescale(const Model& base, const Scales& by, const std::optional<std::string>& dtype, const std::string& out,
             bool force, const std::string& command, const Manner& manner) {
  RescaleRequest request;
  request.base = base.source;
  request.out = out;
  request.by = scales_of(by);
  if (dtype) request.dtype = dtype_of("dtype", *dtype);
  request.force = force;
  request.command = command;
  run_watched(manner, [request](const RunOptions& run, const Warn&) {
    RescaleRequest here = request;
    here.run = run;
    if (!run_rescale(here)) throw Stopped();
  });
}

}  // namespace

void add_edit(nb::module_& module) {
  nb::class_<GivenVariant>(module, "Variant", "What a construction is.")
      .def(nb::init<>())
      .def_rw("folder", &GivenVariant::folder)
      .def_rw("operation", &GivenVariant::operation)
      .def_rw("side", &GivenVariant::side)
      .def_rw("on", &GivenVariant::on)
      .def_rw("what", &GivenVariant::what)
      .def_rw("scales", &GivenVariant::scales)
      .def_rw("align_signs", &GivenVariant::align_signs)
      .def_rw("t", &GivenVariant::t)
      .def_rw("seed", &GivenVariant::seed);
  module.def("paper_variants", &paper_variant_names);
  module.def(
      "type_named",
      [](const std::string& name) -> std::optional<std::string> {
        const auto type = type_from_name(name);
        return type ? std::optional(std::string(type_name(*type))) : std::nullopt;
      },
      nb::arg("name"));
  module.def("types", [] {
    std::vector<std::string> names;
    for (const MatrixType type : kAllMatrixTypes) names.emplace_back(type_name(type));
    return names;
  });
  module.def("automatic_scales", &automatic, nb::arg("base"), nb::arg("post"), nb::arg("manner"));
  module.def("build", &build, nb::arg("base"), nb::arg("post"), nb::arg("variants"), nb::arg("layers"),
             nb::arg("dtype").none(), nb::arg("force"), nb::arg("command"), nb::arg("manner"));
  module.def("construct", &construct_lazily, nb::arg("base"), nb::arg("post"), nb::arg("variants"), nb::arg("layers"),
             nb::arg("dtype").none());
  module.def("rescale", &rescale, nb::arg("base"), nb::arg("by"), nb::arg("dtype").none(), nb::arg("out"),
             nb::arg("force"), nb::arg("command"), nb::arg("manner"));
  module.def("init", &init, nb::arg("base"), nb::arg("kind"), nb::arg("rank"), nb::arg("alpha").none(),
             nb::arg("modules"), nb::arg("first").none(), nb::arg("diff"), nb::arg("dtype").none(),
             nb::arg("adapter_folder"), nb::arg("out"), nb::arg("force"), nb::arg("command"), nb::arg("manner"));
}

}  // namespace gyro::python
