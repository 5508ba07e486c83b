"""How the package behaves as one: imports, interruption, progress, logging, threads."""

import logging
import os
import subprocess
import sys
import threading
import time

import numpy
import pytest

import gyro


def test_importing_takes_nothing_heavy_along():
    code = "import sys, gyro; print(sorted(m for m in ('numpy', 'pandas', 'torch', 'tqdm', 'transformers', 'matplotlib') if m in sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
    )


def test_the_command_line(base):
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "gyro", *arguments], capture_output=True, text=True, check=False)

    assert gyro.__version__ in run("--version").stdout
    failed = run("diff", base, "/nowhere")
    assert (
        failed.returncode == 1
        and failed.stderr.startswith("gyro: error: /nowhere: ")
        and failed.stderr.count("\n") == 1
    )
    assert run("diff", base).returncode == 2


@pytest.mark.parametrize("work", [lambda a: gyro.svd(a), lambda a: gyro.compare(a, a + 0.01 * a.T)])
def test_interrupts_within_a_second(work, interrupted):
    a = numpy.random.default_rng(0).standard_normal((1600, 1600))
    sent = interrupted(0.3)
    with pytest.raises(KeyboardInterrupt):
        for _ in range(1000):
            work(a)
    assert time.monotonic() - sent[0] < 4  # one, on a machine with nothing else to do
    numpy.testing.assert_allclose(gyro.svd(a[:20, :20]).S, numpy.linalg.svd(a[:20, :20], compute_uv=False))  # goes on


def test_others_run_meanwhile():
    a = numpy.random.default_rng(0).standard_normal((800, 800))
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    began = time.monotonic()
    gyro.svd(a)
    ended = time.monotonic()
    stop.set()
    thread.join()
    assert sum(began < t < ended for t in ticks) > 20 * (ended - began)


def test_progress(base, post, capfd):
    told = []
    gyro.diff(base, post, progress=told.append)
    assert told[-1]["ended"] and told[-1]["done"] == told[-1]["items"] == 21 and told[-1]["share"] == 1
    assert all(a["done"] <= b["done"] for a, b in zip(told, told[1:]))
    gyro.diff(base, post, progress=True)
    assert "21/21 matrices" in capfd.readouterr().err
    gyro.diff(base, post)
    assert capfd.readouterr() == ("", "")

    def fail(state):
        raise ZeroDivisionError("of the caller")

    with pytest.raises(ZeroDivisionError, match="of the caller"):
        gyro.diff(base, post, progress=fail)


def test_warnings_are_logged(base, post, caplog):
    tensors = gyro.open(base).state_dict()
    with caplog.at_level(logging.WARNING, logger="gyro"):
        gyro.diff(tensors, gyro.open(post).state_dict(), types=["W_Q"])
    assert any("read as llama" in record.message for record in caplog.records)
    assert all(record.name == "gyro" for record in caplog.records)


def test_threads_by_threadpoolctl_and_environment():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    ours = [info for info in threadpoolctl.threadpool_info() if info["internal_api"] == "gyro"]
    assert len(ours) == 1
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        assert gyro._core.default_threads() == 1
    assert gyro._core.default_threads() == ours[0]["num_threads"]
    code = "import gyro; print(gyro._core.default_threads())"
    environment = os.environ | {"OMP_NUM_THREADS": "3"}
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True).stdout
        == "3\n"
    )


def test_numpys_blas_is_left_alone(base, post):
    code = """
import numpy, threadpoolctl
def numpys(): return [i for i in threadpoolctl.threadpool_info() if "numpy" in i["filepath"]]
a = numpy.random.default_rng(0).standard_normal((300, 300)); product = a @ a; before = numpys()
import gyro
gyro.diff({base!r}, {post!r}, threads=2)
assert before and numpys() == before, (before, numpys())
assert (a @ a == product).all()
""".format(base=base, post=post)
    pytest.importorskip("threadpoolctl")
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_many_runs_at_once(base, post):
    expected = gyro.diff(base, post, types=["W_Q"]).svsm("W_Q")
    got = [None] * 4

    def run(i):
        got[i] = gyro.diff(base, post, types=["W_Q"], threads=2).svsm("W_Q")

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(got))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in got:
        numpy.testing.assert_array_equal(result, expected)


def test_memory_is_shared_and_let_go_of():
    a = numpy.ones((64, 32), dtype=numpy.float32)
    count = sys.getrefcount(a)
    model = gyro.open({"model.layers.0.self_attn.q_proj.weight": a})
    assert numpy.shares_memory(model["model.layers.0.self_attn.q_proj.weight"], a)
    view = model["model.layers.0.self_attn.q_proj.weight"]
    del model
    assert (view == 1).all() and not view.flags.writeable
    del view
    assert sys.getrefcount(a) == count


def test_rows_are_brought_when_they_are_read():
    a = numpy.arange(600.0).reshape(20, 30).T  # not contiguous: no copy of it is held
    name = "model.layers.0.self_attn.q_proj.weight"
    model = gyro.open({name: a})
    numpy.testing.assert_array_equal(model[name], a)
    numpy.testing.assert_array_equal(model.matrix(0, "W_Q"), a.T)


def test_grade():
    right = gyro.grade("so the answer is \\boxed{\\frac{1}{2}}", "0.5")
    assert right and right.strict.rule == "number-equal" and right.strict.extracted == "\\frac{1}{2}"
    assert not gyro.grade("I do not know", "0.5")
    assert gyro.grade("The answer is B", "B", "choice", choices=["x", "y"]).flexible.verdict == "correct"
    assert gyro.grade("\\boxed{1", "1", cut=True).strict.verdict == "N/A"
    with pytest.raises(gyro.InputError, match="policy"):
        gyro.grade("1", "1", "best")
