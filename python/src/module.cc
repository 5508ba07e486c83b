#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <new>
#include <optional>
#include <string>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/base/team.h"
#include "gyro/base/version.h"
#include "gyro/cli/run_command.h"
#include "gyro/device/device.h"
#include "gyro/eval/grade/grade.h"
#include "gyro/linalg/linalg.h"
#include "model.h"
#include "watch.h"

namespace gyro::python {
namespace {

const char* kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::Input:
      return "input";
    case ErrorKind::NotFound:
      return "not_found";
    case ErrorKind::Io:
      return "io";
    case ErrorKind::Memory:
      return "memory";
    case ErrorKind::Device:
      return "device";
    case ErrorKind::Internal:
      break;
  }
  return "internal";
}

// Has gyro._errors make the exception of a kind, and sets it.
void raise(const char* kind, const std::string& subject, const std::string& problem, const std::string& field) {
  const nb::object made = nb::module_::import_("gyro._errors")
                              .attr("made")(kind, text_for_python(subject), text_for_python(problem), field);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(made.ptr())), made.ptr());
}

void translate(const std::exception_ptr& thrown, void* /*payload*/) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    raise(kind_name(error.kind()), error.subject(), error.problem(), error.field());
  } catch (const std::bad_alloc&) {
    raise("memory", "memory", "not enough for this; fewer threads may need less", "");
  } catch (const device::OutOfMemory& error) {
    raise("memory", "device", error.what(), "");
  } catch (const Stopped&) {
    PyErr_SetNone(PyExc_KeyboardInterrupt);
  }
}

nb::dict decision(const grading::Decision& made) {
  nb::dict out;
  out["verdict"] = std::string(grading::verdict_name(made.verdict));
  out["extracted"] =
      nb::steal(PyUnicode_DecodeUTF8(made.extracted.data(), static_cast<Py_ssize_t>(made.extracted.size()), "replace"));
  out["rule"] = made.rule;
  return out;
}

nb::tuple grade(const std::string& policy_text, const std::string& gold, const std::string& output, bool cut,
                const std::vector<std::string>& choices) {
  const auto policy = grading::policy_of(policy_text);
  if (!policy)
    fail_field("policy", "can be {}, not '{}'", fmt::join(grading::policy_names(), ", "), printable(policy_text, 60));
  grading::Grade graded;
  {
    const nb::gil_scoped_release released;
    graded = grading::grade({*policy, gold, output, cut, choices});
  }
  return nb::make_tuple(decision(graded.strict), decision(graded.flexible));
}

}  // namespace
}  // namespace gyro::python

// What threadpoolctl's controllers call.
extern "C" __attribute__((visibility("default"))) int gyro_get_num_threads() {
  return gyro::python::default_threads();
}
extern "C" __attribute__((visibility("default"))) void gyro_set_num_threads(int threads) {
  gyro::python::set_default_threads(threads);
}

NB_MODULE(_core, module) {
  using namespace gyro::python;
  nb::set_leak_warnings(false);  // what a program still holds at its end is no fault of its
  module.doc() = "What Gyro's Python package is made of; use the package.";
  nb::register_exception_translator(translate);
  module.def("version", [] { return std::string(gyro::version()); });
  module.def("library_warning", [] { return gyro::linalg::library_warning(); });
  module.def(
      "run_command",
      [](const std::vector<nb::bytes>& arguments) {
        std::vector<std::string> words;
        for (const nb::bytes& argument : arguments) words.emplace_back(argument.c_str(), argument.size());
        const nb::gil_scoped_release released;
        return gyro::run_command(words);
      },
      nb::arg("arguments"));
  module.def("finish_left_work", &finish_left_work);
  module.def("default_threads", &default_threads);
  module.def("grade", &grade, nb::arg("policy"), nb::arg("gold"), nb::arg("output"), nb::arg("cut"),
             nb::arg("choices"));
  add_models(module);
  add_diff(module);
  add_arrays(module);
  add_edit(module);
}
