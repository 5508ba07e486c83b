#include "gyro/report/browser.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/report/base64.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
constexpr const char* kSubject = "browser";
constexpr std::array kPrograms = {"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"};
constexpr size_t kLongestMessage = size_t{1} << 30;
constexpr int kReadEnd = 3, kWriteEnd = 4;  // where the browser has its debugging pipe

bool can_run(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

std::string on_path(std::string_view program) {
  if (program.find('/') != program.npos) return can_run(program) ? std::string(program) : "";
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const fs::path candidate = fs::path(rest.substr(0, end)) / program;
    if (can_run(candidate)) return candidate.string();
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return "";
}

std::string find_program() {
  if (const char* named = std::getenv("GYRO_BROWSER"); named != nullptr && named[0] != '\0') {
    std::string found = on_path(named);
    if (found.empty()) fail(printable(named), "GYRO_BROWSER names no program");
    return found;
  }
  for (const char* program : kPrograms) {
    if (std::string found = on_path(program); !found.empty()) return found;
  }
  fail(kSubject, "figures are drawn by Chromium or Chrome, which is not on PATH; GYRO_BROWSER may name it");
}

std::vector<std::string> arguments_for(const std::string& program, const fs::path& profile) {
  std::vector<std::string> arguments = {program,
                                        "--headless",
                                        "--remote-debugging-pipe",
                                        "--user-data-dir=" + profile.string(),
                                        "--no-first-run",
                                        "--no-default-browser-check",
                                        "--disable-gpu",
                                        "--disable-extensions",
                                        "--disable-sync",
                                        "--disable-breakpad",
                                        "--disable-background-networking",
                                        "--disable-component-update",
                                        "--disable-dev-shm-usage",
                                        "--force-color-profile=srgb",
                                        "--host-resolver-rules=MAP * ~NOTFOUND",
                                        "--proxy-server=127.0.0.1:9",
                                        "--window-size=1200,900"};
  if (geteuid() == 0) arguments.push_back("--no-sandbox");
  arguments.push_back("about:blank");
  return arguments;
}

// Descriptors that spawning does not overwrite, and that no other program gets.
struct Pipe {
  int ours = -1, theirs = -1;

  Pipe() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      fail(ErrorKind::Device, kSubject, "no pipe to it: {}", std::strerror(errno));
    }
    ours = ends[0];
    theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
    close(ends[1]);
    if (theirs < 0) {
      close(ours);
      fail(ErrorKind::Device, kSubject, "no pipe to it: {}", std::strerror(errno));
    }
  }
};

}  // namespace

Browser::Browser(const fs::path& folder, std::chrono::seconds limit) : limit_(limit), log_(folder / "browser.log") {
  const std::string program = find_program();
  try {
    start(program, folder / "profile");
    const Json target = call("Target.createTarget", {{"url", "about:blank"}});
    const Json attached = call("Target.attachToTarget", {{"targetId", target.at("targetId")}, {"flatten", true}});
    session_ = attached.at("sessionId").get<std::string>();
    call("Page.enable", Json::object());
    call("Network.enable", Json::object());
    call("Network.emulateNetworkConditions",
         {{"offline", true}, {"latency", 0}, {"downloadThroughput", 0}, {"uploadThroughput", 0}});
  } catch (...) {
    stop();
    throw;
  }
}

Browser::~Browser() {
  stop();
}

void Browser::start(const std::string& program, const fs::path& profile) {
  const Pipe pipe;
  pipe_ = pipe.ours;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, pipe.theirs, kReadEnd);
  posix_spawn_file_actions_adddup2(&actions, pipe.theirs, kWriteEnd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // so that all its processes can be ended
  std::vector<std::string> arguments = arguments_for(program, profile);
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const int error = posix_spawn(&process_, program.c_str(), &actions, &attributes, pointers.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe.theirs);
  if (error != 0) {
    process_ = -1;
    fail(ErrorKind::Device, printable(program), "does not start: {}", std::strerror(error));
  }
}

void Browser::stop() {
  if (pipe_ >= 0) close(pipe_);  // a browser without its pipe ends itself
  pipe_ = -1;
  if (process_ <= 0) return;
  const auto patience = Clock::now() + std::chrono::seconds(5);
  while (waitpid(process_, nullptr, WNOHANG) == 0) {
    if (Clock::now() > patience) {
      kill(-process_, SIGKILL);
      waitpid(process_, nullptr, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  kill(-process_, SIGKILL);  // what is left of its group
  process_ = -1;
}

// What it said last is most often why.
void Browser::gone(const char* how) const {
  std::string last;
  try {
    const std::string log = read_file(log_, kLongestMessage);
    for (size_t at = 0; at < log.size();) {
      const size_t end = std::min(log.find('\n', at), log.size());
      if (end > at) last = log.substr(at, end - at);
      at = end + 1;
    }
  } catch (const Error&) {  // it said nothing
  }
  fail(ErrorKind::Device, kSubject, "{}{}{}", how, last.empty() ? "" : "; it last said: ", printable(last, 200));
}

std::string Browser::receive(Clock::time_point deadline) {
  std::array<char, 1 << 16> buffer{};
  size_t looked = 0;
  while (true) {
    const size_t end = received_.find('\0', looked);
    if (end != received_.npos) {
      std::string message = received_.substr(0, end);
      received_.erase(0, end + 1);
      return message;
    }
    looked = received_.size();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) gone("did not answer in time");
    pollfd waiting{pipe_, POLLIN, 0};
    if (poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, 1000))) <= 0) continue;
    const ssize_t count = recv(pipe_, buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) gone("ended");
    received_.append(buffer.data(), static_cast<size_t>(count));
    if (received_.size() > kLongestMessage) gone("sends too much");
  }
}

Json Browser::call(const char* method, Json parameters) {
  const int id = ++calls_;
  Json message = {{"id", id}, {"method", method}, {"params", std::move(parameters)}};
  if (!session_.empty()) message["sessionId"] = session_;
  const std::string text = message.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string_view rest(text.c_str(), text.size() + 1);  // messages end with a zero
  while (!rest.empty()) {
    const ssize_t sent = send(pipe_, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) gone("ended");
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  const auto deadline = Clock::now() + limit_;
  while (true) {
    Json answer = Json::parse(receive(deadline), nullptr, false);
    if (!answer.is_object()) gone("answers what is no JSON");
    if (answer.value("id", -1) != id) continue;  // an event
    if (answer.contains("error")) {
      fail(ErrorKind::Device, kSubject, "{}: {}", method, printable(answer["error"].value("message", "?")));
    }
    return std::move(answer["result"]);
  }
}

void Browser::open(const fs::path& page) {
  const Json answer = call("Page.navigate", {{"url", "file://" + page.string()}});
  if (answer.contains("errorText")) {
    fail(ErrorKind::Device, page.string(), "the browser cannot open it: {}",
         printable(answer["errorText"].get<std::string>()));
  }
  evaluate(
      "new Promise((done) => document.readyState === 'complete' ? done() : window.addEventListener('load', () => "
      "done()))");
}

Json Browser::evaluate(const std::string& expression) {
  Json answer = call("Runtime.evaluate", {{"expression", expression}, {"awaitPromise", true}, {"returnByValue", true}});
  if (answer.contains("exceptionDetails")) {
    const Json& details = answer["exceptionDetails"];
    const Json thrown = details.value("exception", Json::object());
    const std::string text = thrown.value("description", details.value("text", "?"));
    fail(ErrorKind::Internal, "report.html", "{}", printable(text.substr(0, text.find('\n'))));
  }
  return answer["result"].value("value", Json());
}

std::string Browser::pdf(double width, double height) {
  const Json answer = call("Page.printToPDF", {{"paperWidth", width},
                                               {"paperHeight", height},
                                               {"marginTop", 0},
                                               {"marginBottom", 0},
                                               {"marginLeft", 0},
                                               {"marginRight", 0},
                                               {"printBackground", true},
                                               {"pageRanges", "1"}});
  return base64_bytes(kSubject, answer.at("data").get<std::string>());
}

}  // namespace gyro
