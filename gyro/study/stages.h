#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace gyro {

/// A post of a study.
struct StudyPost {
  std::string path, name;  ///< the name is its folder's in the study, different from the other posts'
  std::string sibling;     ///< path of another descendant of the base for eq. 12; empty for none
};

/// What `gyro study` is asked for.
struct StudyRequest {
  std::string base;
  std::vector<StudyPost> posts;
  std::vector<std::string> controls;  ///< as gyro diff takes them; empty: its own
  std::vector<std::string> tasks;     ///< as gyro eval takes them; empty: nothing is evaluated
  std::string data;                   ///< folder where tasks are found by name
  std::string questions;              ///< file of questions that probes put; empty: the tasks', else the built-in ones
  std::filesystem::path out;
  int64_t limit = 0, repeats = 3, max_tokens = 1024, count = 100;
  std::string device = "cpu", dtype, memory;
  int threads = 0;
  uint64_t seed = 0;
  bool force = false;
};

enum class StageKind { Diff, Attention, Evaluation, Cka, Drift, Rotation };

/// A part of a study: a command of gyro's, as one could type it.
struct Stage {
  StageKind kind = StageKind::Diff;
  std::string post;                ///< its name; empty for what is of all posts
  std::vector<std::string> words;  ///< without "gyro"
  std::filesystem::path gives;     ///< the file that it ends with
};
/// "weights", "attention of instruct" and the like.
std::string stage_title(const Stage& stage);

/// The stages in the order of the paper. What was not given has none: no tasks, no evaluation; one post, no rotation.
std::vector<Stage> study_stages(const StudyRequest& request);

/// Where a post's own documents go.
std::filesystem::path post_folder(const StudyRequest& request, const StudyPost& post);

/// The variants that are evaluated, and those whose attention and representations are looked at: the paper's with their
/// controls, and eq. 12's where there is a sibling.
std::vector<std::string> evaluated_variants(bool has_sibling);
std::vector<std::string> attention_variants();
std::vector<std::string> cka_variants(bool has_sibling);

/// The file in a study's folder where these are laid for its probes.
inline constexpr const char* kQuestionsFile = "questions.jsonl";
/// The text of a file of questions (GSM8K's form) for who has none: sums in words, those of data/tiny_gsm8k.jsonl.
std::string_view built_in_questions();

}  // namespace gyro
