#include "gyro/cli/names.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "gyro/base/error.h"
#include "gyro/base/utf8.h"
#include "gyro/diff/result.h"

namespace gyro {
namespace {

using std::string;

// `text` of at most `limit` columns, of which `head` are from its beginning.
string cut_in_the_middle(const string& text, size_t limit, size_t head) {
  const size_t length = columns_of(text);
  if (length <= limit) return text;
  const size_t tail = limit - head - 2;
  string rest = text.substr(first_columns(text, length - tail).size());
  if (columns_of(rest) > tail)
    rest = text.substr(first_columns(text, length - tail + 1).size());  // half of a wide sign
  return string(first_columns(text, head)) + ".." + rest;
}

bool all_differ(const std::vector<string>& names) {
  return std::set<string>(names.begin(), names.end()).size() == names.size();
}

// Letters put in, left out, taken for another or swapped with their neighbour.
size_t edit_distance(const string& a, const string& b) {
  std::vector<size_t> before, last, row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1), last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row.back();
}

}  // namespace

std::vector<string> cut_names(const std::vector<string>& names, size_t limit) {
  std::vector<string> whole;
  for (const string& name : names) whole.push_back(printable(name));
  if (limit < 4) return whole;
  std::vector<string> cut;
  for (size_t head = (limit - 2) / 2;; --head) {  // what tells models apart is at the end, more often than not
    cut.clear();
    for (const string& name : whole) cut.push_back(cut_in_the_middle(name, limit, head));
    if (head == 0 || all_differ(cut) || !all_differ(whole)) return cut;
  }
}

std::vector<string> distinct_names(const std::vector<string>& ids, size_t limit) {
  return cut_names(short_names(ids), limit);
}

string did_you_mean(const string& typed, const std::vector<string>& choices) {
  string best;
  size_t least = std::max<size_t>(1, typed.size() / 3) + 1;
  for (const string& choice : choices) {
    // A beginning of at least three letters is as good as one typing error.
    const bool begins = typed.size() >= 3 && choice.starts_with(typed);
    const size_t distance = begins ? 1 : edit_distance(typed, choice);
    if (distance >= least) continue;
    least = distance;
    best = choice;
  }
  return best;
}

}  // namespace gyro
