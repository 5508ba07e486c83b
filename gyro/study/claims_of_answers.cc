#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "gyro/edit/variants.h"
#include "gyro/study/claim_parts.h"

namespace gyro {
namespace {

constexpr const char* kNoTasks = "no tasks were asked";

// A variant's answers to one task, beside the original's to the same questions.
struct Cell {
  double share = NAN;                           ///< of the original's accuracy
  double difference = NAN, low = NAN, p = NAN;  ///< of accuracies; the lower end of its interval; adjusted
};

struct Answered {
  std::string variant;
  std::vector<Cell> cells;  ///< of tasks that the original answers at all

  double least() const { return std::ranges::min(cells, {}, &Cell::share).share; }
  double most() const { return std::ranges::max(cells, {}, &Cell::share).share; }
  bool destroyed() const { return most() < kLost; }
  bool kept() const {
    return std::ranges::all_of(cells, [](const Cell& cell) { return cell.low > -kKept; });
  }
  bool lost() const {
    return std::ranges::any_of(cells, [](const Cell& cell) { return cell.difference < -kKept && cell.p < 0.05; });
  }
};

using Answers = std::vector<Answered>;

Answers answers_of(const Json& evaluation) {
  Answers out;
  std::map<std::string, double> original;
  for (const Json& cell : list_of(evaluation, "cells")) {
    const std::string variant = text_of(cell, "variant"), task = text_of(cell, "task");
    const double accuracy = number_of(part_of(cell, "accuracy"), "mean");
    if (variant == "original") original[task] = accuracy;
    if (variant == "original" || !(original[task] > 0) || !std::isfinite(accuracy)) continue;
    auto it = std::ranges::find(out, variant, &Answered::variant);
    if (it == out.end()) it = out.insert(out.end(), Answered{variant, {}});
    const Json& against = part_of(cell, "against_first");
    it->cells.push_back({accuracy / original[task], number_of(against, "difference"), number_of(against, "low"),
                         number_of(against, "p_adjusted")});
  }
  return out;
}

const Answered* find(const Answers& all, const std::string& name) {
  const auto it = std::ranges::find(all, name, &Answered::variant);
  return it == all.end() ? nullptr : &*it;
}

template <typename Condition>
Answers those(const Answers& all, const Condition& condition) {
  Answers out;
  std::ranges::copy_if(all, std::back_inserter(out), [&](const Answered& one) { return condition(one.variant); });
  return out;
}

// Of each that has one, its control: the name with another ending.
Answers controls_of(const Answers& all, const Answers& of, std::string_view ending) {
  constexpr std::string_view kSibling = "-sibling";
  Answers out;
  for (const Answered& one : of) {
    std::string name = one.variant;
    if (name.ends_with(kSibling)) name.resize(name.size() - kSibling.size());
    if (const Answered* control = find(all, name.append(ending))) out.push_back(*control);
  }
  return out;
}

// "restore-attention-out 100 %, restore-mlp-out 71-83 %": of the original's accuracy, over the tasks.
std::string shares_text(const Answers& list) {
  std::vector<std::string> parts;
  for (const Answered& one : list) {
    const std::string least = fmt::format("{:.0f}", 100 * one.least()), most = fmt::format("{:.0f}", 100 * one.most());
    parts.push_back(fmt::format("{} {} %", one.variant, least == most ? least : least + "-" + most));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

// Nothing to judge: whether for want of tasks, of answers, or of this variant.
bool is_untested(Claim& claim, const Json& evaluation, const Answers& all, const Answers& these, const char* what) {
  if (!these.empty()) return false;
  const bool asked = !list_of(evaluation, "cells").empty();
  claim.why = !asked ? kNoTasks : all.empty() ? "the original answers no task right, nor do others beside it" : what;
  return true;
}

void show(Claim& claim, const Answers& these, const Answers& controls) {
  claim.figure = fmt::format("of the original's accuracy: {}", shares_text(these));
  if (!controls.empty()) claim.control = shares_text(controls);
}

double largest_loss(const Answers& list, double Cell::*figure) {
  double loss = 0;
  for (const Answered& one : list) {
    for (const Cell& cell : one.cells) loss = std::max(loss, -(cell.*figure));
  }
  return loss;
}

}  // namespace

// Tables 1 and 5.
void judge_replacement(Claim& claim, const Json& evaluation) {
  const Answers all = answers_of(evaluation);
  const Answers these = those(all, [](std::string_view name) { return name == "replace" || name == "replace-scaled"; });
  if (is_untested(claim, evaluation, all, these, "no variant with replaced singular values was asked")) return;
  const Answers noise = those(all, [](std::string_view name) { return name == "replace-noise"; });
  show(claim, these, noise);
  const bool kept = std::ranges::all_of(these, &Answered::kept), lost = std::ranges::any_of(these, &Answered::lost);
  claim.verdict = lost ? ClaimVerdict::NotSupported : ClaimVerdict::Unclear;
  claim.why = fmt::format("the largest loss is {:.1f} points, with 95 % none is larger than {:.1f}",
                          100 * largest_loss(these, &Cell::difference), 100 * largest_loss(these, &Cell::low));
  if (!kept) return;
  if (noise.empty()) {
    claim.why += "; noise of the same size was not asked beside it";
    return;
  }
  const bool noise_keeps = noise.front().kept();
  claim.verdict = noise_keeps ? ClaimVerdict::AsItsControl : ClaimVerdict::Supported;
  claim.why += noise_keeps ? "; noise of the same size leaves as much, so nothing hangs on what was replaced"
                           : "; noise of the same size may lose more";
}

// Table 2, Figure 5.
void judge_ablation(Claim& claim, const Json& evaluation) {
  const Answers all = answers_of(evaluation);
  const Answers these =
      those(all, [](std::string_view name) { return name.starts_with("ablate-") && !is_control_variant(name); });
  if (is_untested(claim, evaluation, all, these, "no ablation was asked")) return;
  const Answers fakes = controls_of(all, these, "-fake"), aligned = controls_of(all, these, "-aligned");
  Answers controls = fakes;
  controls.insert(controls.end(), aligned.begin(), aligned.end());
  show(claim, these, controls);
  const auto whole = [](const Answered& one) { return one.least() >= kRestored; };
  if (!std::ranges::all_of(these, &Answered::destroyed)) {
    const bool none = std::ranges::all_of(these, whole);
    claim.verdict = none ? ClaimVerdict::NotSupported : ClaimVerdict::Unclear;
    claim.why =
        fmt::format("not all ablations fall under {:.0f} % of the original's accuracy in every task", 100 * kLost);
    return;
  }
  claim.why = fmt::format("all ablations fall under {:.0f} % of the original's accuracy", 100 * kLost);
  const bool any_base = !fakes.empty() && std::ranges::all_of(fakes, &Answered::destroyed);
  const bool signs = !aligned.empty() && std::ranges::all_of(aligned, whole);
  claim.verdict = any_base || signs ? ClaimVerdict::AsItsControl : ClaimVerdict::Unclear;
  if (any_base) {
    claim.why +=
        "; so do those of a fake base: what destroys is the construction, not that a rotation of post-training "
        "is taken away";
  } else if (signs) {
    claim.why += "; with signs aligned they do not: what destroys is the arbitrary sign of singular vectors";
  } else if (fakes.empty()) {
    claim.why += "; no fake base was asked beside them";
  } else if (std::ranges::none_of(fakes, &Answered::destroyed)) {
    claim.verdict = ClaimVerdict::Supported;
    claim.why += "; none of a fake base's does";
  } else {
    claim.why += "; some of a fake base's do as well";
  }
}

// Tables 2, 7 and 8; of a sibling eq. 12.
void judge_restoration(Claim& claim, const Json& evaluation, bool sibling) {
  const Answers all = answers_of(evaluation);
  const Answers these = those(all, [&](std::string_view name) {
    return name.starts_with("restore-") && !is_control_variant(name) && name.ends_with("-sibling") == sibling;
  });
  const char* none = sibling ? "no sibling was named" : "no restoration was asked";
  if (is_untested(claim, evaluation, all, these, none)) return;
  const Answers fakes = controls_of(all, these, "-fake");
  show(claim, these, fakes);
  const bool back = std::ranges::all_of(these, [](const Answered& one) { return one.least() >= kRestored; });
  const double least = std::ranges::min(these, {}, &Answered::least).least();
  claim.verdict = std::ranges::all_of(these, &Answered::destroyed) ? ClaimVerdict::NotSupported : ClaimVerdict::Unclear;
  claim.why = fmt::format("at the least {:.0f} % of the original's accuracy in a task; {:.0f} % count as restored",
                          100 * least, 100 * kRestored);
  if (fakes.size() < these.size()) {
    claim.why += "; no fake base was asked beside each";
    return;
  }
  // As many, in the same order.
  const auto beyond = [&](const Answered& one) {
    const Answered& fake = fakes[static_cast<size_t>(&one - these.data())];
    return one.least() > fake.least() + kBeyond;
  };
  const bool any = std::ranges::any_of(these, beyond);
  if (back)
    claim.verdict = std::ranges::all_of(these, beyond) ? ClaimVerdict::Supported
                    : any                              ? ClaimVerdict::Unclear
                                                       : ClaimVerdict::AsItsControl;
  claim.why += any ? "; some of a fake base's keep less"
                   : "; a fake base, noise in place of what post-training did, restores as much";
}

}  // namespace gyro
