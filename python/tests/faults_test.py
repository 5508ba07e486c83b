"""What once went wrong, or would: names, odd arguments, errors, the end of a process."""

import errno
import os
import subprocess
import sys
import time
import types

import numpy
import pytest

import gyro


def run(code, **options):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60, **options
    )


def test_a_model_called_noise_is_a_model(base, post):
    tensors = gyro.open(post).state_dict()
    result = gyro.diff(base, post, control={"noise": tensors}, types=["W_Q"])
    control = result.comparisons[1]
    assert control.role == "control" and control.data.get("noise_of") is None and control.name == "noise"
    numpy.testing.assert_array_equal(control.svsm("W_Q"), result.svsm("W_Q"))


def test_names_are_kept(base, post):
    model = gyro.open(post)
    assert [c.name for c in gyro.diff(base, {"a": model, "b": model}, types=["W_Q"])] == ["a", "b"]
    names = [c.name for c in gyro.diff(base, {"x/1": post, "y/1": post}, types=["W_Q"])]
    assert names == ["x/1", "y/1"]
    assert gyro.diff(base, types.MappingProxyType({"only": post}), types=["W_Q"]).posts[0].name == "only"
    for name in (1, "\udcff", None):
        with pytest.raises(gyro.InputError, match="post"):
            gyro.diff(base, {name: post})


def test_a_construction_is_not_its_post(base, post):
    built = gyro.build("replace", base, post, scale=1.0)
    assert built.path is None and "replace" in built.id
    result = gyro.diff(base, [post, built], types=["W_Q"])
    assert result["instruct"] is result[0] and result["replace of instruct"] is result[1]
    assert "replace" in result.data["run"]["command"]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"operation": "restore-attention-out-sibling"}, "sibling"),
        ({"operation": "replace", "align_signs": True}, "align_signs"),
        ({"operation": "restore-mlp-out", "side": "in"}, "side"),
        ({"operation": "replace", "scale": numpy.nan}, "scale"),
        ({"operation": "replace", "scale": True}, "scale"),
        ({"operation": "replace", "scale": {"W_Q": numpy.inf}}, "scale"),
        ({"operation": "noise", "seed": -1}, "seed"),
        ({"operation": "interpolate", "at": "x"}, "at"),
        ({"operation": "restore", "at": 0.3}, "at: goes with interpolate"),
        ({"operation": "restore", "scale": 2}, "scale: goes with"),
        ({"operation": "restore-mlp-in", "what": "rotation"}, "what: goes with transplant"),
        ({"operation": "replace", "side": "in"}, "side: goes with ablate and restore"),
        ({"operation": "restore", "seed": 1}, "seed: goes with noise"),
        ({"operation": "paper", "on": "mlp"}, "on: goes with"),
        ({"operation": "replace", "scale": numpy.array([0.9, 1])}, "scale: "),
        ({"operation": "restore", "force": 1}, "force: "),
        ({"operation": "restore", "device": None}, "device: "),
        ({"operation": "restore", "progress": 1}, "progress: "),
        ({"operation": None}, "operation"),
    ],
)
def test_build_takes_no_nonsense(base, post, arguments, words):
    with pytest.raises(gyro.InputError, match=words):
        gyro.build(base=base, post=post, **arguments)


def test_build_takes_numbers_of_numpy(base, post):
    one, other = (
        gyro.build("replace", base, post, scale=scale).matrix(0, "W_Q") for scale in (numpy.float32(0.5), 0.5)
    )
    numpy.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "arguments",
    [
        {"layers": 1.5},
        {"layers": True},
        {"layers": 2**70},
        {"types": []},
        {"types": ["\udcff"]},
        {"device": "gpu"},
        {"seed": 1.0},
        {"types": 3},
        {"device": None},
        {"progress": 1},
        {"trajectory": "yes"},
        {"measure": 3},
    ],
)
def test_diff_takes_no_nonsense(base, post, arguments):
    with pytest.raises(gyro.InputError, match=next(iter(arguments))):
        gyro.diff(base, post, **arguments)


def test_layers_may_be_a_number(base, post):
    for layers in (1, numpy.int64(1), numpy.array([1]), numpy.array(1), iter([1])):
        assert gyro.diff(base, post, layers=layers, types="W_Q").layers_of("W_Q") == [1]


@pytest.mark.parametrize("config", ["llama", [1], {"model_type": {1, 2}}])
def test_a_config_is_a_dict(base, config):
    with pytest.raises(gyro.InputError, match="config"):
        gyro.open(gyro.open(base).state_dict(), config=config)


def test_a_config_may_hold_numbers_of_numpy(base):
    model = gyro.open(base)
    config = model.config | {"num_hidden_layers": numpy.int64(3)}
    assert gyro.open(model.state_dict(), config=config).layers == 3


def test_errors_are_as_those_of_files(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        gyro.open(tmp_path / "missing")
    assert caught.value.errno == errno.ENOENT and caught.value.filename == str(tmp_path / "missing")
    assert str(caught.value) == f"{tmp_path}/missing: does not exist"


def test_paths_of_any_bytes(base, tmp_path):
    odd = os.path.join(os.fsencode(tmp_path), b"mod\xffel")
    os.symlink(base, odd)
    model = gyro.open(os.fsdecode(odd))
    assert model.layers == 3 and model.path == os.fsdecode(odd)
    with pytest.raises(gyro.NotFoundError):
        gyro.open(os.fsdecode(odd) + "x")
    done = subprocess.run([sys.executable, "-m", "gyro", "diff", odd + b"y", base], capture_output=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith(b"gyro: error: ") and done.stderr.count(b"\n") == 1


def test_missing_figures_and_arrays_say_what_there_is(base, post, moe):
    result = gyro.diff(base, post, types=["W_Q"])
    for field in ("nothing", "energy", "tensor", "null.nothing", "alpha_mean.std"):
        with pytest.raises(KeyError, match=field):
            result.column(field, "W_Q")
    with pytest.raises(gyro.InputError, match="of"):
        result.sigma(0, "W_Q", of="both")
    with pytest.raises(gyro.InputError, match="expert"):
        gyro.open(base).matrix(0, "W_Q", -1)
    with pytest.raises(KeyError, match="layers that have it: none"):
        gyro.diff(*moe, types=["W_up"], layers=[-1]).sim_u(-1, "W_up", expert=3)


def test_lists_of_numbers_are_arrays():
    assert gyro.svd([[3, 0], [0, 4]]).S.tolist() == [4, 3]


def test_grade_takes_text():
    for arguments, field in (((5, "5"), "output"), (("\udcff", "5"), "output"), (("5", None), "gold")):
        with pytest.raises(gyro.InputError, match=f"{field}: "):
            gyro.grade(*arguments)
    with pytest.raises(gyro.InputError, match="cut: can be True or False, not 1"):
        gyro.grade("5", "5", cut=1)
    assert gyro.grade("\\boxed{1", "1", cut=numpy.bool_(True)).strict.verdict == "N/A"


def test_reading_a_construction_is_interrupted(interrupted):
    rng = numpy.random.default_rng(0)
    name = "model.layers.0.self_attn.{}_proj.weight"
    base = {name.format(part): rng.standard_normal((1100, 1100)) for part in "qkvo"}
    mlp = {f"model.layers.0.mlp.{part}_proj.weight": rng.standard_normal((8, 8)) for part in ("gate", "up", "down")}
    for part, shape in (("gate", (8, 1100)), ("up", (8, 1100)), ("down", (1100, 8))):
        mlp[f"model.layers.0.mlp.{part}_proj.weight"] = rng.standard_normal(shape)
    base |= mlp
    post = {key: value + 0.1 * rng.standard_normal(value.shape) for key, value in base.items()}
    built = gyro.build("replace", gyro.open(base), gyro.open(post), scale=1.0)
    sent = interrupted(0.2)
    with pytest.raises(KeyboardInterrupt):
        for _ in range(1000):
            built.matrix(0, "W_Q")
    assert time.monotonic() - sent[0] < 4  # one, on a machine with nothing else to do


LOOP = """
import threading, time, numpy, gyro
a = numpy.random.default_rng(0).standard_normal(({n}, {n}))
def work():
    while True:
        gyro.compare(a, a + 0.01 * a.T)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.5)
"""


@pytest.mark.parametrize("n", [2, 200])
def test_threads_that_work_on_do_not_hurt_at_the_end(n):
    for _ in range(3):
        done = run(LOOP.format(n=n))
        assert done.returncode == 0 and done.stderr == ""


def test_a_forked_child_does_not_wait_for_its_parents_work():
    code = LOOP.format(n=600) + """
import os, sys, signal
child = os.fork()
if child == 0:
    sys.exit(7)
began = time.monotonic()
while (done := os.waitpid(child, os.WNOHANG))[0] == 0:
    if time.monotonic() - began > 20:
        os.kill(child, signal.SIGKILL)
    time.sleep(0.01)
print(os.waitstatus_to_exitcode(done[1]))
"""
    done = run(code)
    assert done.stdout == "7\n", done.stderr


def test_the_number_of_threads_has_a_bound(base, post):
    code = f"import gyro; gyro.diff({base!r}, {post!r}, types=['W_Q']); print(gyro._core.default_threads())"
    assert run(code, env=os.environ | {"OMP_NUM_THREADS": "1000000"}).stdout == "4096\n"


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda post: gyro.load(b"result"), "folder: should be a path"),
        (lambda post: gyro.open(post).save(""), "folder: is an empty path"),
        (lambda post: gyro.open(post).save("\udcff"), "folder: has what is no text"),
        (lambda post: gyro.open(post).save("x", force=1), "force: "),
        (lambda post: gyro.diff(post, post, types="W_Q").report("x", title=3), "title: "),
        (lambda post: gyro.diff(post, post, types="W_Q").sim_u("W_Q", 0), "layer: "),
        (lambda post: gyro.open(post, config={}), "config: does not go with a folder"),
        (lambda post: gyro.open(gyro.open(post), name="x"), "name: does not go with an open model"),
        (lambda post: gyro.open(gyro.open(post).state_dict(), base=post), "base: does not go with a model in memory"),
    ],
)
def test_arguments_are_named(post, call, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(gyro.InputError, match=says):
        call(post)
    assert not list(tmp_path.iterdir())


def test_the_systems_reason_has_its_number(post, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(gyro.FileError) as caught:
        gyro.diff(post, post, types="W_Q").report(tmp_path / "file" / "page.html")
    assert caught.value.errno == errno.ENOTDIR and "Not a directory" in str(caught.value)
