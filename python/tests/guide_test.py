"""docs/python.md: its examples run, one after the other."""

import ast
import importlib.util
import os
import re

import pytest
from conftest import MODELS

GUIDE = MODELS.parent / "docs" / "python.md"
TORCH = all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


def blocks():
    """(whether it needs PyTorch, its code, the line before it) of each."""
    text = GUIDE.read_text(encoding="utf-8")
    found = re.finditer(r"^```python( torch)?\n(.*?)^```$", text, re.M | re.S)
    return [(bool(match[1]), match[2], text[: match.start(2)].count("\n")) for match in found]


@pytest.mark.filterwarnings("default")
def test_the_guide(tmp_path, monkeypatch, capsys):
    for name, target in (("base", "pico-qwen2/base"), ("instruct", "pico-qwen2/instruct")):
        (tmp_path / name).symlink_to(MODELS / target)
    (tmp_path / "sums.jsonl").symlink_to(MODELS.parent / "data" / "tiny_gsm8k.jsonl")
    monkeypatch.chdir(tmp_path)
    names, values, ran = {"__name__": "guide"}, [], 0
    for torch, code, line in blocks():
        if torch and not TORCH:
            continue
        ran += 1
        for node in ast.increment_lineno(ast.parse(code), line).body:
            if isinstance(node, ast.Expr):  # which a notebook shows, if it is the last
                values.append(eval(compile(ast.Expression(node.value), str(GUIDE), "eval"), names))
                assert repr(values[-1]) and getattr(values[-1], "_repr_html_", lambda: "html")()
            else:
                exec(compile(ast.Module([node], []), str(GUIDE), "exec"), names)
    assert ran == len([torch for torch, *_ in blocks() if TORCH or not torch]) > 9
    assert "nowhere - does not exist\n" in capsys.readouterr().out
    assert {"diff", "page.html", "restored", "again", "scores"} <= set(os.listdir())
    assert [value for value in values if isinstance(value, str)][-1] == "number-equal"
