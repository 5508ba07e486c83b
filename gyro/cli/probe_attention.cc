#include "gyro/cli/probe_attention.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "gyro/base/error.h"
#include "gyro/base/file.h"
#include "gyro/base/progress.h"
#include "gyro/base/team.h"
#include "gyro/checkpoint/safetensors.h"
#include "gyro/cli/commands.h"
#include "gyro/cli/names.h"
#include "gyro/cli/parse.h"
#include "gyro/cli/probe_document.h"
#include "gyro/cli/terminal.h"
#include "gyro/eval/completion.h"
#include "gyro/study/stages.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kSchema = "gyro.probe.attention/1";
constexpr const char *kFile = "attention.json", *kMapsFile = "attention.safetensors";
constexpr int64_t kFewLayers = 12;  // all blocks of models that have no more are looked at
constexpr int64_t kPaperBlocks[] = {0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25};  // App. C.2
constexpr size_t kNameWidth = 24;

struct AttentionArguments {
  ProbeArguments probe;
  std::vector<std::string> models, blocks, maps;
};

// What is looked at, and how far it has come.
struct Asked {
  std::vector<int64_t> blocks;
  std::vector<MapChoice> maps;
  Progress* progress;
};

int64_t layer_of(int64_t layer, int64_t layers, const char* field) {
  const int64_t found = layer < 0 ? layer + layers : layer;
  if (found < 0 || found >= layers) fail_field(field, "{} is none of the model's blocks 0 to {}", layer, layers - 1);
  return found;
}

std::vector<int64_t> chosen_blocks(const std::vector<std::string>& pieces, int64_t layers) {
  std::vector<int64_t> blocks;
  for (const int64_t layer : parse_layers(pieces, "--blocks")) blocks.push_back(layer_of(layer, layers, "blocks"));
  if (pieces.empty() && layers > kFewLayers) {
    std::ranges::copy_if(kPaperBlocks, std::back_inserter(blocks), [&](int64_t block) { return block < layers; });
  }
  for (int64_t block = 0; pieces.empty() && layers <= kFewLayers && block < layers; ++block) blocks.push_back(block);
  std::ranges::sort(blocks);
  blocks.erase(std::unique(blocks.begin(), blocks.end()), blocks.end());
  return blocks;
}

int64_t map_number(const std::string& piece, std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  throw CLI::ValidationError("--maps", "'" + piece + "' is not a block, or BLOCK:HEAD");
}

// "3", "3:mean", "-1:0".
MapChoice parse_map(const std::string& piece, int64_t layers, int64_t heads) {
  const size_t colon = piece.find(':');
  MapChoice choice;
  choice.block = layer_of(map_number(piece, std::string_view(piece).substr(0, colon)), layers, "maps");
  const std::string_view head = colon == std::string::npos ? "mean" : std::string_view(piece).substr(colon + 1);
  if (head == "mean") return choice;
  choice.head = map_number(piece, head);
  if (choice.head < 0 || choice.head >= heads) {
    fail_field("maps", "{} is none of the model's heads 0 to {}", choice.head, heads - 1);
  }
  return choice;
}

// Those that were asked for, or the average heads of the first, the middle and the last block.
void choose_maps(const AttentionArguments& arguments, const Probed& probed, AttentionProbe& out) {
  const auto tokens = static_cast<int64_t>(probed.prompts.front().ids.size());
  const Engine& engine = probed.chat.loaded.engine;
  const std::string problem =
      fmt::format("the first question has {} tokens, and maps are made of {} at most", tokens, kMostMapTokens);
  std::vector<MapChoice> wanted;
  for (const std::string& piece : arguments.maps) wanted.push_back(parse_map(piece, engine.layers(), engine.heads()));
  if (!wanted.empty() && tokens > kMostMapTokens) fail_field("maps", "{}", problem);
  if (wanted.empty() && !arguments.probe.out.empty()) {
    if (tokens > kMostMapTokens) out.no_maps = problem;
    const size_t last = out.blocks.size() - 1;
    for (const size_t i : {size_t{0}, last / 2, last}) wanted.push_back({.block = out.blocks[i]});
  }
  if (tokens > kMostMapTokens) return;
  for (const MapChoice& map : wanted) {
    const bool twice = std::ranges::any_of(
        out.maps, [&](const MapChoice& other) { return other.block == map.block && other.head == map.head; });
    if (!twice) out.maps.push_back(map);
  }
  if (out.maps.empty() || probed.prompts.front().hidden) return;
  for (const int32_t id : probed.prompts.front().ids) {
    out.map_tokens.push_back(as_utf8(piece(engine.vocab(), id, ControlTokens::Shown)));
  }
}

// Asks the model in memory all questions; `rows` is what it gives to each.
AttentionSubject measure(ChatModel& chat, Subject subject, const std::vector<ProbePrompt>& prompts, const Asked& asked,
                         std::vector<LastRows>& rows) {
  Engine& engine = chat.loaded.engine;
  AttentionSubject out;
  out.subject = std::move(subject);
  out.layers = engine.layers();
  out.heads = engine.heads();
  std::optional<Hyperparameters> parameters;
  if (chat.loaded.source) parameters = read_hyperparameters(*chat.loaded.source);
  std::vector<int64_t> blocks = asked.blocks;
  std::erase_if(blocks, [&](int64_t block) { return block >= out.layers; });
  rows.clear();
  for (const ProbePrompt& prompt : prompts) {
    asked.progress->begin(fmt::format("{}, {} {}", out.subject.name, prompt.task, printable(prompt.id, 20)));
    rows.push_back(last_rows(engine, prompt.ids, blocks));
    out.tokens.push_back(rows.back().positions);
    out.entropies.push_back(block_entropies(rows.back()));
    std::vector<int64_t>& keys = out.keys.emplace_back();
    for (size_t block = 0; block < blocks.size(); ++block) {
      keys.push_back(keys_seen(rows.back(), block, parameters ? &*parameters : nullptr));
    }
    asked.progress->advance(1, 1);
  }
  return out;
}

void compare(const std::vector<LastRows>& rows, const std::vector<LastRows>& original, const AttentionProbe& probe,
             AttentionSubject& subject) {
  const bool expects = subject.subject.name == "replace" && !probe.expected.empty();
  for (size_t block = 0; block < probe.blocks.size(); ++block) {
    check_stop();
    std::vector<int64_t> keys;
    for (const std::vector<int64_t>& of : probe.original().keys) keys.push_back(of[block]);
    const double expected = expects ? probe.expected[block].expected : std::nan("");
    subject.fits.push_back(fit_block(rows, original, keys, block, expected));
  }
}

// Why the two cannot be held against each other; empty if they can.
std::string not_comparable(const AttentionSubject& subject, const AttentionSubject& original,
                           const std::vector<ProbePrompt>& asked, const std::vector<ProbePrompt>& prompts) {
  if (subject.layers != original.layers) return "it has another number of layers";
  if (subject.heads != original.heads) return "it has another number of heads";
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (asked[i].ids != prompts[i].ids) return "its tokens of the questions are others";
  }
  return "";
}

void add_variants(Probed& probed, const Asked& asked, std::vector<LastRows>& original, AttentionProbe& out) {
  const std::vector<int32_t>& first = probed.prompts.front().ids;
  std::vector<LastRows> rows;
  for (size_t variant = 0; variant < probed.names.size(); ++variant) {
    probed.load(variant);
    AttentionSubject found =
        measure(probed.chat, probed.subject(variant), probed.prompts, asked, variant == 0 ? original : rows);
    if (variant > 0) compare(rows, original, out, found);
    found.maps = attention_maps(probed.engine(), first, asked.maps);
    out.subjects.push_back(std::move(found));
  }
}

void add_model(const ProbeArguments& arguments, Subject subject, const std::vector<Task>& tasks,
               const std::vector<ProbePrompt>& prompts, const Asked& asked, const std::vector<LastRows>& original,
               const std::string& path, AttentionProbe& out) {
  EngineArguments engine = arguments.engine;
  engine.model = path;
  ChatModel chat = open_chat(load_model(engine, arguments.quiet), ForChat::Questions);
  const std::vector<ProbePrompt> own = probe_prompts(chat, tasks);
  std::vector<LastRows> rows;
  AttentionSubject found = measure(chat, std::move(subject), own, asked, rows);
  found.why_not = not_comparable(found, out.original(), own, prompts);
  if (found.why_not.empty()) {
    compare(rows, original, out, found);
    found.maps = attention_maps(chat.loaded.engine, prompts.front().ids, asked.maps);
  }
  out.subjects.push_back(std::move(found));
}

// Names that are no variant's and no other model's.
std::vector<std::string> model_names(const AttentionArguments& arguments) {
  for (size_t i = 0; i < arguments.models.size(); ++i) {
    if (std::ranges::count(arguments.models, arguments.models[i]) > 1) {
      throw CLI::ValidationError("MODEL", "has " + arguments.models[i] + " twice");
    }
  }
  std::vector<std::string> names = distinct_names(arguments.models, kNameWidth);
  names.erase(names.begin());
  for (std::string& name : names) {
    if (name == kOriginal || named_variant(name)) name += " (model)";
  }
  return names;
}

// All subjects, one after the other in memory.
void measure_all(const AttentionArguments& arguments, std::optional<Probed>& probed, const RunOptions& how,
                 AttentionProbe& out) {
  const std::vector<std::string>& others = arguments.probe.models;
  const std::vector<std::string> names = model_names(arguments);
  const std::vector<Task> tasks = probed->tasks;
  const std::vector<ProbePrompt> prompts = probed->prompts;
  const size_t items = (probed->names.size() + others.size()) * prompts.size();
  if (probed->base && probed->chat.loaded.source) {
    out.expected = expected_temperatures(probed->base, probed->chat.loaded.source, out.blocks, how);
  }
  Progress progress("prompts", static_cast<int>(items), static_cast<double>(items), how.progress);
  const Asked asked{out.blocks, out.maps, &progress};
  std::vector<LastRows> original;
  add_variants(*probed, asked, original, out);
  if (!others.empty()) probed.reset();  // its memory is the next one's
  for (size_t i = 0; i < others.size(); ++i) {
    const Subject subject{names[i], "another model, " + printable(others[i]), "model"};
    add_model(arguments.probe, subject, tasks, prompts, asked, original, others[i], out);
  }
}

// Before the document, which stands for both where a run is asked for again.
void write_maps(const fs::path& folder, const std::string& fingerprint, const AttentionProbe& probe, int64_t tokens) {
  std::vector<TensorToWrite> tensors;
  for (const AttentionSubject& subject : probe.subjects) {
    for (size_t i = 0; i < subject.maps.size(); ++i) {
      tensors.push_back(
          {map_name(subject, probe.maps[i]), DType::F32, {tokens, tokens}, std::as_bytes(std::span(subject.maps[i]))});
    }
  }
  if (tensors.empty()) return;
  MadeFolders made;
  made.make(folder);
  write_safetensors(folder / kMapsFile, tensors,
                    {{"schema", "gyro.probe.attention.arrays/1"}, {"fingerprint", fingerprint}});
}

Json options_of(const AttentionProbe& probe) {
  Json maps = Json::array();
  for (const MapChoice& map : probe.maps) maps.push_back(fmt::format("{}:{}", map.block, head_text(map)));
  return {{"blocks", probe.blocks}, {"maps", maps}};
}

// Whether the maps of that run are there; a file that is none has none.
bool has_maps(const fs::path& file, const std::string& fingerprint) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return false;
  try {
    const SafetensorsFile maps(file);
    const auto found = maps.header().metadata.find("fingerprint");
    return found != maps.header().metadata.end() && found->second == fingerprint;
  } catch (const Error&) {
    return false;
  }
}

void report(const ProbeArguments& arguments, const AttentionProbe& probe) {
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  fmt::print("{}\n", text_table(attention_table(probe), terminal.width));
  for (const std::string& sentence : attention_words(probe)) fmt::print("{}", wrapped(sentence, terminal.width, "  "));
  if (!probe.no_maps.empty()) fmt::print("{}", wrapped("No maps: " + probe.no_maps + ".", terminal.width, "  "));
  print_kept(arguments, kFile);
}

int probe_attention(const AttentionArguments& arguments, const RunOptions& how) {
  const ProbeArguments& probe = arguments.probe;
  std::optional<Probed> probed = open_probed(probe, how);
  AttentionProbe found;
  found.blocks = chosen_blocks(arguments.blocks, probed->engine().layers());
  choose_maps(arguments, *probed, found);
  const Json head = probe_head(kSchema, probe, *probed, options_of(found));
  const auto print = head["fingerprint"].get<std::string>();
  const bool whole = found.maps.empty() || has_maps(fs::path(probe.out) / kMapsFile, print);
  if (is_kept(probe, kFile, head, whole)) return kDone;
  const auto tokens = static_cast<int64_t>(probed->prompts.front().ids.size());
  measure_all(arguments, probed, how, found);
  if (!probe.out.empty()) write_maps(probe.out, print, found, tokens);
  if (keep_document(probe, kFile, attention_json(head, found))) report(probe, found);
  return kDone;
}

int run(AttentionArguments& arguments) {
  ProbeArguments& probe = arguments.probe;
  probe.engine.model = arguments.models.front();
  probe.models.assign(arguments.models.begin() + 1, arguments.models.end());
  if (!probe.base.empty() && probe.variants.empty()) probe.variants = attention_variants();
  if (!arguments.maps.empty() && probe.out.empty()) throw CLI::ValidationError("--maps", "needs --out");
  return run_probe(probe, [&](const RunOptions& how) { return probe_attention(arguments, how); });
}

}  // namespace

void add_probe_attention_command(CLI::App& probe, int& exit_code) {
  auto* command =
      probe.add_subcommand("attention", "Where the last token of a prompt looks: entropy, temperature, maps");
  auto arguments = std::make_shared<AttentionArguments>();
  command
      ->add_option("MODEL", arguments->models,
                   "Folder of a checkpoint, or a .gguf file: the post; then others that are asked the same")
      ->required()
      ->type_name("PATH");
  add_variant_options(*command, arguments->probe);
  add_probe_options(*command, arguments->probe, 1);
  command
      ->add_option("--blocks", arguments->blocks,
                   "Blocks, such as 0,5-8,-1 [all of up to 12; else the paper's 0,3,5,8,10,13,15,18,20,23,25]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("LIST");
  command
      ->add_option(
          "--maps", arguments->maps,
          "Whole maps of the first question, of a block's average head or one head [first, middle, last block]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("BLOCK[:HEAD]");
  command->footer(
      "With --base and without --variants: replace (eq. 14) and its controls replace-noise and replace-fake.\n"
      "Examples:\n"
      "  gyro probe attention instruct --base base --question data/tiny_gsm8k.jsonl --out probes\n"
      "  gyro probe attention instruct reasoning --question \"What is 12 + 30?\"\n"
      "  gyro probe attention instruct --base base --question gsm8k,mmlu --data ~/tasks --count 20 --maps 0:3,-1");
  command->callback([arguments, &exit_code] { exit_code = run(*arguments); });
}

}  // namespace gyro
