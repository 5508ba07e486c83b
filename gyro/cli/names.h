#pragma once

#include <string>
#include <vector>

namespace gyro {

/// What a table calls models, given their ids: the last part of each path, with those above it where two would be
/// called the same, and cut in the middle to `limit` columns, where they differ least.
std::vector<std::string> distinct_names(const std::vector<std::string>& ids, size_t limit);
/// Such names, cut so.
std::vector<std::string> cut_names(const std::vector<std::string>& names, size_t limit);

/// Of `choices` the one that `typed` was meant to be, in all likelihood; empty if none is near.
std::string did_you_mean(const std::string& typed, const std::vector<std::string>& choices);

}  // namespace gyro
