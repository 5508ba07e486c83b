#include "gyro/diff/execute.h"

#include "gyro/base/parallel.h"
#include "gyro/base/progress.h"
#include "gyro/device/pool.h"
#include "gyro/spectra/pair.h"

namespace gyro {

bool execute(const DiffPlan& plan, const std::vector<int64_t>& units, const RunOptions& run, const UnitSink& sink) {
  device::Workers workers(run.cuda, run.threads, run.memory);
  const int count = static_cast<int>(units.size()), ahead = workers.count();
  const auto unit_at = [&](int i) { return units[static_cast<size_t>(i)]; };
  double total_work = 0;
  for (const int64_t unit : units) total_work += work_of(plan.unit(unit));
  Progress progress("matrices", count, total_work, run.progress);
  const auto job = [&](int i) {
    const int64_t unit = unit_at(i);
    const MatrixSite& site = plan.unit(unit);
    // A GPU is faster than a disk. Processors are not, and there may be more of them than memory has room for.
    if (!run.cuda || i < ahead) prefetch_unit(plan, unit);
    if (run.cuda && i + ahead < count) prefetch_unit(plan, unit_at(i + ahead));
    progress.begin(matrix_name(site.key()));
    UnitResult result;
    workers.run(site.tensor, working_memory(workers.space(), site.d_in, site.d_out),
                [&] { result = compute_unit(plan, unit); });
    sink(unit, std::move(result));
    progress.advance(1, work_of(site));
  };
  return parallel_for(count, ahead, job, run.stop);
}

}  // namespace gyro
