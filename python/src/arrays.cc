#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/base/parallel.h"
#include "gyro/base/team.h"
#include "gyro/device/pool.h"
#include "gyro/diff/result.h"
#include "gyro/diff/result_json.h"
#include "gyro/diff/result_names.h"
#include "gyro/spectra/factors.h"
#include "gyro/spectra/pair.h"
#include "model.h"
#include "watch.h"

namespace gyro::python {
namespace {

// One matrix, on the threads or the GPU that a run has.
void run_alone(const RunOptions& run, const Weight& weight, const std::function<void()>& job) {
  device::Workers workers(run.cuda, run.threads, run.memory);
  const size_t bytes = working_memory(workers.space(), weight.cols, weight.rows);
  const bool done = parallel_for(
      1, workers.count(), [&](int) { workers.run(weight.name, bytes, job); }, run.stop);
  if (!done) throw Stopped();
}

// U (rows x n), S, Vᵀ (n x cols), the bound on each value's error, and those of the whole: ‖A − U S Vᵀ‖_F and
// ‖VᵀV − I‖_F + ‖UᵀU − I‖_F.
struct Svd {
  Matrix left, right;  ///< of the stored matrix, A = left diag(sigma) rightᵀ
  std::vector<double> sigma, sigma_error;
  double residual = 0, orthogonality = 0;
};

Svd decompose(const Weight& given, const RunOptions& run) {
  Svd out;
  run_alone(run, given, [&] {
    const ResidentWeight resident(given);
    Factors factors = factorize_directly(resident.weight());
    Decomposition& svd = factors.svd;
    for (size_t j = 0; j < svd.sigma.size(); ++j) {
      const double sigma = svd.sigma[j];  // of 0 no relative error bounds anything
      out.sigma_error.push_back(sigma > 0 ? sigma * svd.relative_error(static_cast<int64_t>(j)) : svd.residual);
    }
    out.sigma = svd.sigma;
    out.residual = svd.residual;
    out.orthogonality = svd.orthogonality;
    Matrix long_side = moved_to(Space::Host, std::move(svd.long_vectors));
    Matrix short_side = moved_to(Space::Host, std::move(svd.short_vectors));
    // A tall W = L S Rᵀ is the stored matrix's transpose, so that its long side is the stored one's right.
    out.left = std::move(factors.a.transposed ? long_side : short_side);
    out.right = std::move(factors.a.transposed ? short_side : long_side);
  });
  return out;
}

nb::tuple svd(const std::string& dtype, int64_t rows, int64_t cols, const ByteArray& data, const Manner& manner) {
  const Weight weight = weight_of("a", dtype, rows, cols, data);
  Svd found = watched<Svd>(manner, [weight](const RunOptions& run, const Warn&) { return decompose(weight, run); });
  return nb::make_tuple(array_for_python(std::move(found.left), false), array_for_python(std::move(found.sigma)),
                        array_for_python(std::move(found.right), true), array_for_python(std::move(found.sigma_error)),
                        found.residual, found.orthogonality);
}

struct Compared {
  std::vector<double> base_sigma;
  PairMeasure measure;
};

PairOptions pair_options(int64_t corner, const std::vector<std::string>& measures, int64_t null_draws,
                         int64_t null_nf_draws, uint64_t seed) {
  PairOptions options{.null_draws = null_draws, .null_nf_draws = null_nf_draws, .seed = seed, .corner = corner};
  for (const std::string& name : measures) {
    if (name != "update-spectrum" && name != "masks")
      fail_field("measure", "'{}' is none of a pair: update-spectrum, masks", printable(name, 40));
    options.update_spectrum |= name == "update-spectrum";
    options.masks |= name == "masks";
  }
  return options;
}

nb::dict arrays_for_python(ResultArrays arrays) {
  nb::dict out;
  for (auto& [name, array] : arrays) {
    const auto held = std::make_shared<const ResultArray>(std::move(array));
    out[name.c_str()] = array_for_python(held->dtype, held->shape, held->bytes, held);
  }
  return out;
}

// A row of result.json as text, and arrays by name.
nb::tuple compare(const std::string& base_dtype, const ByteArray& base, const std::string& post_dtype,
                  const ByteArray& post, int64_t rows, int64_t cols, int64_t corner,
                  const std::vector<std::string>& measures, int64_t null_draws, int64_t null_nf_draws, uint64_t seed,
                  const Manner& manner) {
  const Weight base_weight = weight_of("base", base_dtype, rows, cols, base);
  const Weight post_weight = weight_of("post", post_dtype, rows, cols, post);
  const PairOptions options = pair_options(std::min({corner, rows, cols}), measures, null_draws, null_nf_draws, seed);
  const Compared compared = watched<Compared>(manner, [=](const RunOptions& run, const Warn&) {
    Compared out;
    run_alone(run, base_weight, [&] {
      BaseMatrix matrix(base_weight);
      out.base_sigma = matrix.sigma();
      out.measure = matrix.compare(post_weight, options);
    });
    return out;
  });
  MatrixSite site;
  site.tensor = "post";
  site.d_in = cols;
  site.d_out = rows;
  site.row_end = rows;
  const std::string row = to_json(matrix_row(site, compared.measure)).dump();
  ResultArrays arrays = pair_arrays(compared.measure);
  arrays["base_sigma"] = result_array(compared.base_sigma);
  return nb::make_tuple(row, arrays_for_python(std::move(arrays)));
}

}  // namespace

void add_arrays(nb::module_& module) {
  module.def("svd", &svd, nb::arg("dtype"), nb::arg("rows"), nb::arg("cols"), nb::arg("data"), nb::arg("manner"));
  module.def("compare", &compare, nb::arg("base_dtype"), nb::arg("base"), nb::arg("post_dtype"), nb::arg("post"),
             nb::arg("rows"), nb::arg("cols"), nb::arg("corner"), nb::arg("measures"), nb::arg("null_draws"),
             nb::arg("null_nf_draws"), nb::arg("seed"), nb::arg("manner"));
}

}  // namespace gyro::python
