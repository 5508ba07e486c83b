#include "gyro/eval/csv.h"

#include <algorithm>

#include "gyro/base/error.h"

namespace gyro {
namespace {

constexpr size_t kMostFields = 1000;  // of a record

class Reader {
 public:
  Reader(std::string_view subject, std::string_view text) : subject_(subject), text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
  }

  CsvRecords read() {
    CsvRecords records;
    while (at_ < text_.size()) {
      std::vector<std::string> record = read_record();
      if (record.size() > 1 || !record[0].empty()) records.push_back(std::move(record));
    }
    return records;
  }

 private:
  std::vector<std::string> read_record() {
    std::vector<std::string> record;
    do {
      if (record.size() == kMostFields)
        fail(std::string(subject_), "line {}: has more than {} fields", line(at_), kMostFields);
      record.push_back(at_ < text_.size() && text_[at_] == '"' ? quoted() : plain());
    } while (take(','));
    take('\r');
    take('\n');
    return record;
  }

  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  std::string plain() {
    const size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    std::string field(text_.substr(at_, end - at_));
    at_ = end;
    return field;
  }

  std::string quoted() {
    const size_t begin = at_++;
    std::string field;
    for (;;) {
      const size_t end = text_.find('"', at_);
      if (end == std::string_view::npos) fail(std::string(subject_), "line {}: a quote is not closed", line(begin));
      field += text_.substr(at_, end - at_);
      at_ = end + 1;
      if (!take('"')) break;
      field += '"';
    }
    if (at_ < text_.size() && std::string_view(",\r\n").find(text_[at_]) == std::string_view::npos) {
      fail(std::string(subject_), "line {}: text follows a closing quote", line(at_));
    }
    return field;
  }

  int64_t line(size_t at) const { return 1 + std::ranges::count(text_.substr(0, at), '\n'); }

  std::string_view subject_, text_;
  size_t at_ = 0;
};

}  // namespace

CsvRecords read_csv(std::string_view subject, std::string_view text) {
  return Reader(subject, text).read();
}

}  // namespace gyro
