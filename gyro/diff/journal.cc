#include "gyro/diff/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/sha256.h"
#include "gyro/diff/result_files.h"
#include "gyro/diff/result_json.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kJournalName = ".gyro-journal";
constexpr std::string_view kMagic = "gyro journal 1\n";
constexpr size_t kHashSize = 64;  // hex SHA-256 of a record's payload
constexpr size_t kRecordHead = sizeof(uint64_t) + kHashSize;

std::string sha256_of(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

// The record at `at`, if it is whole, and where the next begins.
bool read_record(std::span<const std::byte> bytes, JournalContent& content) {
  const size_t at = content.end;
  if (bytes.size() - at < kRecordHead) return false;
  uint64_t length = 0;
  std::memcpy(&length, bytes.data() + at, sizeof length);
  if (length > bytes.size() - at - kRecordHead) return false;
  const auto payload = bytes.subspan(at + kRecordHead, length);
  if (std::memcmp(sha256_of(payload).data(), bytes.data() + at + sizeof length, kHashSize) != 0) return false;
  try {
    auto [unit, result] = decode_unit(payload);
    content.units.insert_or_assign(unit, std::move(result));
  } catch (const Error&) {
    return false;
  }
  content.end = at + kRecordHead + length;
  ++content.records;
  return true;
}

}  // namespace

JournalContent read_journal(std::span<const std::byte> bytes, std::string_view fingerprint) {
  JournalContent content;
  const std::string head = std::string(kMagic) + std::string(fingerprint);
  if (bytes.size() < head.size() || std::memcmp(bytes.data(), head.data(), head.size()) != 0) return content;
  content.end = head.size();
  while (read_record(bytes, content)) {
  }
  return content;
}

// Whether all that a folder has is an evaluation of gyro eval, beside which a result may lie: the report shows both.
static bool has_evaluation_alone(const fs::path& dir) {
  constexpr std::array names = {"eval.json",  "samples.jsonl", "tables.md",
                                "tables.tex", "report.html",   "plotly.min.js"};
  bool evaluation = false;
  for (const fs::directory_entry& entry : fs::directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    if (std::ranges::find(names, name) == names.end()) return false;
    evaluation = evaluation || name == names.front();
  }
  return evaluation;
}

OutputFolder::OutputFolder(fs::path dir, std::string fingerprint, bool force)
    : dir_(std::move(dir)), fingerprint_(std::move(fingerprint)) {
  std::error_code error;
  const fs::file_status status = fs::status(dir_, error);
  if (fs::exists(status) && !fs::is_directory(status)) fail(dir_.string(), "exists and is not a folder");
  made_.make(dir_);
  lock_folder();
  try {
    look_into(force);
  } catch (...) {
    close(lock_);
    throw;
  }
}

void OutputFolder::lock_folder() {
  lock_ = open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) fail(ErrorKind::Io, dir_.string(), "cannot open the folder: {}", std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  close(lock_);
  fail(ErrorKind::Io, dir_.string(), "another run is writing to this folder");
}

void OutputFolder::look_into(bool force) {
  std::error_code error;
  if (force || fs::is_empty(dir_, error) || has_evaluation_alone(dir_)) return;
  finished_ = find_result(dir_);
  std::string made_by;
  if (finished_ && finished_->fingerprint != fingerprint_) {
    if (finished_->run) made_by = fmt::format(": it was made by `{}`", printable(finished_->run->command));
    finished_.reset();
  }
  // A forced run that was interrupted has its journal beside the result of the run that it replaces.
  if (!finished_ && fs::exists(dir_ / kJournalName)) load_journal(dir_ / kJournalName);
  if (finished_ || journal_end_ > 0) return;
  fail({ErrorKind::Input, "force"}, dir_.string(), "exists and is not a run of these inputs and options{}", made_by);
}

OutputFolder::~OutputFolder() {
  if (fd_ >= 0) {
    close(fd_);
    std::error_code ignored;
    if (records_ == 0 || discarded_) fs::remove(dir_ / kJournalName, ignored);
  }
  close(lock_);
}

void OutputFolder::discard() {
  const std::lock_guard lock(mutex_);
  discarded_ = true;
}

void OutputFolder::load_journal(const fs::path& path) {
  const MappedFile file(path);
  JournalContent content = read_journal(file.bytes(), fingerprint_);
  kept_ = std::move(content.units);
  journal_end_ = content.end;
  records_ = content.records;
}

void OutputFolder::open_journal() {
  if (fd_ >= 0) return;
  made_.make(dir_);
  const fs::path path = dir_ / kJournalName;
  fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0 || ftruncate(fd_, static_cast<off_t>(journal_end_)) != 0 || lseek(fd_, 0, SEEK_END) < 0) {
    fail(ErrorKind::Io, path.string(), "cannot open: {}", std::strerror(errno));
  }
  if (journal_end_ > 0) return;
  const std::string head = std::string(kMagic) + fingerprint_;
  if (!write_all(fd_, std::as_bytes(std::span(head)))) {
    fail(ErrorKind::Io, path.string(), "cannot write: {}", std::strerror(errno));
  }
}

void OutputFolder::keep(int64_t unit, const UnitResult& result) {
  const std::vector<uint8_t> payload = encode_unit(unit, result);
  const auto bytes = std::as_bytes(std::span(payload));
  std::string record(kRecordHead, '\0');
  const uint64_t length = payload.size();
  std::memcpy(record.data(), &length, sizeof length);
  sha256_of(bytes).copy(record.data() + sizeof length, kHashSize);
  record.append(reinterpret_cast<const char*>(payload.data()), payload.size());

  const std::lock_guard lock(mutex_);
  open_journal();
  if (!write_all(fd_, std::as_bytes(std::span(record)))) {
    fail(ErrorKind::Io, (dir_ / kJournalName).string(), "cannot write: {}", std::strerror(errno));
  }
  ++records_;
}

void OutputFolder::finish(const DiffResult& result) {
  open_journal();
  write_result_files(dir_, result);
  close(fd_);
  fd_ = -1;
  std::error_code ignored;
  fs::remove(dir_ / kJournalName, ignored);
}

}  // namespace gyro
