#!/usr/bin/env python3
"""Renders the templates beside it with Jinja2, set up as transformers' apply_chat_template does, into goldens.json.

    python3 tests/chat/make_goldens.py [--check]

Needs jinja2, which tests/reference/requirements.txt pins. With --check nothing is written: the exit code says whether the
file is what would be written. The templates are in the formats that these model families are known by.
"""
import datetime
import json
import pathlib
import sys

import jinja2
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).resolve().parent
NOW = 1_730_000_000  # 27 October 2024, in the middle of the day anywhere between UTC-3 and UTC+8
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
SYSTEM = {"role": "system", "content": "You are terse.\nAnswer in \\boxed{}. "}
ASK = {"role": "user", "content": " What is 2 + 2?\n"}
ANSWER = {"role": "assistant", "content": "<think>\nTwo and two.\n</think>\n\n4 "}
AGAIN = {"role": "user",
         "content": "Und „drei“ · 3? {{ messages }} {% raw %}\n\n  <|im_end|> 日本 🙂 \"it's\" \\n"}
CONVERSATIONS = {
    "user": [ASK],
    "system": [SYSTEM, ASK],
    "turns": [ASK, ANSWER, AGAIN],
    "system turns": [SYSTEM, ASK, ANSWER, AGAIN],
    "answered": [SYSTEM, ASK, ANSWER],
    "two users": [ASK, AGAIN],
}


class Raised(Exception):
    pass


def raise_exception(message):
    raise Raised(message)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    env.filters["tojson"] = lambda x, indent=None: json.dumps(x, ensure_ascii=False, indent=indent)
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda form: datetime.datetime.fromtimestamp(NOW).strftime(form)
    return env


def render(template, messages, generate):
    try:
        text = template.render(messages=messages, tools=None, documents=None, add_generation_prompt=generate, **TOKENS)
        return {"text": text}
    except Raised as raised:
        return {"raises": str(raised)}


def goldens():
    env = environment()
    out = {"now": NOW, "tokens": TOKENS, "conversations": CONVERSATIONS, "renderings": {}}
    for path in sorted(HERE.glob("*.jinja")):
        template = env.from_string(path.read_text(encoding="utf-8"))
        out["renderings"][path.stem] = {
            f"{name}{', to be continued' if generate else ''}": render(template, messages, generate)
            for name, messages in CONVERSATIONS.items() for generate in (True, False)}
    return json.dumps(out, ensure_ascii=False, indent=1) + "\n"


path = HERE / "goldens.json"
if "--check" in sys.argv[1:]:
    sys.exit(path.read_text(encoding="utf-8") != goldens())
path.write_text(goldens(), encoding="utf-8")
