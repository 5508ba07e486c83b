"""Types of arguments."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Union

if TYPE_CHECKING:
    from ._models import Model

#: What gyro.open takes: a path or a name of the Hub's cache, a dict of tensors, a loaded model, an open Model.
ModelLike = Union[str, "os.PathLike[str]", Mapping[str, Any], "Model", Any]
#: One model, several, or several by name.
ModelsLike = Union[ModelLike, Sequence[ModelLike], Mapping[str, ModelLike]]
PathLike = Union[str, "os.PathLike[str]"]
Names = Union[str, Iterable[str]]
Paths = Union[PathLike, Iterable[PathLike]]
Numbers = Union[int, Iterable[int]]
Device = Literal["cpu", "cuda", "auto"]
DTypeName = Literal["f64", "f32", "bf16", "f16", "keep"]
#: True for a bar, or a callable that is given a dict of noun, done, items, share, item, ended.
Progress = Union[bool, Callable[["dict[str, Any]"], object]]
