// llama.cpp knows byte-level pre-tokenizers by name; a tokenizer.json only says what they do. So the steps that it
// lists are brought to one line, and looked up:
//   split REGEX    matches and what is between them become pieces of their own
//   digits         each number character becomes a piece
//   gpt-2          the expression that ByteLevel has built in
#include "gyro/infer/pre_tokenizer.h"

#include <algorithm>
#include <array>

namespace gyro {
namespace {

using Json = JsonFields::Json;

// Words with one character that is no letter before them; \r\n after punctuation stays with it. %N stands for how many
// digits make a piece.
constexpr std::string_view kContractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
constexpr std::string_view kTail = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
std::string words(std::string_view digits) {
  return fmt::format("{}|[^\\r\\n\\p{{L}}\\p{{N}}]?\\p{{L}}+|{}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n]*{}", kContractions,
                     digits, kTail);
}
std::string marked_words() {  // combining marks count as letters
  return fmt::format(
      "{}|[^\\r\\n\\p{{L}}\\p{{N}}]?[\\p{{L}}\\p{{M}}]+|\\p{{N}}| ?[^\\s\\p{{L}}\\p{{M}}\\p{{N}}]+[\\r\\n]*{}",
      kContractions, kTail);
}
// Words split where the case changes; contractions stay with their word, if there are any.
std::string cased_words(std::string_view contractions, std::string_view digits) {
  constexpr std::string_view kUpper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
  constexpr std::string_view kLower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
  constexpr std::string_view kBefore = "[^\\r\\n\\p{L}\\p{N}]?";
  return fmt::format("{0}{1}*{2}+{3}|{0}{1}+{2}*{3}|{4}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n/]*{5}", kBefore, kUpper,
                     kLower, contractions, digits, kTail);
}

struct Known {
  std::string steps;
  std::optional<bool> ignore_merges;  // where it matters to which name
  std::string_view name;
};

const std::vector<Known>& known() {
  const std::string optional_contractions = fmt::format("{}?", kContractions);
  static const std::vector<Known> table = {
      {"split " + words("\\p{N}"), false, "qwen2"},
      {"split " + marked_words(), false, "qwen35"},
      {"split " + words("\\p{N}{1,3}"), true, "llama-bpe"},
      {"split " + words("\\p{N}{1,3}"), false, "smaug-bpe"},
      {"split \\p{N}{1,3}; split " + words("\\p{N}+"), true, "minicpm5"},
      {"gpt-2", false, "gpt-2"},
      {"digits; gpt-2", false, "smollm"},
      {"split " + cased_words("", "\\p{N}"), std::nullopt, "tekken"},
      {"split " + cased_words(optional_contractions, "\\p{N}{1,3}"), std::nullopt, "gpt-4o"},
      {"split \\d{1,3}(?=(?:\\d{3})*\\b); split " + cased_words(optional_contractions, "\\p{N}{1,3}"), false,
       "tiny_aya"},
      {"split \\p{N}{1,3}; split [一-龥\u3040-ゟ゠-ヿ]+; split "
       "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
       " ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
       false, "deepseek-v3"},
      {"split [\\r\\n]; split \\s?\\p{L}+; split \\s?\\p{P}+; split [一-龥ࠀ-一가-\uD7FF]+; digits", false,
       "deepseek-coder"},
      {"split  ?[^(\\s|[.,!?…。，、।۔،])]+", false, "bloom"},
      {"split '(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
       "\\s*[\\r\\n]|\\s+(?!\\S)|\\s+",
       false, "bailingmoe"},
      {"split (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|"
       "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
       false, "seed-coder"},
  };
  return table;
}

// Names of llama.cpp's byte-level pre-tokenizers. It stops at any other.
constexpr std::array kNames = {"a.x-4.0",    "afmoe",       "bailingmoe",     "bailingmoe2",  "bloom",
                               "chameleon",  "chatglm-bpe", "codeshell",      "cohere2moe",   "command-r",
                               "dbrx",       "deepseek-v3", "deepseek-coder", "deepseek-llm", "deepseek-r1-qwen",
                               "default",    "exaone",      "exaone-moe",     "exaone4",      "f2llmv2",
                               "falcon",     "falcon-h1",   "falcon3",        "gigachat",     "glm4",
                               "glm5",       "gpt-2",       "gpt-4o",         "gpt3-finnish", "granite-docling",
                               "grok-2",     "hunyuan",     "hunyuan-dense",  "hy_v4",        "jais",
                               "jais-2",     "joyai-llm",   "kanana2",        "kormo",        "laguna",
                               "lfm2",       "llada-moe",   "llama-bpe",      "llama-v3",     "llama3",
                               "llama4",     "megrez",      "mellum",         "mellum2",      "midm-2.0",
                               "minerva-7b", "minicpm5",    "minimax-m2",     "mpt",          "olmo",
                               "phi-2",      "pixtral",     "poro-chat",      "qwen2",        "qwen35",
                               "refact",     "seed-coder",  "smaug-bpe",      "smollm",       "solar-open",
                               "spark2_5",   "stablelm2",   "starcoder",      "superbpe",     "talkie",
                               "tekken",     "tiny_aya",    "trillion",       "viking",       "youtu"};

// Line breaks that stand in an expression as they are, written as escapes.
std::string escaped(std::string_view regex) {
  std::string out;
  for (const char c : regex) {
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else {
      out += c;
    }
  }
  return out;
}

void add_step(PreTokenizer& out, const std::string& step) {
  if (!out.steps.empty()) out.steps += "; ";
  out.steps += step;
}

void add_split(PreTokenizer& out, const JsonFields& step) {
  const std::optional<JsonFields> pattern = step.object("pattern");
  if (!pattern) step.fail_at("pattern", "is missing");
  const std::string behavior = step.string("behavior");
  const bool invert = step.boolean("invert").value_or(false);
  if (const std::optional<std::string> text = pattern->optional_string("String")) {
    // Gemma's: its normaliser has put other characters in place of all spaces before.
    add_step(out, fmt::format("split at \"{}\"", printable(*text)));
    return;
  }
  // Removing what an expression does not match leaves its matches: the same, for one that matches everything.
  const bool isolated = (behavior == "Isolated" && !invert) || (behavior == "Removed" && invert);
  add_step(out, fmt::format("split {}{}", escaped(pattern->string("Regex")),
                            isolated ? "" : fmt::format(" ({}{})", printable(behavior), invert ? ", inverted" : "")));
}

void add_metaspace(PreTokenizer& out, const JsonFields& step) {
  if (step.boolean("split").value_or(true)) add_step(out, "split at spaces");
  const std::string scheme = step.optional_string("prepend_scheme").value_or("always");
  if (scheme == "never" || !step.boolean("add_prefix_space").value_or(true)) return;
  if (scheme != "first" && scheme != "always") step.fail_at("prepend_scheme", "is \"{}\"", printable(scheme));
  out.space_prefix = scheme == "first" ? SpacePrefix::First : SpacePrefix::WhereMissing;
}

void add(PreTokenizer& out, const JsonFields& step) {
  const std::string type = step.string("type");
  if (type == "Sequence") {
    const size_t steps = step.array("pretokenizers").size();
    for (size_t i = 0; i < steps; ++i) add(out, step.element("pretokenizers", i));
  } else if (type == "Split") {
    add_split(out, step);
  } else if (type == "Digits") {
    add_step(out, step.boolean("individual_digits").value_or(false) ? "digits" : "numbers");
  } else if (type == "ByteLevel") {
    out.byte_level = true;
    if (step.boolean("add_prefix_space").value_or(true)) out.space_prefix = SpacePrefix::WhereMissing;
    if (step.boolean("use_regex").value_or(true)) add_step(out, "gpt-2");
  } else if (type == "Metaspace") {
    add_metaspace(out, step);
  } else {
    add_step(out, printable(type));
  }
}

}  // namespace

PreTokenizer read_pre_tokenizer(const JsonFields& file) {
  PreTokenizer out;
  if (const std::optional<JsonFields> step = file.object("pre_tokenizer")) add(out, *step);
  return out;
}

std::optional<std::string> pre_tokenizer_name(std::string_view steps, bool ignore_merges) {
  for (const Known& each : known()) {
    if (each.steps == steps && each.ignore_merges.value_or(ignore_merges) == ignore_merges) {
      return std::string(each.name);
    }
  }
  return std::nullopt;
}

bool knows_pre_tokenizer(std::string_view name) {
  return std::ranges::find(kNames, name) != kNames.end();
}

}  // namespace gyro
