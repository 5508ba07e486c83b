#include "gyro/eval/grade/vocabulary.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "gyro/eval/grade/tokens.h"

namespace gyro::grading {
namespace {

using Name = std::string_view;
using Pair = std::pair<Name, Name>;

template <size_t N>
std::optional<Name> look_up(const std::array<Pair, N>& table, Name key) {
  const auto* found = std::find_if(table.begin(), table.end(), [&](const Pair& row) { return row.first == key; });
  if (found == table.end()) return std::nullopt;
  return found->second;
}

template <size_t N>
bool contains(const std::array<Name, N>& table, Name key) {
  return std::find(table.begin(), table.end(), key) != table.end();
}

constexpr auto kWords = std::to_array<Pair>(
    {{"sqrt", "sqrt"},      {"pi", "pi"},         {"Pi", "pi"},         {"inf", "infty"},     {"infinity", "infty"},
     {"Infinity", "infty"}, {"infty", "infty"},   {"sin", "sin"},       {"cos", "cos"},       {"tan", "tan"},
     {"cot", "cot"},        {"sec", "sec"},       {"csc", "csc"},       {"sinh", "sinh"},     {"cosh", "cosh"},
     {"tanh", "tanh"},      {"arcsin", "arcsin"}, {"arccos", "arccos"}, {"arctan", "arctan"}, {"log", "log"},
     {"ln", "ln"},          {"exp", "exp"},       {"abs", "abs"},       {"floor", "floor"},   {"ceil", "ceil"},
     {"theta", "theta"},    {"alpha", "alpha"},   {"beta", "beta"},     {"lambda", "lambda"}});

constexpr auto kFunctions = std::to_array<Pair>(
    {{"sin", "sin"},       {"cos", "cos"},       {"tan", "tan"},     {"cot", "cot"},     {"sec", "sec"},
     {"csc", "csc"},       {"sinh", "sinh"},     {"cosh", "cosh"},   {"tanh", "tanh"},   {"arcsin", "arcsin"},
     {"arccos", "arccos"}, {"arctan", "arctan"}, {"asin", "arcsin"}, {"acos", "arccos"}, {"atan", "arctan"},
     {"ln", "ln"},         {"lg", "log"},        {"log", "log"},     {"exp", "exp"},     {"abs", "abs"},
     {"floor", "floor"},   {"ceil", "ceil"}});

constexpr auto kStyles = std::to_array<Name>(
    {"displaystyle", "textstyle", "scriptstyle", "limits",         "nolimits",   "big",     "Big",
     "bigg",         "Bigg",      "bigl",        "bigr",           "Bigl",       "Bigr",    "biggl",
     "biggr",        "Biggl",     "Biggr",       "middle",         "quad",       "qquad",   "space",
     "enspace",      "thinspace", "mathbf",      "mathit",         "boldsymbol", "bm",      "bf",
     "it",           "rm",        "vec",         "overrightarrow", "mathcal",    "mathsf",  "mathop",
     "boxed",        "fbox",      "hfill",       "nonumber",       "bold",       "mathord", "ensuremath"});

constexpr auto kTextCommands =
    std::to_array<Name>({"text", "textbf", "textit", "textrm", "textsf", "texttt", "textnormal", "mathrm", "mbox",
                         "hbox", "operatorname", "mathtt", "emph"});

constexpr auto kCommandSigns = std::to_array<Pair>(
    {{"times", "*"},       {"cdot", "*"},  {"ast", "*"},   {"div", "/"},       {"le", "<="},         {"leq", "<="},
     {"leqslant", "<="},   {"ge", ">="},   {"geq", ">="},  {"geqslant", ">="}, {"lt", "<"},          {"gt", ">"},
     {"ne", "!="},         {"neq", "!="},  {"in", "in"},   {"lbrace", "\\{"},  {"rbrace", "\\}"},    {"lbrack", "["},
     {"rbrack", "]"},      {"colon", ":"}, {"mid", "mid"}, {"equiv", "equiv"}, {"approx", "approx"}, {"to", "to"},
     {"rightarrow", "to"}, {"land", ","},  {"lor", ","}});

constexpr auto kVariants = std::to_array<Pair>({{"dfrac", "frac"},
                                                {"tfrac", "frac"},
                                                {"cfrac", "frac"},
                                                {"dbinom", "binom"},
                                                {"tbinom", "binom"},
                                                {"varnothing", "emptyset"},
                                                {"degrees", "degree"},
                                                {"bar", "overline"},
                                                {"union", "cup"},
                                                {"bigcup", "cup"},
                                                {"bigcap", "cap"},
                                                {"backslash", "setminus"},
                                                {"smallsetminus", "setminus"},
                                                {"varepsilon", "epsilon"},
                                                {"varphi", "phi"},
                                                {"vartheta", "theta"},
                                                {"mathds", "mathbb"},
                                                {"Vert", "norm"}});

constexpr auto kSymbols = std::to_array<Name>(
    {"alpha",  "beta",  "gamma", "delta", "epsilon", "zeta",   "eta",      "theta",   "iota",  "kappa",
     "lambda", "mu",    "nu",    "xi",    "rho",     "sigma",  "tau",      "upsilon", "phi",   "chi",
     "psi",    "omega", "Gamma", "Delta", "Theta",   "Lambda", "Xi",       "Pi",      "Sigma", "Upsilon",
     "Phi",    "Psi",   "Omega", "ell",   "hbar",    "star",   "triangle", "angle",   "prime"});

constexpr auto kOther = std::to_array<Name>({"pi",     "infty",  "frac",  "sqrt",   "binom",    "overline", "emptyset",
                                             "mathbb", "lvert",  "rvert", "langle", "rangle",   "lfloor",   "rfloor",
                                             "lceil",  "rceil",  "cup",   "cap",    "setminus", "pm",       "mp",
                                             "circ",   "degree", "left",  "right",  "begin",    "end",      "imath"});

constexpr auto kAccents = std::to_array<Name>({"overline", "hat", "widehat", "dot", "ddot", "tilde", "widetilde"});

constexpr auto kUnicode = std::to_array<Pair>(
    {{"\u00b7", "*"},        {"\u00d7", "*"},        {"\u00f7", "/"},          {"\u2212", "-"},
     {"\u2013", "-"},        {"\u221a", "\\sqrt"},   {"\u03c0", "\\pi"},       {"\u221e", "\\infty"},
     {"\u2264", "\\le"},     {"\u2265", "\\ge"},     {"\u2260", "\\ne"},       {"\u222a", "\\cup"},
     {"\u2229", "\\cap"},    {"\u2208", "\\in"},     {"\u00b0", "\\degree"},   {"\u00b1", "\\pm"},
     {"\u2213", "\\mp"},     {"\u00bd", "\\frac12"}, {"\u00bc", "\\frac14"},   {"\u00be", "\\frac34"},
     {"\u2153", "\\frac13"}, {"\u2154", "\\frac23"}, {"\u00b2", "^2"},         {"\u00b3", "^3"},
     {"\u03b8", "\\theta"},  {"\u03b1", "\\alpha"},  {"\u03b2", "\\beta"},     {"\u03bb", "\\lambda"},
     {"\u03c9", "\\omega"},  {"\u03c6", "\\phi"},    {"\u2205", "\\emptyset"}, {"\u211d", "\\mathbb{R}"},
     {"\u2044", "/"},        {"\u22c5", "*"},        {"\u00a0", ""},           {"\u2009", ""},
     {"\u202f", ""},         {"\u20ac", ""},         {"\u00a3", ""},           {"\u00a5", ""},
     {"\u2032", "'"},        {"\u2248", "\\approx"}, {"\u2223", "|"},          {"\u200b", ""}});

// Every spelling, and the unit: two units of one dimension are different units, whatever is between them.
constexpr auto kUnits = std::to_array<Pair>({{"cm", "cm"},
                                             {"centimeter", "cm"},
                                             {"centimetre", "cm"},
                                             {"mm", "mm"},
                                             {"millimeter", "mm"},
                                             {"km", "km"},
                                             {"kilometer", "km"},
                                             {"kilometre", "km"},
                                             {"m", "m"},
                                             {"meter", "m"},
                                             {"metre", "m"},
                                             {"inch", "inch"},
                                             {"inche", "inch"},
                                             {"in", "inch"},
                                             {"ft", "ft"},
                                             {"foot", "ft"},
                                             {"feet", "ft"},
                                             {"yd", "yard"},
                                             {"yard", "yard"},
                                             {"mi", "mile"},
                                             {"mile", "mile"},
                                             {"g", "g"},
                                             {"gram", "g"},
                                             {"kg", "kg"},
                                             {"kilogram", "kg"},
                                             {"mg", "mg"},
                                             {"milligram", "mg"},
                                             {"lb", "pound"},
                                             {"pound", "pound"},
                                             {"oz", "ounce"},
                                             {"ounce", "ounce"},
                                             {"s", "second"},
                                             {"sec", "second"},
                                             {"second", "second"},
                                             {"min", "minute"},
                                             {"minute", "minute"},
                                             {"h", "hour"},
                                             {"hr", "hour"},
                                             {"hour", "hour"},
                                             {"day", "day"},
                                             {"week", "week"},
                                             {"month", "month"},
                                             {"year", "year"},
                                             {"dollar", "dollar"},
                                             {"cent", "cent"},
                                             {"euro", "euro"},
                                             {"L", "liter"},
                                             {"l", "liter"},
                                             {"liter", "liter"},
                                             {"litre", "liter"},
                                             {"ml", "ml"},
                                             {"mL", "ml"},
                                             {"gallon", "gallon"},
                                             {"mph", "mph"},
                                             {"kmh", "kmh"},
                                             {"unit", "unit"},
                                             {"square unit", "unit^2"},
                                             {"sq unit", "unit^2"},
                                             {"radian", "radian"},
                                             {"rad", "radian"}});

}  // namespace

std::optional<Name> word_command(Name word) {
  return look_up(kWords, word);
}
bool is_style(Name command) {
  return contains(kStyles, command);
}
bool is_text_command(Name command) {
  return contains(kTextCommands, command);
}
std::optional<Name> command_sign(Name command) {
  return look_up(kCommandSigns, command);
}
Name command_meant(Name command) {
  return look_up(kVariants, command).value_or(command);
}
std::optional<Name> function_of(Name command) {
  return look_up(kFunctions, command);
}
bool is_accent(Name command) {
  return contains(kAccents, command);
}
bool is_symbol_command(Name command) {
  return contains(kSymbols, command);
}

Name known_command(Name name) {
  const auto known = [](Name word) {
    return is_style(word) || is_text_command(word) || command_sign(word) || command_meant(word) != word ||
           function_of(word) || is_symbol_command(word) || is_accent(word) || contains(kOther, word);
  };
  while (!name.empty() && !known(name)) name.remove_suffix(1);
  return name;
}

std::optional<Name> multiplier_of(Name word) {
  static constexpr auto kMultipliers = std::to_array<Pair>({{"hundred", "100"},
                                                            {"thousand", "1000"},
                                                            {"million", "1000000"},
                                                            {"billion", "1000000000"},
                                                            {"trillion", "1000000000000"},
                                                            {"dozen", "12"}});
  return look_up(kMultipliers, word);
}

std::optional<UnicodeMeant> unicode_meant(Name text) {
  for (const auto& [character, meant] : kUnicode) {
    if (text.starts_with(character)) return UnicodeMeant{character.size(), meant};
  }
  return std::nullopt;
}

std::optional<Name> unit_of(Name word) {
  if (const auto unit = look_up(kUnits, word)) return unit;
  const bool plural = word.size() > 2 && word.ends_with('s');
  return plural ? look_up(kUnits, word.substr(0, word.size() - 1)) : std::nullopt;
}

}  // namespace gyro::grading
