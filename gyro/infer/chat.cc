#include "gyro/infer/chat.h"

#include <llama.h>

#include <ctime>
#include <utility>

#include "gyro/base/error.h"

namespace gyro {
namespace {

std::optional<std::string> text_of(const Vocabulary& vocabulary, const std::optional<int32_t>& id) {
  return id ? std::optional(std::string(vocabulary.text_of(id))) : std::nullopt;
}

std::optional<std::string> text_of(const llama_vocab* vocab, llama_token id) {
  return id == LLAMA_TOKEN_NULL ? std::nullopt : std::optional<std::string>(llama_vocab_get_text(vocab, id));
}

void take_vocabulary(ChatModel& model, const Vocabulary& vocabulary) {
  model.context.bos_token = text_of(vocabulary, vocabulary.bos);
  model.context.eos_token = text_of(vocabulary, vocabulary.eos);
  model.context.pad_token = text_of(vocabulary, vocabulary.pad);
  model.context.unk_token = text_of(vocabulary, vocabulary.unk);
  model.ends = vocabulary.ends;
}

// A GGUF file names no list of ends: llama.cpp knows them by their texts.
void take_gguf(ChatModel& model) {
  const llama_vocab* vocab = model.loaded.engine.vocab();
  model.context.bos_token = text_of(vocab, llama_vocab_bos(vocab));
  model.context.eos_token = text_of(vocab, llama_vocab_eos(vocab));
  model.context.pad_token = text_of(vocab, llama_vocab_pad(vocab));
  for (llama_token id = 0; id < llama_vocab_n_tokens(vocab); ++id) {
    if (llama_vocab_is_eog(vocab, id)) model.ends.push_back(id);
  }
}

void take_template(ChatModel& model) {
  if (model.loaded.source) {
    const std::optional<std::string> text = read_chat_template(*model.loaded.source);
    if (text && !text->empty()) model.chat_template.emplace(model.loaded.source->path().string(), *text);
    return;
  }
  const char* text = llama_model_chat_template(model.loaded.engine.model(), nullptr);
  if (text != nullptr) model.chat_template.emplace("tokenizer.chat_template", text);
}

// By the local clock, as templates print it.
std::time_t noon(const std::chrono::year_month_day& day) {
  std::tm time{};
  time.tm_year = static_cast<int>(day.year()) - 1900;
  time.tm_mon = static_cast<int>(static_cast<unsigned>(day.month())) - 1;
  time.tm_mday = static_cast<int>(static_cast<unsigned>(day.day()));
  time.tm_hour = 12;
  time.tm_isdst = -1;
  return std::mktime(&time);
}

}  // namespace

ChatModel open_chat(LoadedModel loaded, ForChat what) {
  ChatModel model{std::move(loaded), std::nullopt, {}, {}};
  if (model.loaded.vocabulary) {
    take_vocabulary(model, *model.loaded.vocabulary);
  } else {
    take_gguf(model);
  }
  if (what != ForChat::PlainTexts) take_template(model);
  if (what == ForChat::Questions) model.context.now = noon(kQuestionsDay);
  return model;
}

std::vector<int32_t> chat_prompt(const ChatModel& model, std::span<const ChatMessage> messages) {
  if (!model.chat_template) {
    const auto& source = model.loaded.source;
    fail({ErrorKind::Input, "raw"}, source ? source->path().string() : "model", "has no chat template");
  }
  return tokens_of(model.loaded, model.chat_template->render(messages, model.context), SpecialTokens::None);
}

std::vector<int32_t> plain_prompt(const ChatModel& model, std::string_view text) {
  return tokens_of(model.loaded, text, SpecialTokens::AsConfigured);
}

std::string answer_piece(const ChatModel& model, int32_t id) {
  return piece(model.loaded.engine.vocab(), id, ControlTokens::Hidden);
}

}  // namespace gyro
