#include "gyro/diff/trajectory.h"

#include <algorithm>
#include <cmath>

#include "gyro/linalg/linalg.h"
#include "gyro/spectra/moments.h"

namespace gyro {
namespace {

double overlap(ConstMatrixView a, ConstMatrixView b) {
  const double norm = linalg::norm(linalg::product(linalg::Op::Transpose, linalg::Op::None, a, b));
  return norm * norm / static_cast<double>(a.cols);
}

double with_base(const Matrix& leading) {
  const double norm = linalg::norm(leading.view().block(0, 0, leading.cols(), leading.cols()));
  return norm * norm / static_cast<double>(leading.cols());
}

// A figure of a pooled type; what it is where nothing has changed, which the last checkpoint's row may tell.
struct Figure {
  const char* name;
  double (*of)(const TypeRow&);
  double (*at_base)(const TypeRow& last);
};

double zero(const TypeRow&) {
  return 0;
}
double one(const TypeRow&) {
  return 1;
}
double unknown(const TypeRow&) {
  return kUndefined;
}

template <typename Get>
double quantity(const TypeRow& type, Get get) {
  return type.quantities ? get(*type.quantities) : kUndefined;
}

double drift(const TypeRow& type, double SubspaceDrift::*member) {
  return type.drift ? *type.drift.*member : kUndefined;
}

constexpr Figure kFigures[] = {
    {"relative_change", [](const TypeRow& t) { return t.relative_change_mean; }, zero},
    {"scale", [](const TypeRow& t) { return t.scale_mean; }, one},
    {"alpha_mean", [](const TypeRow& t) { return t.alpha_mean; }, one},
    {"alpha_std", [](const TypeRow& t) { return t.alpha_std; }, zero},
    {"nf_robust", [](const TypeRow& t) { return t.nf_robust_mean; }, zero},
    {"principal_share_u",
     [](const TypeRow& t) { return quantity(t, [](const Quantities& q) { return q.principal_share.q10.u.value; }); },
     unknown},
    {"principal_share_v",
     [](const TypeRow& t) { return quantity(t, [](const Quantities& q) { return q.principal_share.q10.v.value; }); },
     unknown},
    {"nss_c", [](const TypeRow& t) { return quantity(t, [](const Quantities& q) { return q.spectrum.nss_c.value; }); },
     zero},
    {"to_base_u", [](const TypeRow& t) { return drift(t, &SubspaceDrift::to_base_u); }, one},
    {"to_base_v", [](const TypeRow& t) { return drift(t, &SubspaceDrift::to_base_v); }, one},
    {"to_last_u", [](const TypeRow& t) { return drift(t, &SubspaceDrift::to_last_u); },
     [](const TypeRow& t) { return drift(t, &SubspaceDrift::to_base_u); }},
    {"to_last_v", [](const TypeRow& t) { return drift(t, &SubspaceDrift::to_last_v); },
     [](const TypeRow& t) { return drift(t, &SubspaceDrift::to_base_v); }},
    {"erank", [](const TypeRow& t) { return quantity(t, [](const Quantities& q) { return q.spectrum.erank_post; }); },
     [](const TypeRow& t) { return quantity(t, [](const Quantities& q) { return q.spectrum.erank_base; }); }},
    {"ww_alpha",
     [](const TypeRow& t) { return quantity(t, [](const Quantities& q) { return q.spectrum.ww_alpha_post.alpha; }); },
     [](const TypeRow& t) { return quantity(t, [](const Quantities& q) { return q.spectrum.ww_alpha_base.alpha; }); }},
};

// What a way must exceed, of its larger end and at all: figures are right to about this much, and less is rounding, as
// of the directions of matrices that were only scaled.
constexpr double kWay = 1e-6, kLeastWay = 1e-9;

std::optional<int64_t> half_way(double base, const std::vector<double>& values) {
  const double way = values.back() - base, size = std::max(std::abs(base), std::abs(values.back()));
  if (!(std::abs(way) > std::max(kLeastWay, kWay * size))) return std::nullopt;
  for (size_t i = 0; i < values.size(); ++i) {
    if ((values[i] - base) / way >= 0.5) return static_cast<int64_t>(i);
  }
  return std::nullopt;
}

}  // namespace

SubspaceDrift drift_of(const LeadingVectors& step, const LeadingVectors& last, const MatrixSite& site) {
  SubspaceDrift out{.k = step.u->cols(), .to_base_u = with_base(*step.u), .to_base_v = with_base(*step.v)};
  if (site.d_in <= site.d_out) out.to_last_u = overlap(*step.u, *last.u);
  if (site.d_out <= site.d_in) out.to_last_v = overlap(*step.v, *last.v);
  return out;
}

std::optional<SubspaceDrift> pool_drift(const std::vector<const MatrixRow*>& rows) {
  Moments to_base_u, to_base_v, to_last_u, to_last_v;
  std::optional<SubspaceDrift> out;
  const auto add = [](Moments& sum, double value) {
    if (!std::isnan(value)) sum.add(value);
  };
  for (const MatrixRow* row : rows) {
    if (!row->drift) continue;
    const SubspaceDrift& one = *row->drift;
    if (!out) out = SubspaceDrift{.k = one.k};
    out->k = std::min(out->k, one.k);
    add(to_base_u, one.to_base_u);
    add(to_base_v, one.to_base_v);
    add(to_last_u, one.to_last_u);
    add(to_last_v, one.to_last_v);
  }
  if (out) out = SubspaceDrift{out->k, to_base_u.mean(), to_base_v.mean(), to_last_u.mean(), to_last_v.mean()};
  return out;
}

Trajectory trajectory_of(const std::vector<Comparison>& comparisons) {
  std::vector<const Comparison*> posts;
  for (const Comparison& comparison : comparisons) {
    if (comparison.role == Role::Post) posts.push_back(&comparison);
  }
  Trajectory out;
  const std::vector<std::string> names = model_names(comparisons);
  out.steps.assign(names.begin(), names.begin() + std::ssize(posts));
  const std::vector<TypeRow>& types = posts.back()->types;  // posts have the same ones
  for (size_t t = 0; t < types.size(); ++t) {
    const bool ends_at_base = types[t].untouched == types[t].layers;
    for (const Figure& figure : kFigures) {
      TrajectoryLine line{.type = types[t].type, .figure = figure.name, .at_base = figure.at_base(types[t])};
      for (const Comparison* post : posts) line.values.push_back(figure.of(post->types[t]));
      if (!ends_at_base) line.half_way = half_way(line.at_base, line.values);
      out.lines.push_back(std::move(line));
    }
  }
  return out;
}

}  // namespace gyro
