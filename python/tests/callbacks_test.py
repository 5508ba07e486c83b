"""gyro.callbacks without a framework: a loop over NumPy arrays. (With torch and transformers: torch_test.py.)"""

import copy
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import weakref

import numpy
import pytest

import gyro
from gyro import callbacks

FIGURES = {"alpha", "nf", "relative_change", "principal_in", "principal_in_null", "principal_out", "principal_out_null"}


def weights(base):
    """Its tensors, which may be written to, in FP32."""
    opened = gyro.open(base)
    return gyro.open(base).config, {name: numpy.array(opened[name], dtype=numpy.float32) for name in opened}


def train(tensors, seed, size=0.01):
    generator = numpy.random.default_rng(seed)
    for tensor in tensors.values():
        tensor += size * tensor.std() * generator.standard_normal(tensor.shape).astype(numpy.float32)


class Model:
    """What a module is to a tracker: tensors and a config."""

    class Config:
        def __init__(self, values):
            self.values = values

        def to_json_string(self, use_diff=True):
            assert not use_diff
            return __import__("json").dumps(self.values)

    def __init__(self, config, tensors):
        self.config, self.tensors = self.Config(config), tensors

    def state_dict(self):
        return self.tensors


@pytest.fixture
def model(base):
    return Model(*weights(base))


def test_figures_are_those_of_a_diff(model):
    tracker = callbacks.track(model, every=3, at_most=None)
    began = {name: tensor.copy() for name, tensor in model.tensors.items()}
    given = []
    for step in range(1, 8):
        train(model.tensors, step)
        given.append(tracker.step(model, step))
        if step == 3:
            then = {name: tensor.copy() for name, tensor in model.tensors.items()}
    assert [step for step, figures in enumerate(given, 1) if figures] == [3, 6]
    assert [line["step"] for line in tracker.history] == [3, 6]
    assert {name.partition("/")[2] for name in given[2]} == FIGURES
    config = model.config.values
    rows = gyro.diff(gyro.open(began, config=config), gyro.open(then, config=config), null_draws=0).types
    assert {name.partition("/")[0] for name in given[2]} == set(rows)
    for kind, row in rows.items():
        share = row["quantities"]["principal_share"]["q10"]
        expected = [
            row["alpha_mean"],
            row["nf_mean"],
            row["relative_change_mean"],
            *share["u"].values(),
            *share["v"].values(),
        ]
        got = [given[2][f"{kind}/{name}"] for name in ("alpha", "nf", "relative_change")]
        assert got == expected[:3]
        assert given[2][f"{kind}/principal_in"] == share["u"]["value"]
        assert given[2][f"{kind}/principal_out_null"] == share["v"]["null"]
        assert given[5][f"{kind}/relative_change"] > 1.2 * got[2] > 0.01  # random walks go on
    frame = tracker.to_pandas()
    assert (
        list(frame.index) == [3, 6] and frame["W_Q/alpha"][3] == given[2]["W_Q/alpha"] and (frame["seconds"] > 0).all()
    )
    assert tracker.seconds >= frame["seconds"].sum()


def test_a_base_may_be_named(model, base, post, caplog):
    tracker = callbacks.track(model, base, every=1)
    rows = gyro.diff(base, post, null_draws=0).types
    with caplog.at_level(logging.WARNING, logger="gyro"):
        figures = tracker.step(Model(*weights(post)), 1)
    assert figures["W_V/alpha"] == rows["W_V"]["alpha_mean"]
    assert not caplog.records
    assert tracker.to_pandas().shape == (1, 1 + 7 * len(FIGURES))


def test_what_is_chosen_is_compared_and_no_more_is_kept(model):
    tracker = callbacks.track(model, types=["W_Q", "W_down"], layers=[-1], every=1)
    kept = tracker._base.state_dict()
    in_memory = {
        name for name, tensor in kept.items() if len(tensor.shape) > 1 and numpy.asarray(tensor, dtype=float).any()
    }
    assert in_memory == {"model.layers.2.self_attn.q_proj.weight", "model.layers.2.mlp.down_proj.weight"}
    assert not any(numpy.shares_memory(kept[name], model.tensors[name]) for name in in_memory)
    train(model.tensors, 1)
    figures = tracker.step(model, 1)
    assert {name.partition("/")[0] for name in figures} == {"W_Q", "W_down"}
    held = [weakref.ref(tensor) for tensor in model.tensors.values()]
    model.tensors.clear()
    assert not any(ref() is not None for ref in held)  # nothing of the model's own is held on to


def test_experts_may_be_chosen(moe):
    model = Model(*weights(moe[0]))
    tracker = callbacks.track(model, types="W_up", experts=[0, -1], layers=[1], every=1)
    train(model.tensors, 1)
    tracker.step(model, 1)
    kept = tracker._base.state_dict()
    assert [name.split(".")[5] for name, tensor in kept.items() if "up_proj" in name and tensor.any()] == ["0", "7"]
    assert tracker.history[0]["W_up/alpha"] != 1


def test_takes_no_more_than_its_share(model, caplog):
    tracker = callbacks.track(model, every=1, at_most=1e-6)
    with caplog.at_level(logging.INFO, logger="gyro"):
        assert [bool(tracker.step(model, step)) for step in range(1, 6)] == [True, False, False, False, False]
    assert sum("left out" in record.getMessage() for record in caplog.records) == 1
    tracker._began -= 1e7  # that much later
    assert tracker.step(model, 6)
    unlimited = callbacks.track(model, every=1, at_most=None)
    assert all(unlimited.step(model, step) for step in range(1, 4))


def test_weights_that_are_unchanged_are_told_as_such(model):
    figures = callbacks.track(model, every=1).step(model, 1)
    assert figures["W_Q/alpha"] == 1 and figures["W_Q/relative_change"] == 0
    assert "W_Q/principal_in" not in figures  # of no energy no share
    assert all(isinstance(value, float) and numpy.isfinite(value) for value in figures.values())


def test_the_run_goes_on_whatever_becomes_of_its_weights(model, caplog):
    tracker = callbacks.track(model, every=1, at_most=None)
    query = "model.layers.1.self_attn.q_proj.weight"
    good = model.tensors[query].copy()
    model.tensors[query][3, 5] = numpy.nan
    assert tracker.step(model, 1) is None
    lost = model.tensors.pop(query)
    assert tracker.step(model, 2) is None
    model.tensors[query] = lost[:10]
    assert tracker.step(model, 3) is None
    model.tensors[query] = good
    assert tracker.step(model, 4)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 3 and all(
        text.startswith(f"step {i} is not compared: ") and query in text for i, text in enumerate(said, 1)
    )
    assert [line["step"] for line in tracker.history] == [4]


def test_an_empty_history_is_an_empty_table(model):
    frame = callbacks.track(model).to_pandas()
    assert len(frame) == 0 and frame.index.name == "step"


def test_beginning_anew_forgets(model):
    tracker = callbacks.track(model, every=1)
    train(model.tensors, 1)
    tracker.step(model, 1)
    tracker.begin(model)
    assert tracker.history == [] and tracker.step(model, 2)["W_Q/relative_change"] == 0


@pytest.mark.parametrize(
    "options, says",
    [
        ({"every": 0}, "every: "),
        ({"every": 1.5}, "every: "),
        ({"at_most": 0}, "at_most: "),
        ({"at_most": float("nan")}, "at_most: "),
        ({"at_most": "5 %"}, "at_most: "),
        ({"types": ["W_X"]}, "types: 'W_X' is no type of matrix"),
        ({"types": []}, "types: names none"),
        ({"types": ["W_router"]}, "types: no matrix"),
        ({"layers": [99]}, "layers: there is no layer 99: the model has 3"),
        ({"experts": [0]}, "experts: there is no expert 0"),
        ({"device": None}, "device: "),
        ({"layers": "first"}, "layers"),
        ({"types": [3]}, "types: "),
        ({"experts": [0.5]}, "experts"),
        ({"base": "/nowhere"}, "/nowhere: "),
        ({"base": 3}, "int"),
    ],
)
def test_arguments_are_checked_at_the_beginning(model, options, says):
    with pytest.raises(gyro.GyroError, match=says):
        callbacks.track(model, **options)


def test_a_step_before_the_beginning_is_named(model):
    with pytest.raises(gyro.InputError, match="begin"):
        callbacks.Tracker().step(model, 1)


@pytest.mark.parametrize("wrong", [3, None, "base", {}, {"a": 3}])
def test_what_is_no_model_is_named(wrong):
    with pytest.raises(gyro.InputError):
        callbacks.track(wrong)


def test_a_part_of_a_tensor_is_refused(model):
    """As DeepSpeed's ZeRO-3 leaves of one."""
    name = "model.layers.1.self_attn.q_proj.weight"
    model.tensors[name] = numpy.zeros((0,), dtype=numpy.float32)
    with pytest.raises(gyro.InputError, match=f"{name}: is a part"):
        callbacks.track(model)


def test_ctrl_c_is_not_swallowed(model):
    class Slow(Model):
        def state_dict(self):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
            return self.tensors

    tracker = callbacks.track(model, every=1)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        tracker.step(Slow(model.config.values, model.tensors), 1)
    assert time.monotonic() - began < 4
    assert threading.active_count() < 10


def test_without_transformers():
    code = """
import sys
sys.modules["transformers"] = None
import gyro.callbacks
assert "SpectralTracker" in gyro.callbacks.__all__
try:
    gyro.callbacks.SpectralTracker
except ImportError as error:
    print(error)
try:
    gyro.callbacks.Nothing
except AttributeError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said == (
        "SpectralTracker needs transformers; gyro.callbacks.track follows any loop\n"
        "module 'gyro.callbacks' has no attribute 'Nothing'\n"
    )


def test_a_run_is_not_ended_by_whatever_goes_wrong(base, caplog):
    from gyro import callbacks

    class Failing(dict):
        broken = False

        def items(self):
            if self.broken:
                raise RuntimeError("of the device")
            return super().items()

        def __iter__(self):
            if self.broken:
                raise RuntimeError("of the device")
            return super().__iter__()

        keys = __iter__

    state = Failing(gyro.open(base).state_dict())
    tracker = callbacks.track(state, every=1, at_most=None, types=["W_Q"])
    state.broken = True
    assert tracker.compare(state, 1) is None and tracker.history == []
    assert "of the device" in caplog.text


def test_what_would_always_fail_fails_at_the_beginning(base, moe):
    from gyro import callbacks

    state = gyro.open(base).state_dict()
    for options in ({"device": "cudaa"}, {"threads": 0}, {"base": moe[0]}):
        with pytest.raises(gyro.InputError):
            callbacks.track(state, **options)


def test_types_are_called_as_in_a_diff(model):
    tracker = callbacks.track(model, types=["q_proj", "w_q"], layers=[-1])
    train(model.tensors, 1)
    assert set(name.partition("/")[0] for name in tracker.compare(model, 1)) == {"W_Q"}


def test_tensors_are_read_by_the_bases_config(moe):
    tensors = gyro.open(moe[1]).state_dict()  # of a mixture, which Llama's names do not tell
    assert "W_router/alpha" in callbacks.track(tensors, base=moe[0]).compare(tensors, 1)


def test_what_cannot_be_pickled_says_so(model):
    assert pickle.loads(pickle.dumps(callbacks.Tracker(every=7))).every == 7
    tracker = callbacks.track(model, types="W_Q")
    for copied in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="its history can"):
            copied(tracker)
