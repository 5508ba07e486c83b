#include "gyro/diff/outside_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/diff/findings/words.h"

namespace gyro {
namespace {

using findings::counted;
using findings::percent;

constexpr size_t kShown = 3;
constexpr size_t kTokens = 5;  // that a sentence names

std::string name_of(const OutsideGroup& group) {
  switch (group.kind) {
    case OutsideKind::Embeddings:
      return "embeddings";
    case OutsideKind::Head:
      return "head";
    case OutsideKind::Norms:
      return counted(group.tensors, "norm", "norms");
    case OutsideKind::Biases:
      return counted(group.tensors, "bias", "biases");
    case OutsideKind::Other:
      return counted(group.tensors, "other tensor", "other tensors");
  }
  return "";
}

bool in_one_piece(const OutsideGroup& group) {
  return group.tensors == 1 && (group.kind == OutsideKind::Embeddings || group.kind == OutsideKind::Head);
}

// "the embeddings by 0.12 %", "3 of 7 norms by 0.3 %".
std::string changed_words(const OutsideGroup& group) {
  std::string what = in_one_piece(group) ? fmt::format("the {}", name_of(group))
                     : group.changed == group.tensors
                         ? fmt::format("{}{}", group.tensors > 2 ? "all " : "", name_of(group))
                         : fmt::format("{} of {}", group.changed, name_of(group));
  if (std::isnan(group.relative_change)) return what;
  const int64_t defined = group.defined.value_or(group.tensors);
  return fmt::format("{} by {}{}", what, percent(group.relative_change),
                     defined < group.tensors ? fmt::format(" (over {} of {})", defined, group.tensors) : "");
}

std::string named(const std::vector<std::string>& names, size_t count) {
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(kShown, names.size()); ++i) shown.push_back(printable(names[i], 120));
  return fmt::format("{}{}", fmt::join(shown, ", "), count > shown.size() ? ", ..." : "");
}

std::string head_words(const Outside& outside) {
  if (outside.base_head == outside.post_head) return "";
  const auto word = [](HeadKind kind) {
    switch (kind) {
      case HeadKind::Own:
        return "has a head of its own";
      case HeadKind::Tied:
        return "has the embeddings for a head";
      case HeadKind::Missing:
        return "has no head (its embeddings are compared in place of one)";
      case HeadKind::None:
        return "has neither head nor embeddings";
    }
    return "";
  };
  return fmt::format(" The base {}, the post {}.", word(outside.base_head), word(outside.post_head));
}

// A token's text on one line: "\n" is told by its name.
std::string quoted(const std::string& token) {
  std::string out;
  for (const char c : token) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' || c == '\t') {
      out += c == '\n' ? "\\n" : "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02X}", byte);
    } else {
      out += c;
    }
  }
  return fmt::format("\"{}\"", printable(out, 40));
}

// "\" the\" (262) by 31 %"; a number alone where the text is not known.
std::string token_name(const TokenRow& row) {
  const std::string name =
      row.token ? fmt::format("{} ({})", quoted(*row.token), row.id) : fmt::format("token {}", row.id);
  return std::isnan(row.relative_change) ? name + " from zero"
                                         : fmt::format("{} by {}", name, percent(row.relative_change));
}

std::string token_names(const TokenRows& tokens) {
  std::vector<std::string> names;
  const auto count = static_cast<size_t>(tokens.rows_beyond);
  for (size_t i = 0; i < std::min({kTokens, count, tokens.most.size()}); ++i)
    names.push_back(token_name(tokens.most[i]));
  if (count > names.size()) names.push_back(fmt::format("and {} more", count - names.size()));
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string token_words(const TokenRows& tokens) {
  const int64_t changed = tokens.rows - tokens.rows_unchanged;
  const std::string of = fmt::format("{} of the {}", counted(tokens.rows, "row", "rows"),
                                     tokens.kind == OutsideKind::Head ? "head"
                                     : tokens.tied                    ? "embeddings (and head)"
                                                                      : "embeddings");
  if (changed == 0) return fmt::format("Of {} none changed.", of);
  std::string text = fmt::format("Of {} {} changed", of, changed == tokens.rows ? "all" : std::to_string(changed));
  if (tokens.rows_undefined > 0)
    text += fmt::format(" ({} to what is no number, or from it)",
                        tokens.rows_undefined == changed ? "all of them" : std::to_string(tokens.rows_undefined));
  if (std::isnan(tokens.largest)) return text + ".";
  const std::string largest = percent(tokens.largest);  // or "less than 0.0001 %"
  const std::string chance = largest.starts_with("less")
                                 ? fmt::format("the largest has when the change is spread evenly, {}", largest)
                                 : fmt::format("the {} that the largest has when the change is spread evenly", largest);
  if (tokens.rows_beyond == 0)
    return fmt::format("{}, none by more than {}: {} is the most.", text, chance, token_name(tokens.most.front()));
  const std::string which = tokens.rows_beyond < changed ? fmt::format("{} of them ", tokens.rows_beyond)
                            : changed > 1                ? "all of them "
                                                         : "";
  return fmt::format("{}, {}by more than {}: {}.", text, which, chance, token_names(tokens));
}

std::string outside_words(const Outside& outside) {
  std::vector<std::string> changed;
  int64_t tensors = 0, missing = 0, added = 0, reshaped = 0, differing = 0;
  for (const OutsideGroup& group : outside.groups) {
    tensors += group.tensors;
    missing += group.missing;
    added += group.added;
    reshaped += group.reshaped;
    differing += group.changed;
    if (group.changed > 0) changed.push_back(changed_words(group));
  }
  std::string text = "Outside the matrices ";
  if (tensors == 0) {
    text += "nothing was compared.";
  } else if (changed.empty()) {
    text += fmt::format("{}{} the base's values.", tensors > 1 ? "all " : "",
                        counted(tensors, "tensor has", "tensors have"));
  } else {
    const std::string of_all = counted(tensors, "tensor", "tensors");
    text += fmt::format("{} differ{}: {}.",
                        differing < tensors ? fmt::format("{} of {}", differing, of_all)
                        : tensors > 1       ? fmt::format("all {}", of_all)
                                            : of_all,
                        differing == 1 ? "s" : "", fmt::join(changed, ", "));
  }
  if (outside.vocabulary) {
    const VocabularyRows& v = *outside.vocabulary;
    text += fmt::format(" Vocabulary {} → {} rows: the first {} compared.", v.base, v.post, v.compared);
  }
  text += head_words(outside);
  if (reshaped > 0)
    text += fmt::format(" {} of another shape: {}.", counted(reshaped, "tensor is", "tensors are"),
                        named(outside.reshaped, static_cast<size_t>(reshaped)));
  if (missing > 0)
    text += fmt::format(" The post lacks {}: {}.", counted(missing, "tensor", "tensors"),
                        named(outside.missing, static_cast<size_t>(missing)));
  if (added > 0)
    text += fmt::format(" The base lacks {}: {}.", counted(added, "tensor", "tensors"),
                        named(outside.added, static_cast<size_t>(added)));
  for (const bool in_base : {true, false}) {
    if (const std::string odd = odd_words(outside, in_base); !odd.empty())
      text += fmt::format(" In the {} {}.", in_base ? "base" : "post", odd);
  }
  return text;
}

std::string odd_words(const Outside& outside, bool in_base) {
  std::vector<std::string> names;
  int64_t count = 0;
  for (const OddTensor& odd : outside.odd) {
    if (odd.in_base != in_base) continue;
    names.push_back(fmt::format("{} ({})", printable(odd.tensor, 80), odd.count));
    count += odd.count;
  }
  if (count == 0) return "";
  return fmt::format("{} no number{}: {}", counted(count, "value is", "values are"), count == 1 ? "" : "s",
                     named(names, names.size()));
}

std::string lacking_words(const std::vector<std::string>& missing, const std::vector<std::string>& added) {
  const auto say = [](const std::vector<std::string>& names) {
    return fmt::format("{}: {}", counted(static_cast<int64_t>(names.size()), "tensor", "tensors"),
                       named(names, names.size()));
  };
  std::string text;
  if (!missing.empty()) text += fmt::format("lacks {}, which the base has", say(missing));
  if (!added.empty()) text += fmt::format("{}has {}, which the base lacks", text.empty() ? "" : "; ", say(added));
  return text;
}

}  // namespace gyro
