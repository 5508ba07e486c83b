#include "gyro/cli/probe_cka_words.h"

#include <gtest/gtest.h>

#include "gyro/edit/variants.h"

namespace gyro {
namespace {

CkaSubject subject(const std::string& name, double distance) {
  CkaSubject out;
  out.subject = {name, "", name == "original" ? "original" : is_control_variant(name) ? "control" : "variant"};
  out.distance.fill(distance);
  out.diagonal.fill(1);
  return out;
}

// Eq. 14 has controls of its own, behind it and not beside it.
TEST(CkaWords, ControlsOfReplace) {
  std::vector<CkaSubject> subjects;
  subjects.push_back(subject("original", 0));
  subjects.push_back(subject("replace-noise", 0.02));
  subjects.push_back(subject("replace", 0.01));
  subjects.push_back(subject("replace-fake", 0.5));
  const std::vector<std::string> sentences = cka_sentences(subjects, 100, 100, 10);
  ASSERT_EQ(sentences.size(), 2U);
  EXPECT_TRUE(sentences[0].ends_with(": replace (0.010; replace-noise 0.020; replace-fake 0.500).")) << sentences[0];
  EXPECT_TRUE(sentences[1].ends_with(": replace.")) << sentences[1];
  const Table table = cka_table(subjects);
  ASSERT_EQ(table.rows.size(), 4U);
  EXPECT_EQ(table.rows[1].label, "replace");
}

}  // namespace
}  // namespace gyro
