"""Follows a training run: how far its weights are from where it began, by gyro.diff.

    tracker = gyro.callbacks.SpectralTracker()           # transformers.Trainer
    tracker.attach(trainer)
    trainer.train()

    tracker = gyro.callbacks.track(model)                # any loop
    for step, batch in enumerate(batches, 1):
        ...
        tracker.step(model, step)
    tracker.to_pandas()

Tracker says what is measured.
"""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any

from . import _models
from ._arguments import finite, matrix_types, numbers, whole
from ._diff import _frame, diff
from ._errors import InputError
from ._run import logger, manner
from ._tensors import SHARDED, check_torch, is_torch
from ._types import Device, ModelLike, Names, Numbers

if TYPE_CHECKING:
    import pandas

__all__ = ["SpectralTracker", "Tracker", "track"]

_FIGURES = {"alpha": "alpha_mean", "nf": "nf_mean", "relative_change": "relative_change_mean"}  # fields of a type's row
_WHOLE = ("W_QKV", "W_gate_up")  # fused tensors, whose parts are compared


def track(model: Any, base: ModelLike | None = None, **options: Any) -> Tracker:
    """A Tracker of a run that begins from `model`'s weights as they are now (or from `base`, which is not copied); its
    other arguments are Tracker's."""
    tracker = Tracker(base, **options)
    tracker.begin(model)
    return tracker


class Tracker:
    """Compares a model's weights with those of a base, every so many steps.

    base: what gyro.open takes; None: the weights at the beginning, of which a copy is kept in the host's memory (of
        the tensors that are compared alone). A model's current weights come there matrix by matrix: nothing is added
        to a GPU's memory.
    every: steps between comparisons. at_most: the share of the run's time that they may take; those that would take
        more are left out. None: no limit.
    types, layers, experts, device, threads: as in gyro.diff. On "cpu" a comparison of a 5 M model takes about 2 s of
        processor time; on "cuda" (an H200) one of a 1.5 B model 6 s.

    history: a dict a comparison: step, seconds (what it took) and of each type, such as "W_Q/alpha", means over layers:
        alpha (eq. 4), nf (eq. 7), relative_change (‖ΔW‖_F/‖W_b‖_F), and principal_in, principal_out: the share of the
        change's energy on the leading tenth of the base's directions of either side, beside ..._null, what chance
        gives. What is not defined, as of weights that have not changed, is not there.

    Weights that cannot be compared at the beginning raise InputError; later on, as when they are no numbers any more,
    there is a warning (logging), and the run goes on.
    """

    def __init__(
        self,
        base: ModelLike | None = None,
        *,
        every: int = 100,
        at_most: float | None = 0.05,
        types: Names | None = None,
        layers: Numbers | None = None,
        experts: Numbers | None = None,
        device: Device = "cpu",
        threads: int | None = None,
    ):
        self.every = whole(every, "every", 1, 2**62)
        if at_most is not None and not 0 < finite(at_most, "at_most") <= 1:
            raise InputError("at_most", f"can be a share above 0 and up to 1, or None, not {at_most!r}", "at_most")
        self.at_most = at_most
        self._given = base
        self._base: _models.Model | None = None
        self._types = matrix_types(types)
        self._layers, self._experts = numbers(layers, "layers"), numbers(experts, "experts")
        self._manner = {"device": device, "threads": threads}
        manner(**self._manner)  # which refuses what is wrong with them now
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0  # all that this took, the first copy too

    def begin(self, model: Any) -> None:
        """Takes the beginning from a model: a module, or a dict of tensors."""
        self._began = time.monotonic()
        self.history, self._warned = [], False
        state, adapter, config = _state(model)
        given = None if self._given is None else _models.opened_as(self._given, "base")
        if config is None and given is not None:
            config = given.config or None
        opened = _models.open(state, config=config)
        self._config = config or {"model_type": "llama"}  # what it was taken for, and has been said
        matrices = opened.matrices
        layers = _chosen(self._layers, opened.layers, "layer")
        count = 1 + max((m["expert"] for m in matrices if m["expert"] is not None), default=-1)
        experts = _chosen(self._experts, count, "expert")
        asked = [
            m
            for m in matrices
            if (m["type"] in self._types if self._types else m["type"] not in _WHOLE)
            and m["layer"] in (layers or [m["layer"]])
            and m["expert"] in (experts or [m["expert"]]) + [None]
        ]
        if not asked:
            raise InputError("types", "no matrix of these types, layers and experts is in the model", "types")
        self._asked = {
            "types": sorted({m["type"] for m in asked}),
            "layers": layers or None,
            "experts": experts or None,
        }
        if given is not None:
            self._names, self._base = sorted(state), _models.with_config(given, self._config)
        else:
            vectors = {name for name, tensor in state.items() if len(tensor.shape) < 2}  # which are small
            copied = {m["tensor"] for m in asked} | vectors
            self._names = sorted({m["tensor"] for m in matrices} | vectors)
            beginning = {name: (_copied if name in copied else _nothing)(state[name]) for name in self._names}
            self._base = _models.adapted(_models.open(beginning, config=self._config, name="the beginning"), adapter)
        first = {"types": asked[0]["type"], "layers": asked[0]["layer"], "experts": self._asked["experts"]}
        self._compared(state, adapter, first)  # what would fail each time fails now
        self.seconds = time.monotonic() - self._began

    def step(self, model: Any, step: int) -> dict[str, float] | None:
        """Called after every step, with its number; compares where it is due. Returns the figures, or None."""
        if self._base is None:
            raise InputError(
                "model", "is not begun with: call begin(model) before the first step, or use track(model)", "model"
            )
        if step % self.every or not self._affordable():
            return None
        return self.compare(model, step)

    def compare(self, model: Any, step: int) -> dict[str, float] | None:
        """Compares, due or not. Returns the figures, or None where it cannot be done."""
        began = time.monotonic()
        try:
            figures = self._figures(model)
        except Exception as error:  # whatever it is, it is no reason to end a training run
            logger.warning("step %s is not compared: %s: %s", step, type(error).__name__, error)
            return None
        took = time.monotonic() - began
        self.seconds += took
        self.history.append({"step": step, "seconds": took, **figures})
        logger.info("step %s: %s", step, "; ".join(_words(figures, name) for name in _FIGURES))
        return figures

    def to_pandas(self) -> pandas.DataFrame:
        """`history` as a pandas.DataFrame, a line a comparison, indexed by step."""
        return _frame(self.history or {"step": [], "seconds": []}).set_index("step")

    def __getstate__(self):
        if self._base is not None:
            raise TypeError("a tracker that follows a run cannot be pickled or copied: its history can")
        return self.__dict__

    def _affordable(self):
        if self.at_most is None or not self.history:
            return True
        if self.seconds + self.history[-1]["seconds"] <= self.at_most * (time.monotonic() - self._began):
            return True
        if not self._warned:
            logger.info(
                "comparisons are left out: every %d steps they take more than %.3g of the time",
                self.every,
                self.at_most,
            )
            self._warned = True
        return False

    def _figures(self, model):
        state, adapter, _ = _state(model)
        if missing := next((name for name in self._names if name not in state), None):
            raise InputError(missing, "is not in the model any more")
        types = self._compared(state, adapter, self._asked).types
        figures = {}
        for kind, row in types.items():
            values = {name: row[field] for name, field in _FIGURES.items()}
            share = (
                row["quantities"]["principal_share"]["q10"] if "quantities" in row else {}
            )  # not of what is unchanged
            for name, side in (("principal_in", "u"), ("principal_out", "v")):
                if side in share:
                    values |= {name: share[side]["value"], name + "_null": share[side]["null"]}
            figures |= {f"{kind}/{name}": value for name, value in values.items() if value is not None}
        return figures

    def _compared(self, state, adapter, asked):
        tensors = {name: state[name] for name in self._names}
        post = _models.adapted(_models.quietly_opened(tensors, config=self._config, name="the run"), adapter)
        return diff(self._base, post, null_draws=0, **asked, **self._manner)


class _ForTrainer(Tracker):
    """A Tracker that is a callback of transformers.Trainer. `attach` adds it to one, so that figures reach the trainer's
    loggers and state.log_history, as "gyro/W_Q/alpha" and so on, at the step that they are of. Among `callbacks=` alone it
    has no way to these, and writes `history` and Python's logging only.

    Of several processes the main one compares. A LoRA adapter is followed as what it makes of its base. Weights that are
    sharded (FSDP, ZeRO-3) cannot be. A run that is resumed begins where it was resumed: name a base.
    """

    def __init__(self, base: ModelLike | None = None, **options: Any):
        super().__init__(base, **options)
        self._trainer = _nobody

    def attach(self, trainer: Any) -> _ForTrainer:
        """Adds it to a trainer's callbacks. Returns itself."""
        self._trainer = weakref.ref(trainer)
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)
        return self

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        if not state.is_world_process_zero:
            return
        if self._trainer() is None:
            logger.warning(
                "figures go to history and logging only: SpectralTracker.attach(trainer) leads to the trainer's loggers"
            )
        if state.global_step > 0 and self._given is None:
            logger.warning(
                "the run is resumed at step %d: it is compared with its weights there, not with a base",
                state.global_step,
            )
        self.begin(model)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if not state.is_world_process_zero:
            return
        figures, trainer = self.step(model, state.global_step), self._trainer()
        if figures and trainer is not None:
            due = control.should_log  # which Trainer.log takes as done
            trainer.log({f"gyro/{name}": value for name, value in figures.items()})
            control.should_log = trainer.control.should_log = due


def __getattr__(name):
    """SpectralTracker is made when it is asked for: its other base class is transformers'."""
    if name != "SpectralTracker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from transformers import TrainerCallback
    except ImportError as error:
        raise ImportError("SpectralTracker needs transformers; gyro.callbacks.track follows any loop") from error
    made = type(name, (_ForTrainer, TrainerCallback), {"__module__": __name__, "__doc__": _ForTrainer.__doc__})
    globals()[name] = made
    return made


def _state(model):
    """(tensors, adapter, config) of a module, or of a dict of tensors."""
    while hasattr(model, "_orig_mod") or type(model).__name__ in ("DistributedDataParallel", "DataParallel"):
        model = model._orig_mod if hasattr(model, "_orig_mod") else model.module  # of torch.compile; of a replica
    if type(model).__name__ == "FullyShardedDataParallel":  # whose state_dict waits for the other processes
        raise InputError("model", SHARDED, "model")
    if not _models.is_state_dict(model):
        if not callable(getattr(model, "state_dict", None)):
            raise InputError("model", f"is {type(model).__name__}: neither a module nor a dict of tensors", "model")
        state, adapter = _models.module_parts(model)
    else:
        state, adapter = dict(model), None
    for name, tensor in state.items():
        if is_torch(tensor):
            check_torch(name, tensor)
        if "weight" in name and 0 in getattr(tensor, "shape", ()):
            raise InputError(name, SHARDED)
    own = getattr(model, "config", None)
    return state, adapter, own if hasattr(own, "to_json_string") else None


def _nobody():
    """In place of a reference to a trainer."""
    return None


def _chosen(asked, count, what):
    """Numbers of layers or experts of which there are `count`, those below 0 from the end."""
    for number in asked:
        if not -count <= number < count:
            raise InputError(what + "s", f"there is no {what} {number}: the model has {count}", what + "s")
    return [number % count for number in asked]


def _words(figures, name):
    values = [f"{key.partition('/')[0]} {value:.4g}" for key, value in figures.items() if key.endswith("/" + name)]
    return f"{name} {', '.join(values) or 'undefined'}"


def _nothing(tensor):
    """Of a tensor's shape, in no memory: a model has all its matrices, whether they are compared or not."""
    import numpy

    return numpy.broadcast_to(numpy.zeros((), dtype=numpy.float32), tuple(tensor.shape))


def _copied(tensor):
    if is_torch(tensor):
        return tensor.detach().to("cpu", copy=True)
    import numpy

    return numpy.array(tensor)
