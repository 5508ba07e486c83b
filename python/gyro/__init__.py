"""Gyro: what post-training did to a language model's weights.

    import gyro
    result = gyro.diff("Qwen2.5-1.5B", "Qwen2.5-1.5B-Instruct", progress=True)
    result.alpha("W_Q"), result.null("W_Q")["alpha_mean"]
    result.report("report.html")

`gyro.diff` compares models, `gyro.compare` and `gyro.svd` do so with arrays, `gyro.build` and `gyro.init` make new
weights from old, `gyro.evaluate` and `gyro.probe` run them, `gyro.grade` decides whether an answer is right;
`gyro.callbacks` follows a training run.
"""

import atexit

from . import _core, _run, callbacks
from ._arrays import SVD, Pair, compare, svd
from ._command import evaluate, probe
from ._diff import Comparison, DiffResult, diff, load
from ._edit import Built, Init, build, init
from ._errors import DeviceError, FileError, GyroError, InputError, InternalError, NotFoundError, OutOfMemoryError
from ._grade import Decision, Grade, grade
from ._models import Model, open

__version__ = _core.version()
__all__ = [
    "Built",
    "Comparison",
    "Decision",
    "DeviceError",
    "DiffResult",
    "FileError",
    "Grade",
    "GyroError",
    "Init",
    "InputError",
    "InternalError",
    "Model",
    "NotFoundError",
    "OutOfMemoryError",
    "Pair",
    "SVD",
    "build",
    "callbacks",
    "compare",
    "diff",
    "evaluate",
    "grade",
    "init",
    "load",
    "open",
    "probe",
    "svd",
]

_run.register_threads()
atexit.register(_core.finish_left_work)
