#include "gyro/eval/sample.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <span>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/eval/completion.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;

Json decision_verdict(const grading::Decision& decision) {
  return std::string(grading::verdict_name(decision.verdict));
}

Json tokens_json(int64_t tokens) {
  return tokens == kUnknownTokens ? Json(nullptr) : Json(tokens);
}

int64_t read_tokens(const Json& json) {
  if (json.is_null()) return kUnknownTokens;
  const int64_t tokens = json;
  if (tokens < 0) throw std::invalid_argument("no length");
  return tokens;
}

grading::Verdict verdict_of(const std::string& name) {
  for (const auto verdict : {grading::Verdict::Correct, grading::Verdict::Wrong, grading::Verdict::NoAnswer}) {
    if (grading::verdict_name(verdict) == name) return verdict;
  }
  throw std::invalid_argument("no verdict");
}

grading::Decision read_decision(const Json& json, const std::string& suffix) {
  return {verdict_of(json.at("verdict" + suffix)), json.at("extracted" + suffix), json.at("rule" + suffix)};
}

Sample read_sample(const Json& json) {
  Sample sample;
  sample.variant = json.at("variant");
  sample.task = json.at("task");
  sample.id = json.at("id");
  sample.repeat = json.at("repeat");
  sample.question = json.at("question");
  sample.prompt = json.at("prompt");
  sample.prompt_sha256 = json.at("prompt_sha256");
  sample.output = json.at("output");
  sample.grade = {read_decision(json, ""), read_decision(json, "_flexible")};
  sample.tokens = read_tokens(json.at("tokens"));
  sample.cut = json.at("finish") == "length";
  return sample;
}

}  // namespace

std::string sample_line(const Sample& sample) {
  const grading::Grade& grade = sample.grade;
  const Json json = {{"id", sample.id},
                     {"task", sample.task},
                     {"variant", sample.variant},
                     {"repeat", sample.repeat},
                     {"question", sample.question},
                     {"prompt", sample.prompt},
                     {"prompt_sha256", sample.prompt_sha256},
                     {"output", sample.output},
                     {"extracted", grade.strict.extracted},
                     {"extracted_flexible", grade.flexible.extracted},
                     {"verdict", decision_verdict(grade.strict)},
                     {"verdict_flexible", decision_verdict(grade.flexible)},
                     {"rule", grade.strict.rule},
                     {"rule_flexible", grade.flexible.rule},
                     {"tokens", tokens_json(sample.tokens)},
                     {"finish", sample.cut ? "length" : "stop"}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

uint64_t read_samples(const std::filesystem::path& file, const std::function<void(Sample)>& each) {
  const MappedFile mapped(file);
  const std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  size_t at = 0;
  for (int64_t line = 1;; ++line) {
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos) break;
    try {
      each(read_sample(Json::parse(text.substr(at, end - at))));
    } catch (const Json::exception&) {
      fail(file.string(), "line {} is no sample", line);
    } catch (const std::invalid_argument&) {
      fail(file.string(), "line {} is no sample", line);
    }
    at = end + 1;
  }
  mapped.check();
  return at;
}

SampleWriter::SampleWriter(const std::filesystem::path& file) : file_(file) {
  fd_ = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd_ < 0) fail_to_write();
  if (flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;  // some file systems have no locks
  close(fd_);
  fail(file.string(), "another run is writing to it");
}

SampleWriter::~SampleWriter() {
  close(fd_);
}

void SampleWriter::go_on_at(uint64_t size) {
  if (ftruncate(fd_, static_cast<off_t>(size)) != 0 || lseek(fd_, 0, SEEK_END) < 0) fail_to_write();
}

void SampleWriter::write(const Sample& sample) {
  const std::string line = sample_line(sample);
  if (!write_all(fd_, std::as_bytes(std::span(line)))) fail_to_write();
}

void SampleWriter::fail_to_write() const {
  fail(ErrorKind::Io, file_.string(), "cannot be written: {}", std::strerror(errno));
}

}  // namespace gyro
