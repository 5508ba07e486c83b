#include <fmt/format.h>
#include <unistd.h>

#include <memory>

#include "gyro/base/progress.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/probe.h"
#include "gyro/cli/probe_cka_words.h"
#include "gyro/cli/probe_document.h"
#include "gyro/cli/terminal.h"

namespace gyro {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFile = "cka.json";

struct CkaArguments {
  ProbeArguments probe;
  int64_t batch = 0;
};

std::vector<CkaSubject> measure(Probed& probed, const std::vector<Rows>& batches, const ProgressSink& sink) {
  const size_t runs = probed.prompts.size() * probed.names.size();
  Progress progress("prompts", static_cast<int>(runs), static_cast<double>(runs), sink);
  const auto read = [&](size_t variant) {
    progress.begin(probed.names[variant]);
    probed.load(variant);
    return read_representations(probed.engine(), probed.prompts, [&] { progress.advance(1, 1); });
  };
  const Representations original = read(0);
  std::vector<CkaSubject> subjects;
  subjects.push_back({probed.subject(0), cka_maps(original, original, batches), {}, {}});
  for (size_t i = 1; i < probed.names.size(); ++i) {
    subjects.push_back({probed.subject(i), cka_maps(original, read(i), batches), {}, {}});
  }
  for (CkaSubject& subject : subjects) {
    for (size_t i = 0; i < subject.maps.size(); ++i) {
      subject.diagonal[i] = diagonal_mean(subject.maps[i]);
      subject.distance[i] = mean_distance(subject.maps[i], subjects.front().maps[i]);
    }
  }
  return subjects;
}

Json to_json(const CkaSubject& subject) {
  Json maps, diagonal, distance;
  for (size_t i = 0; i < kCkaReadings.size(); ++i) {
    const std::string name(reading_name(kCkaReadings[i]));
    maps[name] = matrix_json(subject.maps[i]);
    diagonal[name] = subject.diagonal[i];
    distance[name] = subject.distance[i];
  }
  Json out = subject_json(subject.subject);
  out.update({{"cka", maps}, {"diagonal", diagonal}, {"distance", distance}});
  return out;
}

Json document_of(Json head, const Probed& probed, const std::vector<CkaSubject>& subjects, int64_t batch,
                 const std::vector<std::string>& sentences) {
  Json readings, list = Json::array();
  for (const CkaReading reading : kCkaReadings) {
    readings[std::string(reading_name(reading))] = std::string(reading_description(reading));
  }
  for (const CkaSubject& subject : subjects) list.push_back(to_json(subject));
  head.update({{"layers", subjects.front().maps[0].rows()},
               {"tokens_cut", shortest_prompt(probed.prompts)},
               {"batch", batch},
               {"readings", readings},
               {"subjects", list},
               {"sentences", sentences}});
  return head;
}

int run(const CkaArguments& arguments, const RunOptions& how) {
  const ProbeArguments& probe = arguments.probe;
  Probed probed = open_probed(probe, how);
  const std::vector<Rows> batches = minibatches(static_cast<int64_t>(probed.prompts.size()), arguments.batch);
  Json head = probe_head("gyro.probe.cka/1", probe, probed, {{"batch", arguments.batch}});
  if (is_kept(probe, kFile, head)) return kDone;
  const std::vector<CkaSubject> subjects = measure(probed, batches, how.progress);
  const std::vector<std::string> sentences = cka_sentences(subjects, static_cast<int64_t>(probed.prompts.size()),
                                                           shortest_prompt(probed.prompts), probed.engine().width());
  const Json document = document_of(std::move(head), probed, subjects, arguments.batch, sentences);
  if (!keep_document(probe, kFile, document)) return kDone;
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  fmt::print("{}", text_table(cka_table(subjects), terminal.width));
  fmt::print("{}", wrapped("A: position_mean; B: question_mean; unb.: question_mean_unbiased; diag.: mean of the "
                           "diagonal; dist.: mean |difference| from the original's map.",
                           terminal.width, "  "));
  for (const std::string& sentence : sentences) fmt::print("{}", wrapped(sentence, terminal.width, "  "));
  print_kept(probe, kFile);
  return kDone;
}

}  // namespace

void add_probe_cka_command(CLI::App& probe, int& exit_code) {
  auto* command = probe.add_subcommand("cka", "Whether constructions keep a post's representations, block by block");
  auto arguments = std::make_shared<CkaArguments>();
  command->add_option("POST", arguments->probe.engine.model, "Folder of the post-trained checkpoint, or a .gguf file")
      ->required()
      ->type_name("PATH");
  add_variant_options(*command, arguments->probe);
  command
      ->add_option(
          "--batch", arguments->batch,
          "Questions of a minibatch of the unbiased estimator, the last of which takes the rest; 0: all in one")
      ->check(whole_number_from(0, int64_t{1} << 30))
      ->capture_default_str();
  add_probe_options(*command, arguments->probe, 100);
  command->footer(
      "CKA of hidden states after each block: rows are blocks of the post as it is, columns those of a construction.\n"
      "Examples:\n"
      "  gyro probe cka instruct --base base --variants paper,controls --questions gsm8k=test.jsonl --out probes\n"
      "  gyro probe cka reasoning --base base --sibling instruct --variants restore-attention-out-sibling \\\n"
      "    --questions data/tiny_gsm8k.jsonl --batch 20 --json");
  command->callback([arguments, &exit_code] {
    exit_code = run_probe(arguments->probe, [&](const RunOptions& how) { return run(*arguments, how); });
  });
}

}  // namespace gyro
