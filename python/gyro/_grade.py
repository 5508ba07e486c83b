"""gyro.grade: whether an answer is right."""

from __future__ import annotations

from typing import Literal, NamedTuple

from . import _core
from ._arguments import flag, names, text
from ._types import Names


class Decision(NamedTuple):
    """verdict "correct", "wrong" or "N/A" (cut before it gave an answer); the answer as it stands in the output; the rule
    that decided (docs/grading.md lists them)."""

    verdict: str
    extracted: str
    rule: str


class Grade(NamedTuple):
    """Two readings of one output: `strict` takes an answer only in the form that was asked for."""

    strict: Decision
    flexible: Decision

    def __bool__(self) -> bool:
        return self.strict.verdict == "correct"


def grade(
    output: str,
    gold: str,
    policy: Literal["math", "gsm8k", "choice", "boxed"] = "math",
    *,
    cut: bool = False,
    choices: Names = (),
) -> Grade:
    """Grades what a model wrote against the right answer: `gyro grade`.

    policy: "math" (equal as mathematics), "gsm8k" (a number), "choice" (a letter, or the text of one of `choices`),
    "boxed" (the same text). cut: the output reached its limit of tokens.
    """
    output, gold, policy = text(output, "output"), text(gold, "gold"), text(policy, "policy")
    strict, flexible = _core.grade(policy, gold, output, flag(cut, "cut"), names(choices, "choices"))
    return Grade(Decision(**strict), Decision(**flexible))
