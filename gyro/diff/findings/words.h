#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gyro/diff/result.h"

// How findings are put into words. Numbers have true minus signs and no exponents.
namespace gyro::findings {

using Rows = std::vector<MatrixRow>;
using Types = std::vector<TypeRow>;
using Names = std::vector<MatrixType>;

Names names_of(const Types& types);

/// "W_Q, W_K and W_V".
std::string listed(const Names& names);

/// "1 matrix", "2 matrices".
std::string counted(int64_t count, std::string_view one, std::string_view many);

/// With so many decimals.
std::string fixed(double value, int decimals);

/// A distance, to four decimals: "0.0006", "less than 0.0001".
std::string distance(double value);

/// "0.43 %": `digits` significant ones; "less than 0.0001 %" below one in a million, "an undefined share" of what is no
/// number.
std::string percent(double share, int digits = 2);

/// "0.17 % to 0.43 %", or one where both read alike.
std::string percent_range(double low, double high);

/// "z = −22".
std::string z_words(double z);

/// The verb's form for so many types: "W_Q is", "W_Q and W_K are".
std::string_view is_or_are(const Names& names);

}  // namespace gyro::findings
