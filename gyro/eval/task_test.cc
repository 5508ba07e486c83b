#include "gyro/eval/task.h"

#include <gtest/gtest.h>

#include <set>

#include "gyro/base/test_util.h"

namespace gyro {
namespace {

namespace fs = std::filesystem;

// A task read from a file of that name and content.
class TaskFile {
 public:
  Task read(const std::string& name, const std::string& content, uint64_t seed = 0) const {
    write_text(folder_ / name, content);
    return read_task("t", folder_ / name, seed);
  }
  std::string error(const std::string& name, const std::string& content) const {
    const std::string line = error_of([&] { read(name, content); });
    const std::string path = (folder_ / name).string() + ": ";
    EXPECT_TRUE(line.starts_with(path)) << line;
    return line.substr(std::min(line.size(), path.size()));
  }
  fs::path path(const std::string& name) const { return folder_ / name; }

 private:
  TempDir folder_;
};

TEST(ReadTask, Gsm8k) {
  const Task task = TaskFile().read("t.jsonl", R"({"question": "2+2?", "answer": "2+2=<<2+2=4>>4\n#### 4"}

{"question": "é?", "answer": "#### 1,000"})");
  EXPECT_EQ(task.form, TaskForm::Gsm8k);
  EXPECT_EQ(task.policy, grading::Policy::Gsm8k);
  EXPECT_EQ(task.system, "Please put your final answer within \\boxed{}.");
  ASSERT_EQ(task.questions.size(), 2U);
  EXPECT_EQ(task.questions[1].id, "1");
  EXPECT_EQ(question_prompt(task.questions[0]), "2+2?");
  EXPECT_EQ(example_answer(task.questions[0]), "2+2=4\n\\boxed{4}");
  EXPECT_EQ(example_answer(task.questions[1]), "\\boxed{1,000}");
}

TEST(ReadTask, Math) {
  const Task task = TaskFile().read(
      "m.jsonl",
      R"({"problem": "p", "solution": "so $\\boxed{\\frac12}$", "answer": "\\frac12", "subject": "Algebra", "unique_id": "a/1"})");
  EXPECT_EQ(task.form, TaskForm::Math);
  EXPECT_EQ(task.policy, grading::Policy::Math);
  EXPECT_EQ(task.questions[0].id, "a/1");
  EXPECT_EQ(task.questions[0].subject, "Algebra");
  EXPECT_EQ(task.questions[0].gold, "\\frac12");
  EXPECT_EQ(example_answer(task.questions[0]), "so $\\boxed{\\frac12}$\n");
  EXPECT_NE(task.system.find("as short as possible"), std::string::npos);
}

// Appendix H.1 of the paper, to the letter.
TEST(ReadTask, MmluIsPutByThePapersTemplate) {
  const Task task = TaskFile().read("q.csv", "\"How, much?\",1,2,3,4,C\r\n");
  EXPECT_EQ(task.form, TaskForm::Mmlu);
  EXPECT_EQ(task.policy, grading::Policy::Choice);
  EXPECT_EQ(question_prompt(task.questions[0]),
            "How, much? You have four options, and they are: A.1 B.2 C.3 D.4 Please select the correct option and just "
            "give A, B, C or D. For example, if you think the answer is A, just give \\boxed{A} as the answer.");
  EXPECT_EQ(task.questions[0].gold, "C");
}

TEST(ReadTask, AFolderOfMmluHasSubjects) {
  const TempDir folder;
  fs::create_directories(folder / "dev");
  write_text(folder / "dev/b_dev.csv", "q1,1,2,3,4,A\nq2,1,2,3,4,B\n");
  write_text(folder / "dev/a_b_dev.csv", "q3,1,2,3,4,D\n");
  const Task task = read_task("mmlu", folder / "dev", 0);
  ASSERT_EQ(task.questions.size(), 3U);
  EXPECT_EQ(task.questions[0].subject, "a_b");
  EXPECT_EQ(task.questions[0].id, "a_b/0");
  EXPECT_EQ(task.questions[2].id, "b/1");
  EXPECT_NE(error_of([&] { read_task("mmlu", folder / ".", 0); }).find("name one of its splits"), std::string::npos);
}

TEST(ReadTask, GpqaShufflesItsChoicesByQuestion) {
  std::string csv = "Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3\n";
  for (int i = 0; i < 40; ++i) csv += fmt::format("r{0},q{0},right,a,b,c\n", i);
  const Task task = TaskFile().read("g.csv", csv, 1), again = TaskFile().read("g.csv", csv, 1),
             other = TaskFile().read("g.csv", csv, 2);
  EXPECT_EQ(task.form, TaskForm::Gpqa);
  std::set<std::string> letters;
  int same = 0;
  for (size_t i = 0; i < 40; ++i) {
    const Question& question = task.questions[i];
    EXPECT_EQ(question.choices.at(static_cast<size_t>(question.gold[0] - 'A')), "right");
    EXPECT_EQ(std::set<std::string>(question.choices.begin(), question.choices.end()).size(), 4U);
    EXPECT_EQ(question.gold, again.questions[i].gold);
    same += question.gold == other.questions[i].gold;
    letters.insert(question.gold);
  }
  EXPECT_EQ(letters.size(), 4U);
  EXPECT_LT(same, 25);
}

TEST(ReadTask, CommonsenseQaAndChoices) {
  const TaskFile file;
  const Task authors = file.read(
      "a.jsonl",
      R"({"answerKey": "B", "id": "x", "question": {"stem": "s?", "choices": [{"label": "A", "text": "one"}, {"label": "B", "text": "two"}]}})");
  EXPECT_EQ(authors.form, TaskForm::CommonsenseQa);
  EXPECT_EQ(authors.questions[0].choices, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(question_prompt(authors.questions[0]).substr(0, 44), "s? You have two options, and they are: A.one");
  const Task hub = file.read(
      "h.jsonl", R"({"answerKey": "A", "question": "s?", "choices": {"label": ["A", "B"], "text": ["one", "two"]}})");
  EXPECT_EQ(hub.questions[0].gold, "A");
  const Task place = file.read("c.jsonl", R"({"question": "q", "choices": ["x", "y", "z"], "answer": 2})");
  EXPECT_EQ(place.form, TaskForm::Choices);
  EXPECT_EQ(place.questions[0].gold, "C");
  EXPECT_NE(question_prompt(place.questions[0]).find("give A, B or C."), std::string::npos);
  EXPECT_EQ(file.read("o.jsonl", R"({"question": "q", "answer": 7})").questions[0].gold, "7");
}

TEST(ReadTask, SaysWhatIsWrong) {
  const TaskFile file;
  const auto line = [&](const std::string& content) { return file.error("t.jsonl", content); };
  EXPECT_EQ(line(""), "has no questions");
  EXPECT_EQ(line("\n \n"), "has no questions");
  EXPECT_EQ(line("[1]"), "line 1: is not a JSON object");
  EXPECT_EQ(line("{\"question\": \"q\""), "line 1: is not a JSON object");
  EXPECT_EQ(line(std::string(200'000, '[')), "line 1: is not a JSON object");
  EXPECT_EQ(line("{\"a\": 1}"), "line 1 has none of: question and answer, problem, choices, answerKey");
  EXPECT_EQ(line("{\"question\": \"q\", \"answer\": \"#### 1\"}\n{\"question\": \"q\", \"answer\": \"2\"}"),
            "line 2: \"answer\" has no \"####\"");
  EXPECT_EQ(line("{\"question\": \"q\", \"answer\": \"1\"}\n{\"question\": null, \"answer\": \"2\"}"),
            "line 2: \"question\" is missing");
  EXPECT_EQ(line("{\"question\": [], \"answer\": \"1\"}"), "line 1: \"question\" is no text");
  EXPECT_EQ(line("{\"question\": \"q\", \"answer\": \"1\", \"id\": \"a\"}\n{\"question\": \"r\", \"answer\": \"1\", "
                 "\"id\": \"a\"}"),
            "has the id a twice");
  EXPECT_EQ(line("{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"answer\": 2}"),
            "line 1: the answer is none of the 2 choices");
  EXPECT_EQ(line("{\"question\": \"q\", \"choices\": [\"a\", \"b\"], \"answer\": -1}"),
            "line 1: the answer is none of the 2 choices");
  EXPECT_EQ(line("{\"question\": \"q\", \"choices\": [\"a\"], \"answer\": 0}"), "line 1: has 1 choices");
  EXPECT_EQ(line("{\"question\": \"q\", \"choices\": [1, {}], \"answer\": 0}"), "line 1: a choice is no text");
  EXPECT_EQ(
      line("{\"answerKey\": \"A\", \"question\": \"q\", \"choices\": {\"label\": [\"B\", \"A\"], \"text\": [\"x\", "
           "\"y\"]}}"),
      "line 1: the choices' labels are not A, B, C and so on, in order");
  EXPECT_EQ(file.error("t.csv", "q,1,2,\xff,4,A\n"), "question 1 is not UTF-8");
  EXPECT_EQ(line("{\"answerKey\": \"A\", \"question\": {\"stem\": 3}}"), "line 1: \"question\" has no \"stem\"");
  EXPECT_EQ(file.error("t.csv", "q,1,2,3,A\n"), "record 1: has 5 fields, not a question, four choices and a letter");
  EXPECT_EQ(file.error("t.csv", "q,1,2,3,4,A\nq,1,2,3,4,E\n"), "record 2: the answer \"E\" is none of A to D");
  EXPECT_EQ(file.error("t.csv", "q\xff,1,2,3,4,A\n"), "question 1 is not UTF-8");
  EXPECT_EQ(file.error("g.csv", "Question,Correct Answer\nq,1\n"), "has no column \"Incorrect Answer 1\"");
  EXPECT_NE(error_of([&] { read_task("t", file.path("none.jsonl"), 0); }).find("none.jsonl"), std::string::npos);
}

TEST(LimitQuestions, KeepsTheFirstOfAShuffledOrder) {
  std::string text;
  for (int i = 0; i < 50; ++i) text += fmt::format("{{\"question\": \"q{}\", \"answer\": \"1\"}}\n", i);
  const TaskFile file;
  Task plain = file.read("t.jsonl", text), shuffled = plain, again = plain;
  limit_questions(plain, 5, 0);
  EXPECT_EQ(plain.questions.size(), 5U);
  EXPECT_EQ(plain.questions[4].text, "q4");
  limit_questions(shuffled, 5, 7);
  limit_questions(again, 0, 7);
  EXPECT_EQ(again.questions.size(), 50U);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(shuffled.questions[i].id, again.questions[i].id);
  EXPECT_NE(shuffled.questions[0].id + shuffled.questions[1].id, "01");
}

TEST(FindTask, LooksWhereTasksAreDistributed) {
  const TempDir folder;
  EXPECT_NE(error_of([&] { find_task("gsm8k", folder.path()); }).find("looked for gsm8k.jsonl"), std::string::npos);
  fs::create_directories(folder / "mmlu/dev");
  write_text(folder / "mine.jsonl", "");
  EXPECT_EQ(find_task("mmlu", folder.path()), folder / "mmlu/dev");
  EXPECT_EQ(find_task("mine", folder.path()), folder / "mine.jsonl");
  EXPECT_NE(error_of([&] { find_task("other", folder.path()); }).find("name its file by other=FILE"),
            std::string::npos);
}

}  // namespace
}  // namespace gyro
