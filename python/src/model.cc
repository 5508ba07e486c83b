#include "model.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <filesystem>
#include <optional>
#include <tuple>
#include <utility>

#include "gyro/arch/arch.h"
#include "gyro/base/error.h"
#include "gyro/base/progress.h"
#include "gyro/checkpoint/memory.h"
#include "gyro/checkpoint/safetensors.h"
#include "gyro/checkpoint/writer.h"
#include "gyro/edit/card.h"
#include "gyro/edit/copy.h"
#include "gyro/open/adapter.h"
#include "gyro/open/open.h"
#include "watch.h"

namespace gyro::python {
namespace {

// Name, dtype, shape, and the bytes: an array of them, or a callable (begin, end) that gives those of rows.
using GivenTensor = std::tuple<std::string, std::string, std::vector<int64_t>, nb::object>;
constexpr uint64_t kLargestCompanion = uint64_t{1} << 30;
constexpr uint64_t kUsualShard = uint64_t{5} * 1000 * 1000 * 1000;

// An owner of the array's memory, and the memory.
TensorLease lease_of(ByteArray array) {
  const auto held = std::make_shared<std::optional<ByteArray>>(std::move(array));
  const auto bytes = std::as_bytes(std::span((*held)->data(), (*held)->size()));
  return {bytes,
          std::shared_ptr<const void>(held->value().data(),
                                      [held](const void*) {
                                        if (!nb::is_alive()) return;
                                        const nb::gil_scoped_acquire acquired;
                                        held->reset();
                                      }),
          false};
}

MemoryTensor memory_tensor(const GivenTensor& given) {
  const auto& [name, dtype, shape, data] = given;
  MemoryTensor out{{dtype_of(name, dtype), shape}, nullptr};
  if (ByteArray array; nb::try_cast(data, array)) {
    const TensorLease all = lease_of(std::move(array));
    if (all.bytes.size() != out.tensor.byte_size())
      fail(name, "has {} bytes, where its dtype and shape make {}", all.bytes.size(), out.tensor.byte_size());
    out.read = [all, row = out.tensor.row_bytes()](int64_t begin, int64_t end) {
      return TensorLease{all.bytes.subspan(static_cast<size_t>(begin) * row, static_cast<size_t>(end - begin) * row),
                         all.owner, false};
    };
    return out;
  }
  const auto callable = shared_reference(data);
  out.read = [callable](int64_t begin, int64_t end) {
    const nb::gil_scoped_acquire acquired;
    const nb::handle read(static_cast<PyObject*>(const_cast<void*>(callable.get())));
    return lease_of(nb::cast<ByteArray>(read(begin, end)));
  };
  return out;
}

// An adapter that PEFT has put into a model in memory: messages call it by the model's name, not by the temporary
// folder that it lies in.
class HeldAdapter : public AdapterSource {
 public:
  HeldAdapter(const std::filesystem::path& folder, LoraConfig config, const std::shared_ptr<const TensorSource>& base)
      : AdapterSource(folder, std::move(config), base), base_(base) {}
  std::vector<std::string> all_warnings() const override {
    std::vector<std::string> all = base_->all_warnings();
    for (const std::string& warning : warnings()) all.push_back(fmt::format("{}: {}", id(), warning));
    return all;
  }
  std::string id() const override { return base_->id(); }
  std::vector<std::filesystem::path> folders() const override { return base_->folders(); }

 private:
  std::shared_ptr<const TensorSource> base_;
};

Model adapt(const Model& base, const std::string& folder, const std::string& config) {
  const nb::gil_scoped_release released;
  return {std::make_shared<HeldAdapter>(folder, parse_lora_config(base.source->id(), config), base.source)};
}

Model hold(const std::string& id, const std::string& config, const std::vector<GivenTensor>& tensors) {
  MemoryTensors held;
  for (const GivenTensor& given : tensors) held[std::get<0>(given)] = memory_tensor(given);
  return {std::make_shared<MemorySource>(id, config, held)};
}

nb::dict tensors_of(const Model& model) {
  nb::dict out;
  for (const auto& [name, tensor] : model.source->tensors())
    out[nb::cast(name)] = nb::make_tuple(std::string(dtype_name(tensor.dtype)), nb::tuple(nb::cast(tensor.shape)));
  return out;
}

// Nobody watches, but a signal ends it: a construction is made when it is read.
Manner unwatched() {
  return {.progress = nb::none(), .warn = nb::none()};
}

auto read(const Model& model, const std::string& name) {
  if (model.source->find(name) == nullptr) throw nb::key_error(name.c_str());
  return bytes_for_python(
      watched<TensorLease>(unwatched(), [source = model.source, name](const RunOptions&, const Warn&) {
        TensorLease lease = source->read(name);
        source->check();
        return lease;
      }));
}

MatrixSite site_of(const TensorSource& source, int64_t layer, const std::string& type_text, int64_t expert) {
  const auto type = type_from_name(type_text);
  if (!type) fail_field("type", "'{}' is no type of matrix", printable(type_text, 40));
  for (const MatrixSite& site : map_model(source, {*type}).sites) {
    if (site.key() == MatrixKey{layer, *type, expert}) return site;
  }
  fail_field("layer", "{} has no {}", source.id(), matrix_name({layer, *type, expert}));
}

// W, d_in x d_out.
ReadOnlyArray matrix(const Model& model, int64_t layer, const std::string& type, int64_t expert) {
  auto values = watched<Matrix>(unwatched(), [=, source = model.source](const RunOptions&, const Warn&) {
    const Weight weight = load_weight(*source, site_of(*source, layer, type, expert));
    Matrix out(weight.cols, weight.rows);
    widen(weight, 0, weight.rows, 0, weight.cols, out.data(), weight.cols);
    source->check();
    return out;
  });
  return array_for_python(std::move(values), false);
}

// (layer, type, expert or None, tensor, d_in, d_out) of each.
nb::list matrices(const Model& model) {
  ModelMap map;
  {
    const nb::gil_scoped_release released;
    map = map_model(*model.source);
  }
  nb::list sites;
  for (const MatrixSite& site : map.sites) {
    const nb::object expert = site.expert < 0 ? nb::none() : nb::object(nb::int_(site.expert));
    sites.append(
        nb::make_tuple(site.layer, std::string(type_name(site.type)), expert, site.tensor, site.d_in, site.d_out));
  }
  return sites;
}

void save(const Model& model, const std::string& folder, const std::optional<std::string>& dtype, bool force,
          const Manner& manner) {
  run_watched(manner, [=, source = model.source](const RunOptions& run, const Warn&) {
    std::optional<DType> as;
    if (dtype) as = dtype_of("dtype", *dtype);
    check_output_folder(folder, source->folders(), force);
    const std::vector<PlannedTensor> plan = plan_tensors(*source, as);
    const std::vector<std::string> companions = companion_files(*source);
    const std::string config = config_with_dtype(*source, as);
    CheckpointWriter writer(folder, plan, kUsualShard, force);
    {
      Progress progress("tensors", static_cast<int>(plan.size()), static_cast<double>(plan.size()), run.progress);
      for (const PlannedTensor& tensor : plan) {
        if (run.stop()) return;
        progress.begin(tensor.name);
        writer.append(copy_tensor(*source, tensor));
        progress.advance(1, 1);
      }
    }
    copy_companions(*source, companions, writer);
    writer.add_file("config.json", config);
    source->check();
    writer.finish();
  });
}

nb::dict read_safetensors(const std::string& path) {
  const auto file = std::make_shared<SafetensorsFile>(path);
  nb::dict out;
  for (const auto& [name, info] : file->header().tensors) {
    const auto bytes = bytes_for_python({file->bytes(info), file, true});
    out[nb::cast(std::string(name))] =
        nb::make_tuple(std::string(dtype_name(info.dtype)), nb::tuple(nb::cast(info.shape)), bytes);
  }
  return out;
}

}  // namespace

nb::ndarray<nb::numpy, const uint8_t, nb::ndim<1>> bytes_for_python(TensorLease lease) {
  auto* held = new TensorLease(std::move(lease));
  const nb::capsule owner(held, [](void* p) noexcept { delete static_cast<TensorLease*>(p); });
  return {reinterpret_cast<const uint8_t*>(held->bytes.data()), {held->bytes.size()}, owner};
}

ReadOnlyArray array_for_python(DType dtype, const std::vector<int64_t>& shape, std::span<const std::byte> bytes,
                               std::shared_ptr<const void> owner) {
  auto* held = new std::shared_ptr<const void>(std::move(owner));
  const nb::capsule capsule(held, [](void* p) noexcept { delete static_cast<std::shared_ptr<const void>*>(p); });
  const std::vector<size_t> extents(shape.begin(), shape.end());
  const auto type = dtype == DType::F64 ? nb::dtype<double>() : nb::dtype<float>();
  return {bytes.data(), extents.size(), extents.data(), capsule, nullptr, type};
}

ReadOnlyArray array_for_python(std::vector<double> values) {
  const auto held = std::make_shared<const std::vector<double>>(std::move(values));
  return array_for_python(DType::F64, {static_cast<int64_t>(held->size())}, std::as_bytes(std::span(*held)), held);
}

ReadOnlyArray array_for_python(Matrix matrix, bool transposed) {
  auto* held = new Matrix(std::move(matrix));
  const nb::capsule owner(held, [](void* p) noexcept { delete static_cast<Matrix*>(p); });
  const auto rows = static_cast<size_t>(held->rows()), cols = static_cast<size_t>(held->cols());
  const std::array<size_t, 2> shape = transposed ? std::array{cols, rows} : std::array{rows, cols};
  const auto along = static_cast<int64_t>(rows);
  const std::array<int64_t, 2> strides =
      transposed ? std::array<int64_t, 2>{along, 1} : std::array<int64_t, 2>{1, along};
  return {held->data(), 2, shape.data(), owner, strides.data(), nb::dtype<double>()};
}

nb::object text_for_python(const std::string& text) {
  return nb::steal(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape"));
}

DType dtype_of(const std::string& subject, const std::string& name) {
  const auto dtype = dtype_from_name(name);
  if (!dtype) fail(subject, "is of the dtype {}, which no checkpoint has", printable(name, 40));
  return *dtype;
}

Weight weight_of(const std::string& name, const std::string& dtype, int64_t rows, int64_t cols, const ByteArray& data) {
  Weight weight;
  weight.name = name;
  weight.dtype = dtype_of(name, dtype);
  weight.rows = rows;
  weight.cols = cols;
  if (!dtype_is_float(weight.dtype)) fail(name, "is of {}, not of floating-point numbers", dtype);
  if (rows < 1 || cols < 1) fail(name, "has no elements: it is {} x {}", rows, cols);
  TensorLease lease = lease_of(data);
  if (lease.bytes.size() != weight.byte_size())
    fail(name, "has {} bytes, where its dtype and shape make {}", lease.bytes.size(), weight.byte_size());
  weight.data = lease.bytes.data();
  weight.owner = std::move(lease.owner);
  return weight;
}

void add_models(nb::module_& module) {
  nb::class_<Manner>(module, "Manner", "How work is done and watched.")
      .def(nb::init<std::string, int, nb::object, nb::object>(), nb::arg("device"), nb::arg("threads"),
           nb::arg("progress").none(), nb::arg("warn").none());
  nb::class_<Model>(module, "Model", "A model's tensors, wherever they are.")
      .def_prop_ro("id", [](const Model& model) { return text_for_python(model.source->id()); })
      .def_prop_ro("path", [](const Model& model) { return text_for_python(model.source->path().string()); })
      .def_prop_ro("in_memory", [](const Model& model) { return model.source->folders().empty(); })
      .def_prop_ro("warnings",
                   [](const Model& model) {
                     nb::list texts;
                     for (const std::string& text : model.source->all_warnings()) texts.append(text_for_python(text));
                     return texts;
                   })
      .def_prop_ro("parameters", [](const Model& model) { return model.source->parameters(); })
      .def("layers", [](const Model& model) { return count_layers(*model.source); })
      .def("companion",
           [](const Model& model, const std::string& name) { return model.source->companion(name, kLargestCompanion); })
      .def("tensors", &tensors_of)
      .def("read", &read, nb::arg("name"))
      .def("matrices", &matrices)
      .def("matrix", &matrix, nb::arg("layer"), nb::arg("type"), nb::arg("expert"))
      .def("save", &save, nb::arg("folder"), nb::arg("dtype").none(), nb::arg("force"), nb::arg("manner"));
  module.def(
      "open",
      [](const nb::bytes& path, const Model* base) {
        const std::string name(path.c_str(), path.size());
        const nb::gil_scoped_release released;
        return Model{open_model(name, base ? base->source : nullptr)};
      },
      nb::arg("path"), nb::arg("base").none());
  module.def("hold", &hold, nb::arg("id"), nb::arg("config"), nb::arg("tensors"));
  module.def("adapt", &adapt, nb::arg("base"), nb::arg("folder"), nb::arg("config"));
  module.def("read_safetensors", &read_safetensors, nb::arg("path"));
}

}  // namespace gyro::python
