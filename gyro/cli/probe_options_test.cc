#include <gtest/gtest.h>

#include "gyro/base/version.h"
#include "gyro/cli/eval_document.h"
#include "gyro/cli/probe.h"
#include "gyro/probe/test_util.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;

// Another schema, release, option, model or question is another document.
TEST(ProbeHead, FingerprintIsOfAllThatNumbersDependOn) {
  ChatModel chat = shipped_chat("pico-qwen2/instruct");
  const std::vector<ProbePrompt> prompts = shipped_prompts(chat, 2);
  const Probed probed{std::move(chat), nullptr, {}, prompts, {"original"}, {}};
  CLI::App command;
  ProbeArguments arguments;
  add_probe_options(command, arguments, 1);
  arguments.engine.model = "post";
  const Json head = probe_head("gyro.probe.x/1", arguments, probed, {{"batch", 2}});
  const Json models = Json::array({Json::array({"post", head["models"][0]["identity"]})});
  const Json ids = Json::array({prompts[0].ids, prompts[1].ids});
  const auto print = [&](const char* schema, const std::string& release) {
    return document_fingerprint({schema, release, head["options"], models, ids, Json::array({"original"})});
  };
  EXPECT_EQ(head["fingerprint"], print("gyro.probe.x/1", std::string(version())));
  EXPECT_NE(head["fingerprint"], print("gyro.probe.x/2", std::string(version())));
  EXPECT_NE(head["fingerprint"], print("gyro.probe.x/1", "another"));
  EXPECT_NE(head["fingerprint"], probe_head("gyro.probe.x/2", arguments, probed, {{"batch", 2}})["fingerprint"]);
}

}  // namespace
}  // namespace gyro
