#include "gyro/infer/chat_template.h"

#include <fmt/format.h>
#include <llama-common/jinja/lexer.h>
#include <llama-common/jinja/parser.h>
#include <llama-common/jinja/runtime.h>

#include <algorithm>

#include "gyro/base/apart.h"
#include "gyro/base/error.h"
#include "gyro/checkpoint/json_fields.h"

namespace gyro {
namespace {

constexpr size_t kTemplateLimit = size_t{1} << 20;
constexpr size_t kConfigLimit = size_t{16} << 20;
constexpr size_t kRenderingLimit = size_t{16} << 20;
constexpr size_t kAtOnce = 64;  // conversations that one child process renders

// The engine parses and executes by recursion, deeper with every bracket, block, elif and operator. The longest
// templates in use stay far below these.
constexpr size_t kMaxBrackets = 64;
constexpr size_t kMaxBlocks = 200;
constexpr size_t kMaxExpression = 2000;

std::string template_of_list(const JsonFields& config) {
  constexpr const char* kKey = "chat_template";
  const JsonFields::Json& list = *config.find(kKey);
  for (size_t i = 0; i < list.size(); ++i) {
    const JsonFields entry = config.element(kKey, i);
    if (entry.string("name") == "default") return entry.string("template");
  }
  config.fail_at(kKey, "has no template named default");
}

// What the engine says, without the place in the source that it draws over several lines.
std::string one_line(std::string_view message) {
  constexpr std::string_view kMark = "Error: ";
  if (const size_t mark = message.rfind(kMark); mark != message.npos) message.remove_prefix(mark + kMark.size());
  const size_t begin = std::min(message.find_first_not_of('\n'), message.size());
  message.remove_prefix(begin);
  return printable(message.substr(0, message.find('\n')));
}

std::string what_went_wrong(const Apart& found) {
  std::string line = one_line(found.text);
  const bool memory = line == "std::bad_alloc";  // the engine makes an exception of its own of it
  switch (memory ? Apart::End::Memory : found.end) {
    case Apart::End::Late:
      return "it takes more than ten seconds";
    case Apart::End::Memory:
      return "it takes more memory than texts need";
    case Apart::End::Output:
      return "its text is longer than any context";
    case Apart::End::Crashed:
      return "it calls itself without end, or what it makes is nested without end";
    default:
      return line;
  }
}

// How deep the engine would go at each place of a template.
class Depth {
 public:
  using Type = jinja::token::type;

  void step(const jinja::token& token) {
    if (token.t == Type::open_paren || token.t == Type::open_square_bracket || token.t == Type::open_curly_bracket) {
      ++brackets_;
    } else if (token.t == Type::close_paren || token.t == Type::close_square_bracket ||
               token.t == Type::close_curly_bracket) {
      if (brackets_ > 0) --brackets_;
    } else if (token.t == Type::text || token.t == Type::open_statement || token.t == Type::open_expression) {
      brackets_ = length_ = 0;
    } else if (token.t == Type::equals && brackets_ == 0) {
      is_set_block_ = false;  // `set x = y` has no end
    } else if (token.t == Type::close_statement && is_set_block_) {
      blocks_.push_back(blocks_.back() + 1);
      is_set_block_ = false;
    }
    if (before_ == Type::open_statement && token.t == Type::identifier) enter(token.value);
    ++length_;
    before_ = token.t;
  }

  bool too_deep() const { return brackets_ > kMaxBrackets || length_ > kMaxExpression || blocks_.back() > kMaxBlocks; }

 private:
  void enter(std::string_view keyword) {
    if (keyword.starts_with("end")) {
      if (blocks_.size() > 1) blocks_.pop_back();
    } else if (keyword == "elif") {
      ++blocks_.back();
    } else if (keyword == "set") {
      is_set_block_ = true;
    } else if (keyword != "else" && keyword != "break" && keyword != "continue") {
      blocks_.push_back(blocks_.back() + 1);
    }
  }

  size_t brackets_ = 0, length_ = 0;
  std::vector<size_t> blocks_{0};  // depth at each open block; elif goes deeper until its block ends
  bool is_set_block_ = false;
  Type before_ = Type::eof;
};

void check_depth(const std::string& subject, const std::vector<jinja::token>& tokens) {
  Depth depth;
  for (const jinja::token& token : tokens) {
    depth.step(token);
    if (depth.too_deep()) fail(subject, "is nested deeper, or has longer expressions, than a chat template needs");
  }
}

jinja::value text_value(const std::string& text) {
  return jinja::mk_val<jinja::value_string>(text);
}

void set_token(jinja::context& context, const char* name, const std::optional<std::string>& token) {
  if (token) context.set_val(name, text_value(*token));
}

jinja::context variables_of(const std::string& source, std::span<const ChatMessage> messages,
                            const ChatContext& context) {
  jinja::context variables(source);
  if (context.now) variables.current_time = *context.now;
  auto list = jinja::mk_val<jinja::value_array>();
  for (const ChatMessage& message : messages) {
    auto entry = jinja::mk_val<jinja::value_object>();
    entry->insert("role", text_value(message.role));
    entry->insert("content", text_value(message.content));
    list->push_back(jinja::value(entry));
  }
  variables.set_val("messages", list);
  // transformers gives these always, and None where they are not.
  variables.set_val("tools", jinja::mk_val<jinja::value_none>());
  variables.set_val("documents", jinja::mk_val<jinja::value_none>());
  variables.set_val("add_generation_prompt", jinja::mk_val<jinja::value_bool>(context.add_generation_prompt));
  set_token(variables, "bos_token", context.bos_token);
  set_token(variables, "eos_token", context.eos_token);
  set_token(variables, "pad_token", context.pad_token);
  set_token(variables, "unk_token", context.unk_token);
  return variables;
}

// Texts that were joined, each behind its length and a space.
void part(std::string_view joined, std::vector<std::string>& texts) {
  while (!joined.empty()) {
    const size_t space = joined.find(' ');
    const size_t size = std::stoull(std::string(joined.substr(0, space)));
    texts.emplace_back(joined.substr(space + 1, size));
    joined.remove_prefix(space + 1 + size);
  }
}

}  // namespace

std::optional<std::string> read_chat_template(const TensorSource& source) {
  const std::vector<std::string> names = source.companions();
  const auto has = [&](const char* name) { return std::ranges::find(names, name) != names.end(); };
  if (has("chat_template.jinja")) return source.companion("chat_template.jinja", kTemplateLimit);
  if (!has("tokenizer_config.json")) return std::nullopt;
  const std::string subject = (source.path() / "tokenizer_config.json").string();
  const JsonFields::Json json = parse_json(subject, source.companion("tokenizer_config.json", kConfigLimit));
  const JsonFields config(subject, "", json);
  const JsonFields::Json* found = config.find("chat_template");
  if (found != nullptr && found->is_array()) return template_of_list(config);
  return config.optional_string("chat_template");
}

struct ChatTemplate::Program {
  std::string source;
  jinja::program program;
};

ChatTemplate::ChatTemplate(std::string_view subject, std::string_view text)
    : subject_(subject), asks_the_date_(text.find("strftime_now") != text.npos) {
  if (text.size() > kTemplateLimit) fail(subject_, "is a template of more than {} bytes", kTemplateLimit);
  try {
    jinja::lexer lexer;
    const jinja::lexer_result tokens = lexer.tokenize(std::string(text));
    check_depth(subject_, tokens.tokens);
    program_ = std::make_unique<const Program>(Program{tokens.source, jinja::parse_from_tokens(tokens)});
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail(subject_, "is no chat template: {}", one_line(error.what()));
  }
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(std::span<const ChatMessage> messages, const ChatContext& context) const {
  const std::vector<ChatMessage> conversation(messages.begin(), messages.end());
  return render_all({&conversation, 1}, context).front();
}

std::vector<std::string> ChatTemplate::render_all(std::span<const std::vector<ChatMessage>> conversations,
                                                  const ChatContext& context) const {
  std::vector<std::string> texts;
  while (!conversations.empty()) {
    const auto some = conversations.first(std::min(conversations.size(), kAtOnce));
    conversations = conversations.subspan(some.size());
    // Macros may call themselves, loops nest and texts double, as the template says: the engine bounds none of it.
    const auto work = [&] {
      std::string joined;
      for (const std::vector<ChatMessage>& messages : some) {
        jinja::context variables = variables_of(program_->source, messages, context);
        jinja::runtime runtime(variables);
        const std::string text =
            jinja::runtime::gather_string_parts(runtime.execute(program_->program))->as_string().str();
        joined += fmt::format("{} {}", text.size(), text);
      }
      return joined;
    };
    ApartLimits limits;
    limits.output = kRenderingLimit;
    const Apart found = run_apart(work, limits);
    if (found.end != Apart::End::Done) fail(subject_, "the chat template fails: {}", what_went_wrong(found));
    part(found.text, texts);
  }
  return texts;
}

}  // namespace gyro
