#include "gyro/diff/journal.h"

#include <gtest/gtest.h>

#include <fstream>

#include "gyro/base/file.h"
#include "gyro/base/sha256.h"
#include "gyro/checkpoint/test_util.h"
#include "gyro/diff/result_files.h"
#include "gyro/diff/result_json.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

const std::string kFingerprint(64, 'a');
const std::string kOther(64, 'b');

UnitResult unit_of(int64_t i) {
  UnitResult unit;
  unit.rows.resize(2);
  unit.rows[0].layer = i;
  unit.rows[0].nf = 0.1 * static_cast<double>(i);
  unit.rows[1].tensor = "ü";
  unit.rows[1].flags = {"x"};
  unit.arrays[fmt::format("v{}", i)] = {DType::F64, {2}, bytes_of<double>({1.0 / 3, -0.0})};
  unit.arrays[fmt::format("c{}", i)] = {DType::F32, {1, 1}, bytes_of<float>({2.5f})};
  return unit;
}

void expect_same(const UnitResult& a, const UnitResult& b) {
  ASSERT_EQ(a.rows.size(), b.rows.size());
  for (size_t i = 0; i < a.rows.size(); ++i) EXPECT_EQ(to_json(a.rows[i]).dump(), to_json(b.rows[i]).dump());
  ASSERT_EQ(a.arrays.size(), b.arrays.size());
  for (const auto& [name, array] : a.arrays) {
    ASSERT_TRUE(b.arrays.contains(name));
    EXPECT_EQ(array.dtype, b.arrays.at(name).dtype);
    EXPECT_EQ(array.shape, b.arrays.at(name).shape);
    EXPECT_EQ(array.bytes, b.arrays.at(name).bytes);
  }
}

DiffResult result_of(const std::string& fingerprint, const UnitResult& unit = {}) {
  DiffResult result;
  result.fingerprint = fingerprint;
  result.comparisons.resize(1);
  result.arrays = unit.arrays;
  return result;
}

void keep_units(const fs::path& dir, int64_t begin, int64_t end) {
  OutputFolder folder(dir, kFingerprint, false);
  for (int64_t i = begin; i < end; ++i) folder.keep(i, unit_of(i));
}

std::map<int64_t, UnitResult> kept_in(const fs::path& dir) {
  return OutputFolder(dir, kFingerprint, false).take_kept();
}

std::string journal_of(const fs::path& dir) {
  return read_file(dir / ".gyro-journal", 1 << 20);
}

std::string refusal(const fs::path& dir, const std::string& fingerprint = kFingerprint) {
  return error_of([&] { OutputFolder(dir, fingerprint, false); });
}

TEST(OutputFolder, LeavesNothingWhereNothingIsKept) {
  const TempDir temp;
  { const OutputFolder folder(temp / "new/er", kFingerprint, false); }
  EXPECT_FALSE(fs::exists(temp / "new"));
}

TEST(OutputFolder, IsOneRunsAlone) {
  const TempDir temp;
  {
    OutputFolder folder(temp / "out", kFingerprint, false);
    const auto expect_refusal = [&] {
      for (const bool force : {false, true}) {
        EXPECT_EQ(error_of([&] { OutputFolder(temp / "out", kFingerprint, force); }),
                  (temp / "out").string() + ": another run is writing to this folder");
      }
    };
    expect_refusal();
    folder.keep(0, unit_of(0));
    expect_refusal();
  }
  EXPECT_EQ(kept_in(temp / "out").size(), 1u);
}

TEST(OutputFolder, KeepsUnitsAcrossRuns) {
  const TempDir temp;
  keep_units(temp / "out", 0, 2);
  keep_units(temp / "out", 2, 4);
  const auto kept = kept_in(temp / "out");
  ASSERT_EQ(kept.size(), 4u);
  for (const auto& [i, unit] : kept) expect_same(unit, unit_of(i));
}

// Whatever byte the writing was cut at, the whole records before it are there, and the next run appends after them.
TEST(OutputFolder, DropsATornRecord) {
  const TempDir temp;
  keep_units(temp / "whole", 0, 3);
  const std::string whole = journal_of(temp / "whole");
  keep_units(temp / "two", 0, 2);
  const size_t two = journal_of(temp / "two").size();
  for (size_t size = two; size < whole.size(); size += 13) {
    const fs::path dir = temp / "torn";
    fs::create_directories(dir);
    write_text(dir / ".gyro-journal", whole.substr(0, size));
    EXPECT_EQ(kept_in(dir).size(), 2u) << size;
    keep_units(dir, 2, 3);
    EXPECT_EQ(journal_of(dir), whole) << size;
  }
}

TEST(OutputFolder, DropsADamagedRecordAndWhatFollows) {
  const TempDir temp;
  keep_units(temp / "out", 0, 1);
  const size_t one = journal_of(temp / "out").size();
  keep_units(temp / "out", 1, 3);
  std::string journal = journal_of(temp / "out");
  journal[one + 100] = static_cast<char>(journal[one + 100] ^ 1);
  write_text(temp / "out/.gyro-journal", journal);
  EXPECT_EQ(kept_in(temp / "out").size(), 1u);
  // A length that points beyond the file, up to overflow.
  journal = journal.substr(0, one) + std::string(8, '\xff') + std::string(200, 'x');
  write_text(temp / "out/.gyro-journal", journal);
  EXPECT_EQ(kept_in(temp / "out").size(), 1u);
}

// A journal whose records are whole and are not what keep() writes, as someone else may have made it.
std::string journal_with(const Json& record) {
  const std::vector<uint8_t> payload = Json::to_cbor(record);
  Sha256 hash;
  hash.update(std::as_bytes(std::span(payload)));
  const uint64_t length = payload.size();
  std::string out = "gyro journal 1\n" + kFingerprint;
  out.append(reinterpret_cast<const char*>(&length), sizeof length);
  return out + hash.hex() + std::string(payload.begin(), payload.end());
}

TEST(Journal, LeavesOutRecordsThatAreOfNoUnit) {
  const auto units = [](const Json& record) {
    const std::string journal = journal_with(record);
    const JournalContent content = read_journal(std::as_bytes(std::span(journal)), kFingerprint);
    EXPECT_EQ(content.end, content.units.empty() ? 15 + kFingerprint.size() : journal.size());
    return content.units.size();
  };
  const Json array = {{"dtype", "F32"}, {"shape", {1}}, {"bytes", Json::binary({0, 0, 0, 0})}};
  const auto with = [&](const char* key, const Json& value) {
    Json changed = array;
    changed[key] = value;
    return Json{{"unit", 3}, {"rows", Json::array()}, {"arrays", {{"a", changed}}}};
  };
  EXPECT_EQ(units(with("dtype", "F32")), 1U);
  EXPECT_EQ(units(with("dtype", "F31")), 0U);
  EXPECT_EQ(units(with("shape", {2})), 0U);
  EXPECT_EQ(units(with("shape", {-1, -1})), 0U);
  EXPECT_EQ(units(with("shape", {int64_t{1} << 62, 4})), 0U);
  EXPECT_EQ(units(with("bytes", "text")), 0U);
  EXPECT_EQ(units({{"unit", -1}, {"rows", Json::array()}, {"arrays", Json::object()}}), 0U);
  EXPECT_EQ(units({{"unit", 1}}), 0U);
  EXPECT_EQ(units(7), 0U);
  Json deep = 1;
  for (int level = 0; level < 100; ++level) deep = Json::array({deep});
  EXPECT_EQ(units({{"unit", 1}, {"rows", {deep}}, {"arrays", Json::object()}}), 0U);
}

TEST(OutputFolder, FinishesWithResultAndArrays) {
  const TempDir temp;
  const fs::path dir = temp / "deep/er";
  {
    OutputFolder folder(dir, kFingerprint, false);
    folder.keep(0, unit_of(0));
    folder.finish(result_of(kFingerprint, unit_of(0)));
  }
  EXPECT_FALSE(fs::exists(dir / ".gyro-journal"));
  const std::string text = read_file(dir / "result.json", 1 << 20);
  EXPECT_EQ(text, result_text(result_of(kFingerprint)) + "\n");
  const SafetensorsFile arrays(dir / "arrays.safetensors");
  EXPECT_EQ(arrays.header().tensors.size(), 2u);
  EXPECT_EQ(arrays.header().tensors.find("v0")->second.dtype, DType::F64);
  EXPECT_EQ(result_text(OutputFolder(dir, kFingerprint, false).take_finished().value()) + "\n", text);
  EXPECT_EQ(read_arrays(dir).at("v0").bytes, unit_of(0).arrays.at("v0").bytes);
}

TEST(OutputFolder, RefusesWhatIsNotItsOwn) {
  const TempDir temp;
  fs::create_directories(temp / "empty");
  EXPECT_EQ(refusal(temp / "empty"), "no error");
  fs::create_directories(temp / "foreign");
  write_text(temp / "foreign/notes.txt", "mine");
  const std::string line = refusal(temp / "foreign");
  EXPECT_TRUE(contains(line, "foreign: exists and is not a run of these inputs and options")) << line;
  write_text(temp / "file", "");
  EXPECT_TRUE(contains(refusal(temp / "file"), "file: exists and is not a folder"));
  keep_units(temp / "run", 0, 1);
  EXPECT_TRUE(contains(refusal(temp / "run", kOther), "not a run of these"));
  write_text(temp / "run/.gyro-journal", "gyro journal 1\nshort");
  EXPECT_TRUE(contains(refusal(temp / "run"), "not a run of these"));
  fs::create_directories(temp / "broken");
  write_text(temp / "broken/result.json", "{");
  EXPECT_TRUE(contains(refusal(temp / "broken"), "not a run of these"));
  write_text(temp / "broken/result.json", "[1]");
  EXPECT_TRUE(contains(refusal(temp / "broken"), "not a run of these"));
}

TEST(OutputFolder, ForceStartsAnew) {
  const TempDir temp;
  keep_units(temp / "run", 0, 3);
  {
    OutputFolder folder(temp / "run", kFingerprint, true);
    EXPECT_TRUE(folder.take_kept().empty());
    folder.keep(7, unit_of(7));
  }
  const auto kept = kept_in(temp / "run");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_TRUE(kept.contains(7));
}

// A forced run over a finished one that is interrupted: its journal lies beside the other's result.json.
TEST(OutputFolder, AForcedRunResumes) {
  const TempDir temp;
  {
    OutputFolder folder(temp / "run", kOther, false);
    folder.finish(result_of(kOther));
  }
  {
    OutputFolder folder(temp / "run", kFingerprint, true);
    folder.keep(0, unit_of(0));
  }
  EXPECT_EQ(kept_in(temp / "run").size(), 1u);
}

TEST(OutputFolder, DiscardLeavesNothing) {
  const TempDir temp;
  {
    OutputFolder folder(temp / "made", kFingerprint, false);
    folder.keep(0, unit_of(0));
    folder.discard();
  }
  EXPECT_FALSE(fs::exists(temp / "made"));
  {
    OutputFolder folder(temp / "a/b/c/", kFingerprint, false);
    folder.keep(0, unit_of(0));
    folder.discard();
  }
  EXPECT_FALSE(fs::exists(temp / "a"));
  fs::create_directories(temp / "a");
  keep_units(temp / "a/b/c", 0, 1);
  {
    OutputFolder folder(temp / "a/b/c", kFingerprint, false);
    folder.keep(1, unit_of(1));
    folder.discard();  // what an earlier run made stays
  }
  EXPECT_TRUE(fs::is_empty(temp / "a/b/c"));
  fs::create_directories(temp / "there");
  write_text(temp / "there/notes.txt", "mine");
  {
    OutputFolder folder(temp / "there", kFingerprint, true);
    folder.keep(0, unit_of(0));
    folder.discard();
  }
  EXPECT_FALSE(fs::exists(temp / "there/.gyro-journal"));
  EXPECT_TRUE(fs::exists(temp / "there/notes.txt"));
}

TEST(OutputFolder, SaysWhatItCannotWrite) {
  const TempDir temp;
  write_text(temp / "file", "");
  const std::string line = refusal(temp / "file/below");
  EXPECT_TRUE(contains(line, "file/below: cannot create the folder")) << line;
}

}  // namespace
}  // namespace gyro
