#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "gyro/base/file.h"
#include "gyro/diff/result.h"

namespace gyro {

/// What a journal holds.
struct JournalContent {
  std::map<int64_t, UnitResult> units;  ///< by number, none negative
  uint64_t end = 0;                     ///< where the last whole record ends; 0: not a journal of that run
  int64_t records = 0;
};
/// Reads a journal's bytes, whatever they are: what follows a record that is torn, damaged or not of a unit is left
/// out.
JournalContent read_journal(std::span<const std::byte> bytes, std::string_view fingerprint);

/// The folder that a run writes, which is its own while it does: `result.json`, `arrays.safetensors`, and while it runs
/// `.gyro-journal`, in which each finished matrix is kept, so that an interrupted run goes on where it was. The journal
/// is appended record by record; a torn last record is dropped on opening.
class OutputFolder {
 public:
  /// Looks at `dir` and decides (design §4): a new or empty folder is taken, and one that has
  /// nothing but an evaluation of `gyro eval`; one whose result or journal is of the same
  /// `fingerprint` is finished or resumed; anything else throws Error. `force` takes any folder and starts
  /// anew in it. The folder is made if it is missing, and locked: another run that is writing there throws Error of
  /// ErrorKind::Io. (A file system that has no locks for folders does without.)
  OutputFolder(std::filesystem::path dir, std::string fingerprint, bool force);
  /// Closes the journal; removes it, and the folders that were made here, if nothing was kept in it. Ends the lock, as
  /// does the end of the process, whatever ends it.
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  /// The finished result, without its arrays, or nothing. Moves it out.
  std::optional<DiffResult> take_finished() { return std::exchange(finished_, std::nullopt); }
  /// Units that an earlier run kept, by number. Moves them out.
  std::map<int64_t, UnitResult> take_kept() { return std::move(kept_); }
  /// Keeps a unit. Thread-safe. Throws Error of ErrorKind::Io if it cannot be written.
  void keep(int64_t unit, const UnitResult& result);
  /// Lets the destructor remove what was kept: an input turned out to be bad, so that no run can make use of it.
  void discard();
  /// Writes arrays.safetensors, then result.json (both atomically), and removes the journal.
  void finish(const DiffResult& result);

 private:
  void lock_folder();
  void look_into(bool force);
  void load_journal(const std::filesystem::path& path);
  void open_journal();

  MadeFolders made_;
  std::filesystem::path dir_;
  std::string fingerprint_;
  std::optional<DiffResult> finished_;
  std::map<int64_t, UnitResult> kept_;
  uint64_t journal_end_ = 0;  ///< where the last whole record ends
  int64_t records_ = 0;
  bool discarded_ = false;
  int fd_ = -1;
  int lock_ = -1;  ///< the folder, open and locked
  std::mutex mutex_;
};

}  // namespace gyro
