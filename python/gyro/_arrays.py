"""gyro.svd and gyro.compare: the same on arrays."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _core
from ._arguments import names, whole
from ._diff import _flat
from ._errors import InputError
from ._run import manner
from ._tensors import check_torch, described, is_tensor, is_torch
from ._types import Device, Names

if TYPE_CHECKING:
    import numpy
    import pandas


class SVD(NamedTuple):
    """A = U diag(S) Vh, with bounds on what it is wrong by."""

    U: numpy.ndarray  #: rows x n
    S: numpy.ndarray  #: n, descending
    Vh: numpy.ndarray  #: n x cols
    S_error: numpy.ndarray  #: n: bound on the absolute error of each
    residual: float  #: bound on ‖A − U diag(S) Vh‖_F
    orthogonality: float  #: bound on ‖UᵀU − I‖_F + ‖V Vᵀ − I‖_F


def svd(a: Any, *, device: Device = "cpu", threads: int | None = None) -> SVD:
    """The reduced SVD of a two-dimensional array of floating-point numbers, in float64 whatever the array's type
    (bfloat16 and FP8 too): `n = min(rows, cols)`. Signs follow a rule (the largest entry of each vector of the short
    side is positive), so that the same array gives the same vectors."""
    dtype, shape, data = _matrix(a, "a")
    return SVD(*_core.svd(dtype, *shape, data, manner(device, threads)))


class Pair:
    """What two matrices have in common: the fields of a matrix's row in result.json as attributes (`alpha_mean`, `nf`,
    `energy["z"]`, `null["nf"]`, ...), and arrays.

    base_sigma, sigma: singular values, n. alpha: their ratio (eq. 4). turn_u, turn_v: how far each direction turned, n.
    sim_u, sim_v, sim_diff, i_orth: `directions` squared (eqs. 5, 7). An array that is not defined is None.
    """

    _ARRAYS = (
        "base_sigma",
        "sigma",
        "turn_u",
        "turn_v",
        "principal_u",
        "principal_v",
        "sim_u",
        "sim_v",
        "sim_diff",
        "i_orth",
        "delta_q1",
        "delta_q2",
    )
    _PLACE = ("layer", "type", "tensor", "slice", "fused", "expert")  # of a model's matrix, which this is not

    def __init__(self, row, arrays):
        self.data = {key: value for key, value in row.items() if key not in self._PLACE}
        self.arrays = arrays

    def __getattr__(self, name: str) -> Any:
        if name in Pair._ARRAYS:
            return self.arrays.get(name)
        if name != "data" and name in self.data:
            return self.data[name]
        raise AttributeError(f"Pair has no {name!r}")

    def __dir__(self):
        return [*super().__dir__(), *self.data, *self._ARRAYS]

    @property
    def alpha(self) -> numpy.ndarray:
        """σ_p,j / σ_b,j, n; nan where the base's is zero."""
        import numpy

        base = self.base_sigma
        return numpy.divide(self.sigma, base, out=numpy.full_like(base, numpy.nan), where=base > 0)

    def to_pandas(self) -> pandas.Series:
        """The figures as a pandas.Series."""
        import pandas

        return pandas.Series({name: math.nan if value is None else value for name, value in _flat(self.data).items()})

    def __repr__(self):
        def text(value):
            return "undefined" if value is None else f"{value:.4g}"

        null = self.data["null"]
        return (
            f"<gyro.Pair {self.d_out} x {self.d_in}: alpha {text(self.alpha_mean)} ± {text(self.alpha_std)}, "
            f"NF {text(self.nf)} (null {text(null['nf'])}), relative change {text(self.relative_change)}>"
        )


def compare(
    base: Any,
    post: Any,
    *,
    directions: int = 25,
    measure: Names = (),
    null_draws: int = 1,
    null_nf_draws: int = 0,
    seed: int = 0,
    device: Device = "cpu",
    threads: int | None = None,
) -> Pair:
    """Compares two matrices of one shape, as a checkpoint stores weights: `d_out x d_in`, so that U of the figures is
    the input side (the columns of the array) and V the output side.

    directions: how many of the first singular directions sim_u and the like have, at most n.
    measure: "update-spectrum", "masks". The rest as in gyro.diff.
    """
    base_dtype, shape, base_data = _matrix(base, "base")
    post_dtype, post_shape, post_data = _matrix(post, "post")
    if shape != post_shape:
        raise InputError("post", f"is {post_shape[0]} x {post_shape[1]}, where base is {shape[0]} x {shape[1]}", "post")
    numbers = (
        whole(null_draws, "null_draws", 0, 10000),
        whole(null_nf_draws, "null_nf_draws", 0, 10000),
        whole(seed, "seed", 0, 2**64 - 1),
    )
    row, arrays = _core.compare(
        base_dtype,
        base_data,
        post_dtype,
        post_data,
        *shape,
        whole(directions, "directions", 0, 2**62),
        names(measure, "measure"),
        *numbers,
        manner(device, threads),
    )
    return Pair(json.loads(row), arrays)


def _matrix(array, name):
    if not is_tensor(array):
        import numpy

        try:
            array = numpy.asarray(array, dtype=numpy.float64)
        except (TypeError, ValueError) as error:
            raise InputError(name, f"is no array of numbers: {error}", name) from None
    if is_torch(array):
        check_torch(name, array)  # of some that it refuses there is no shape
    if len(array.shape) != 2:
        raise InputError(name, f"should have two dimensions, not {len(array.shape)}", name)
    dtype, shape, data = described(name, array)
    return dtype, shape, data(0, shape[0]) if callable(data) else data
