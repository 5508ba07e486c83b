"""gyro.evaluate and gyro.probe, which run the command in a process of its own."""

import json
import logging
import os
import pathlib
import pty
import signal
import subprocess
import sys
import threading
import time

import numpy
import pytest
from conftest import MODELS

import gyro

SUMS = str(MODELS.parent / "data" / "tiny_gsm8k.jsonl")
SHORT = {"tasks": SUMS, "limit": 2, "max_tokens": 12}


def outputs(evaluation, variant="original"):
    return {(s["id"], s["repeat"]): s["output"] for s in evaluation.samples if s["variant"] == variant}


def children(pid):
    try:
        return [
            int(word)
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
            for word in (task / "children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def test_is_what_the_command_says(base, post):
    words = [
        "eval",
        "--base",
        base,
        "--post",
        post,
        "--variants",
        "restore-mlp-in,replace",
        "--task",
        SUMS,
        "--limit",
        "2",
        "-n",
        "12",
        "--temp",
        "0.5",
        "--json",
    ]
    told = json.loads(subprocess.run([sys.executable, "-m", "gyro", *words], check=True, capture_output=True).stdout)
    got = gyro.evaluate(base=base, post=post, variants=["restore-mlp-in", "replace"], temp=0.5, **SHORT)
    assert got.data == told
    assert got.variants == ["original", "restore-mlp-in", "replace"] and got.tasks == ["tiny_gsm8k"]
    assert len(got.samples) == 3 * 2 * 3 and len(set(outputs(got).values())) > 1
    frame = got.to_pandas()
    assert list(frame["variant"]) == got.variants and set(frame["repeats"]) == {3}
    assert (
        numpy.isnan(frame["difference"][0])
        and frame["difference"][1] == told["cells"][1]["against_first"]["difference"]
    )
    assert len(got.to_pandas("samples")) == 18
    assert got.accuracy("replace") == told["cells"][2]["accuracy"]["mean"]
    for wrong in ({"variant": "none"}, {"task": "none"}):
        with pytest.raises(KeyError, match="restore-mlp-in, replace; tiny_gsm8k"):
            got.accuracy(**wrong)
    assert "replace on tiny_gsm8k" in repr(got)


def test_models_in_memory_answer_as_folders_do(base, post):
    folder = gyro.evaluate(base=base, post=post, variants="ablate-attention-out", **SHORT)
    construction = gyro.evaluate(gyro.build("ablate-attention-out", base, post), **SHORT)
    assert outputs(construction) == outputs(folder, "ablate-attention-out") != outputs(folder)
    opened = gyro.open(post)
    held = gyro.open(opened.state_dict(), config=opened.config, name="held")
    assert outputs(gyro.evaluate(held, tokenizer=post, **SHORT)) == outputs(folder)
    assert outputs(gyro.evaluate(opened, **SHORT)) == outputs(folder)
    pair = gyro.evaluate(base=base, post=opened.state_dict(), tokenizer=post, variants="ablate-attention-out", **SHORT)
    assert outputs(pair, "ablate-attention-out") == outputs(folder, "ablate-attention-out")
    assert [model["path"] for model in pair.data["models"]] == [base, "post"]  # no temporary folder


def test_goes_on_in_a_folder(tmp_path, post):
    out = tmp_path / "scores"
    first = gyro.evaluate(post, out=out, **SHORT)
    kept = (out / "samples.jsonl").read_text()
    (out / "samples.jsonl").write_text(kept.replace(first.samples[0]["output"], "an answer that was kept", 1))
    again = gyro.evaluate(post, out=str(out), **SHORT)  # which asks nothing twice
    assert again.data == first.data == json.loads((out / "eval.json").read_text())
    assert again.samples[0]["output"] == "an answer that was kept" and again.samples[1:] == first.samples[1:]
    with pytest.raises(gyro.InputError, match="scores: .*; choose another folder or say force=True$"):
        gyro.evaluate(post, out=out, seed=7, **SHORT)
    assert gyro.evaluate(post, out=out, seed=7, force=True, **SHORT).data["options"]["seed"] == 7


@pytest.mark.parametrize(
    "kind, column",
    [
        ("attention", "temperature"),
        ("cka", "diagonal.question_mean"),
        ("drift", "weights.alpha_mean"),
        ("rotation", "turn_correlation"),
    ],
)
def test_probes(base, post, kind, column):
    other = gyro.build("noise", base, post)
    models = {"attention": [post], "cka": [post], "drift": [base, post], "rotation": [base, post, other]}[kind]
    options = {} if kind == "rotation" else {"questions": SUMS, "count": 4}
    options |= {"base": base} if kind in ("attention", "cka") else {}
    found = gyro.probe(kind, *models, variants=["restore-mlp-in"] if kind == "cka" else (), **options)
    assert found.data["schema"].startswith(f"gyro.probe.{kind}/")
    assert all(isinstance(sentence, str) and sentence for sentence in found.sentences) and found.sentences
    frame = found.to_pandas()
    assert len(frame) == len(found.table) > 0 and numpy.isfinite(frame[column].astype(float)).any()
    assert kind in repr(found) and found.sentences[0] in repr(found)
    if kind == "rotation":
        assert set(frame["other"]) == {"noise of instruct"}


def test_a_question_may_be_a_text(base, post):
    found = gyro.probe("drift", base, post, questions="What is 2, and 3?")
    assert [question["text"] for question in found.data["questions"]] == ["What is 2, and 3?"]


def test_models_keep_their_names(base, post):
    opened = gyro.open(post)
    held = gyro.open(opened.state_dict(), config=opened.config, name="step: 3")
    noises = [gyro.build("noise", base, post, seed=seed) for seed in (1, 2)]
    found = gyro.probe("rotation", base, held, *noises)
    assert [pair["other"] for pair in found.data["pairs"]] == ["noise of instruct", "noise of instruct-2"]
    assert gyro.evaluate(held, tokenizer=post, **SHORT).data["models"][0]["path"] == "step- 3"


def test_several_are_anything_that_can_be_gone_through(base, post):
    tasks = (pathlib.Path(path) for path in [SUMS])
    got = gyro.evaluate(
        base=base, post=post, variants=numpy.array(["replace"]), **SHORT | {"tasks": tasks, "limit": numpy.int64(2)}
    )
    assert got.variants == ["original", "replace"] and got.tasks == ["tiny_gsm8k"] and len(got.samples) == 12
    found = gyro.probe("cka", post, base=base, variants={"replace": 1}.keys(), questions=pathlib.Path(SUMS), count=2)
    assert "replace" in {subject["name"] for subject in found.data["subjects"]}


def failing(**options):
    return lambda post: gyro.evaluate(options.pop("model", post), **(SHORT | options))


@pytest.mark.parametrize(
    "call, kind, says",
    [
        (failing(model="/nowhere"), gyro.NotFoundError, "/nowhere: "),
        (failing(model="/no: where"), gyro.NotFoundError, "/no: where: "),
        (failing(model="--json"), gyro.NotFoundError, "--json: "),
        (failing(tasks="/nowhere.jsonl"), gyro.NotFoundError, "/nowhere.jsonl: "),
        (failing(tasks=["a=/no=where.jsonl"]), gyro.NotFoundError, "/no=where.jsonl: "),
        (failing(tasks="gsm8k"), gyro.NotFoundError, "gsm8k: is no file"),
        (failing(tasks=__file__), gyro.InputError, "command_test.py: "),
        (failing(tasks=()), gyro.InputError, "tasks: names none"),
        (failing(tasks=""), gyro.InputError, "tasks: is an empty path"),
        (failing(tasks={"a": SUMS}), gyro.InputError, "tasks: should be a path or several"),
        (failing(tasks=[SUMS, SUMS]), gyro.InputError, "tasks: has tiny_gsm8k twice"),
        (failing(data=""), gyro.InputError, "data: is an empty path"),
        (failing(dtype=""), gyro.InputError, "dtype: should be one value"),
        (failing(limit=True), gyro.InputError, "limit: should be one value, not True"),
        (failing(force=1), gyro.InputError, "force: can be True or False"),
        (failing(model=None), gyro.InputError, "model: is missing, or base and post, or endpoint"),
        (failing(sibling="/x"), gyro.InputError, "sibling: goes with base and post"),
        (failing(few_shot=4), gyro.InputError, "name a file of them by examples tiny_gsm8k"),
        (lambda post: gyro.probe("drift", post, post), gyro.InputError, "questions: is required"),
        (lambda post: gyro.probe("drift", None, post, questions=SUMS), gyro.InputError, "model 1: is NoneType"),
        (lambda post: gyro.evaluate("nobody/nothing@main", tasks=SUMS), gyro.NotFoundError, "--revision main fetches"),
        (failing(base="/nowhere"), gyro.InputError, "base: needs post"),
        (failing(bogus=1), gyro.InputError, "unknown option 'bogus"),
        (failing(**{"limit=1 --json": 1}), gyro.InputError, "limit: '1 --json=1' is not a whole number"),
        (failing(temp=float("nan")), gyro.InputError, "temp: "),
        (failing(limit=-1), gyro.InputError, "limit: "),
        (failing(limit={}), gyro.InputError, "limit: should be one value, not {}"),
        (failing(threads=0), gyro.InputError, "threads: "),
        (failing(help=True), gyro.InputError, "writes no eval.json"),
        (failing(model="a\0b"), gyro.InputError, "zero byte"),
        (failing(model=3), gyro.InputError, "model: is int"),
        (failing(model={}), gyro.InputError, "model"),
        (failing(out="/proc/nowhere/x"), gyro.FileError, "/proc/nowhere/x"),
        (failing(model="m", endpoint="http://localhost:9/v1", retries=0), gyro.FileError, "http://localhost:9/v1: "),
        (
            failing(model="m", endpoint="http://localhost:9/v1", base="b"),
            gyro.InputError,
            "base: does not go with endpoint",
        ),
        (
            lambda post: gyro.probe("entropy", post),
            gyro.InputError,
            "kind: can be 'attention', 'cka', 'drift', 'rotation'",
        ),
        (lambda post: gyro.probe("drift", post, "/nowhere", questions=SUMS), gyro.NotFoundError, "/nowhere: "),
        (
            lambda post: gyro.probe("drift", post, post, questions=SUMS, result="/nowhere"),
            gyro.NotFoundError,
            "/nowhere: ",
        ),
        (lambda post: gyro.probe("drift", post, questions=SUMS), gyro.InputError, "POST"),
        (
            lambda post: gyro.probe("cka", post, base=post, questions=SUMS, variants="none"),
            gyro.InputError,
            "variants: none is none of",
        ),
    ],
)
def test_errors(post, call, kind, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gyro.GyroError) as caught:
        call(post)
    assert caught.type is kind and says in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_a_model_in_memory_lacks_is_named(post):
    tensors = gyro.open(post).state_dict()
    with pytest.raises(gyro.InputError, match="config"):
        gyro.evaluate(tensors, **SHORT)
    held = gyro.open(tensors, config=gyro.open(post).config)
    with pytest.raises(gyro.InputError, match="tokenizer: is needed"):
        gyro.evaluate(held, **SHORT)
    with pytest.raises(gyro.NotFoundError, match="/nowhere"):
        gyro.evaluate(held, tokenizer="/nowhere", **SHORT)


@pytest.mark.parametrize("after", [0.0, 0.1, 1.0])
def test_interruption_leaves_no_child(base, post, after):
    sent, others = [], set(children(os.getpid()))

    def interrupt():
        while not set(children(os.getpid())) - others:
            time.sleep(0.005)
        time.sleep(after)
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        gyro.evaluate(base=base, post=post, variants="paper", tasks=SUMS, temp=1, repeats=50)
    took = time.monotonic() - sent[0]
    thread.join()
    assert took < 4 and not set(children(os.getpid())) - others


def test_a_child_does_not_outlive_its_parent(base, post):
    code = f"import gyro; gyro.evaluate(base={base!r}, post={post!r}, variants='paper', tasks={SUMS!r}, repeats=50)"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        while not (left := children(parent.pid)):
            assert parent.poll() is None
            time.sleep(0.01)
        parent.kill()
    ended = time.monotonic() + 60
    while any(
        pathlib.Path(f"/proc/{pid}/cmdline").exists() and pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        for pid in left
    ):
        assert time.monotonic() < ended
        time.sleep(0.01)


def test_runs_beside_other_threads(post):
    got = [None] * 3

    def run(i):
        got[i] = outputs(gyro.evaluate(post, threads=1, **SHORT))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(got))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got[0] and got[0] == got[1] == got[2]


def test_is_the_package_of_its_parent(post, tmp_path):
    """Whatever lies in the folder where it runs."""
    for name in ("gyro.py", "ctypes.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('not this one')")
    (tmp_path / "elsewhere").mkdir()
    script = tmp_path / "elsewhere" / "run.py"
    script.write_text(
        f"import gyro; print(gyro.evaluate({post!r}, tasks={SUMS!r}, limit=1, max_tokens=4).data['gyro']['version'])"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == gyro.__version__


def test_progress_is_for_terminals(post):
    code = f"import gyro; gyro.evaluate({post!r}, tasks={SUMS!r}, limit=2, max_tokens=8, progress=True)"
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", code], stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 4096)
            except OSError:
                break
    os.close(ours)
    assert process.returncode == 0 and b"temperature 0.2" in said and b"/6 answers" in said and b"\r\r" not in said
    piped = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert piped.stdout == piped.stderr == b""


def test_an_error_under_a_terminal_is_raised_too(post, monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with pytest.raises(gyro.NotFoundError, match="/nowhere: does not exist"):
            gyro.evaluate("/nowhere", progress=True, **SHORT)
    os.close(ours)


def test_what_it_says_is_logged(base, post, caplog, tmp_path):
    for name, model in {"base": base, "post": post, "other": gyro.build("noise", base, post)}.items():
        tensors, config = gyro.open(model).state_dict(), gyro.open(base).config | {"model_type": "unheard-of"}
        gyro.open(tensors, config=config).save(tmp_path / name)
    with caplog.at_level(logging.INFO, logger="gyro"):
        gyro.probe("rotation", *(tmp_path / name for name in ("base", "post", "other")))
        gyro.evaluate(post, **SHORT)
    by_level = {
        level: [r.getMessage() for r in caplog.records if r.levelno == level]
        for level in (logging.INFO, logging.WARNING)
    }
    assert any("unheard-of" in text for text in by_level[logging.WARNING])
    assert any("temperature 0.2" in text for text in by_level[logging.INFO])
    assert all(record.name == "gyro" for record in caplog.records)
