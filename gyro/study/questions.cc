// The assembler reads the file (.incbin); the build names it in GYRO_QUESTIONS and builds this again when it changes.

#include <string_view>

#include "gyro/study/stages.h"

__asm__(
    ".section .rodata\n"
    ".global gyro_study_questions\n.global gyro_study_questions_end\n"
    "gyro_study_questions:\n.incbin \"" GYRO_QUESTIONS
    "\"\n"
    "gyro_study_questions_end:\n.byte 0\n.previous\n");

extern "C" const char gyro_study_questions[], gyro_study_questions_end[];

namespace gyro {

std::string_view built_in_questions() {
  return {gyro_study_questions, static_cast<size_t>(gyro_study_questions_end - gyro_study_questions)};
}

}  // namespace gyro
