#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gyro/arch/arch.h"

namespace gyro {

/// "0,5-8,-1" in pieces: the layers they name, negative ones counted from the end. Throws CLI::ValidationError naming
/// `option`.
std::vector<int64_t> parse_layers(const std::vector<std::string>& pieces, const std::string& option = "--layers");
/// The same of experts.
std::vector<int64_t> parse_experts(const std::vector<std::string>& pieces);

/// "W_Q", "down", ...: the types they name. Throws CLI::ValidationError naming `option` and
/// the choices.
std::vector<MatrixType> parse_types(const std::vector<std::string>& names, const std::string& option = "--types");

/// "5GB", "500MB", "2GiB", "1000": bytes. Throws CLI::ValidationError.
uint64_t parse_size(const std::string& option, const std::string& text);

/// "keep" (nothing), "f32", "bf16", "f16". Throws CLI::ValidationError.
std::optional<DType> parse_dtype(const std::string& text);

/// A number, the whole of `text`. Throws CLI::ValidationError naming the option.
double parse_number(const std::string& option, const std::string& text);

/// Checks of an option's text, whose errors say what it may be.
CLI::Validator one_of(const std::vector<std::string>& choices);
CLI::Validator whole_number_from(int64_t least, int64_t most);
CLI::Validator number_from(double least, double most);
CLI::Validator positive_number();

}  // namespace gyro
