"""gyro.build and gyro.init: new weights from old."""

from __future__ import annotations

import json
import math
import os
from typing import Any, Literal, NamedTuple

from . import _core, _models
from ._diff import _numbers, _texts
from ._errors import InputError
from ._models import _text
from ._run import TemporaryFolder, manner, whole
from ._types import Device, DTypeName, ModelLike, Names, Numbers, PathLike, Progress


class Built(NamedTuple):
    """What gyro.build wrote: the folder, and how far each type's matrices are from the post's (dicts of variant, type,
    matrices, change, moved, rounding: Frobenius norms; left: why others stay the post's)."""

    folder: str
    rows: list[dict[str, Any]]


def build(
    operation: str,
    base: ModelLike,
    post: ModelLike,
    *,
    side: Literal["out", "in"] = "out",
    on: Literal["attention", "mlp", "all"] = "all",
    scale: float | dict[str, float] | Literal["auto"] = "auto",
    sibling: ModelLike | None = None,
    what: Literal["sigma", "rotation"] = "sigma",
    at: float = 0.5,
    layers: Numbers | None = None,
    align_signs: bool = False,
    dtype: DTypeName | None = None,
    seed: int = 0,
    out: PathLike | None = None,
    force: bool = False,
    device: Device = "cpu",
    threads: int | None = None,
    progress: Progress = False,
) -> Any:
    """Builds a counterfactual model from a base and its post: `gyro build`.

    operation: "replace" U_p (α′ Σ_b) V_pᵀ (eqs. 9, 14); "ablate" U_p Σ_p V_bᵀ or U_b Σ_p V_pᵀ (eqs. 10, 15); "restore"
        (eqs. 11, 12, 16); "transplant", "interpolate", "noise"; a variant by its name ("restore-attention-out"); or
        "paper" for all of the paper's.
    side: whose vectors are the base's: "out" (V) or "in" (U). on: "attention", "mlp", "all".
    scale: α′ of replace: "auto" (Table 4, from a diff), a number, or {"W_Q": 0.9}. sibling: restores from this model's
        factors in the base's place. what: of transplant, "sigma" or "rotation". at: of interpolate, from base (0) to
        post (1). align_signs: of ablate.
    dtype: of the tensors, "f32", "bf16", "f16"; None keeps the post's.
    out: a folder to write; then a Built is returned. Without one, a Model whose matrices are made each time they are
        read, on the reader's thread (with "paper" a dict of them by name).
    """
    base = _models.open(base)
    post = _models.open(post, base=base)
    _text(operation, "operation")
    if sibling is not None and operation != "restore" and not operation.endswith("-sibling"):
        raise InputError("sibling", "goes with restore (eq. 12)", "sibling")
    if sibling is None and operation.endswith("-sibling"):
        raise InputError("sibling", f"is needed for {operation} (eq. 12)", "sibling")
    if align_signs and operation != "paper" and not operation.startswith("ablate"):
        raise InputError("align_signs", "goes with ablate", "align_signs")
    if (side != "out" or on != "all") and "-" in operation:
        raise InputError("side" if side != "out" else "on", f"is in the name {operation} already", "side")
    seed = whole(seed, "seed", 0, 2**64 - 1)
    source = base if sibling is None else _models.open(sibling, base=base)
    if not -1 <= _finite(at, "at") <= 2:
        raise InputError("at", f"can be from -1 to 2, not {at!r}", "at")
    names = _core.paper_variants() if operation == "paper" else [operation]
    run = manner(device, threads, progress)
    variants = []
    for name in names:
        variant = _core.Variant()
        variant.operation, variant.side, variant.on, variant.what = name, side, on, what
        variant.folder = (
            name if out is None else os.path.join(os.fspath(out), name) if len(names) > 1 else os.fspath(out)
        )
        variant.align_signs, variant.t, variant.seed = align_signs, at, seed
        if name in ("replace", "replace-scaled"):
            one = {"replace": 1.0}.get(name) if operation == "paper" else None
            variant.scales = _scales(scale if one is None else one, base, post, run)
        variants.append(variant)
    layers, stored = _numbers(layers, "layers"), _models.dtype_argument(dtype)
    if out is None:
        cores = _core.construct(source._core, post._core, variants, layers, stored)
        made = [_models.Model(core, f"{name} of {_models.short_name(post.id)}") for name, core in zip(names, cores)]
        return dict(zip(names, made)) if operation == "paper" else made[0]
    command = f"gyro.build({operation!r}, {base.id!r}, {post.id!r})"
    rows = _core.build(source._core, post._core, variants, layers, stored, force, command, run)
    return Built(os.fspath(out), rows)


def _scales(scale, base, post, run):
    if scale == "auto":
        return _core.automatic_scales(base._core, post._core, run)
    if isinstance(scale, dict):
        return {_text(name, "scale"): _finite(value, "scale") for name, value in scale.items()}
    return {name: _finite(scale, "scale") for name in _core.types()}


def _finite(value, field):
    """A finite number. Raises InputError naming the argument."""
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError(field, f"should be a finite number, not {value!r}", field)
    return number


def _made(folder, kind, base, temporary):
    """What was written, as a model; a temporary folder stays as long as it."""
    if temporary is None:
        return _models.open(folder)
    return _models.Model(_core.open(os.fsencode(folder), None), f"{kind} of {_models.short_name(base.id)}", temporary)


class Init(NamedTuple):
    """What gyro.init made: the residual model (base − scaling · B A), the adapter as PEFT stores it ({name: array}, and
    its config), a dict a module (first, rank, share of ‖W‖², rounding), and modules without an adapter in words.
    `folder` is where it was written, or None. With "rescale" there is no adapter."""

    model: _models.Model
    adapter: dict[str, Any]
    adapter_config: dict[str, Any]
    rows: list[dict[str, Any]]
    left: list[str]
    folder: str | None


def init(
    kind: Literal["pissa", "middle", "minor", "rescale"],
    base: ModelLike,
    *,
    rank: int = 16,
    alpha: float | None = None,
    target_modules: Names | None = None,
    band: int | Literal["auto"] | None = None,
    diff: PathLike | None = None,
    types: Names | None = None,
    by: float = 1.4,
    dtype: DTypeName | None = None,
    out: PathLike | None = None,
    force: bool = False,
    device: Device = "cpu",
    threads: int | None = None,
    progress: Progress = False,
) -> Init:
    """Makes a starting point for fine-tuning: `gyro init`.

    kind: a LoRA adapter of the largest singular components ("pissa"), a band in the middle ("middle") or the smallest
        ("minor"); or "rescale": the matrices of `types` times `by`.
    rank: components a matrix. alpha: lora_alpha (None: the rank). target_modules: such as ["q_proj", "W_O"]; None: all.
    band: of middle: the first component's number (None: centred), or "auto" with `diff`, the folder of a diff of the
        base: the band that turned most.
    out: a folder to write, as `gyro init` does; None: in memory (by way of a temporary folder).
    """
    base = _models.open(base)
    temporary = TemporaryFolder() if out is None else None
    folder = os.path.join(temporary.path, "model") if out is None else os.fspath(out)
    rank = whole(rank, "rank", 1, 1 << 20)
    run, stored = manner(device, threads, progress), _models.dtype_argument(dtype)
    command = f"gyro.init({kind!r}, {base.id!r})"
    if alpha is not None and _finite(alpha, "alpha") <= 0:
        raise InputError("alpha", f"should be above 0, not {alpha!r}", "alpha")
    by = _finite(by, "by")
    if (band is not None or diff is not None) and kind != "middle":
        raise InputError("band", "goes with middle", "band")
    if (band == "auto") != (diff is not None):
        raise InputError("band", "'auto' and diff go together", "band")
    if kind == "rescale":
        if not types:
            raise InputError("types", "rescale needs the types to scale, such as W_O", "types")
        _core.rescale(base._core, {name: by for name in _texts(types, "types")}, stored, folder, force, command, run)
        return Init(
            _made(folder, kind, base, temporary),
            {},
            {},
            [],
            [],
            None if out is None else folder,
        )
    place = kind + "_init"
    rows, left = _core.init(
        base._core,
        kind,
        rank,
        alpha,
        _texts(target_modules, "target_modules"),
        None if band in (None, "auto") else whole(band, "band", 0, 10**9),
        os.fspath(diff) if diff is not None else "",
        stored,
        place + "/",
        folder,
        force,
        command,
        run,
    )
    adapter = _core.read_safetensors(os.path.join(folder, place, "adapter_model.safetensors"))
    with open(os.path.join(folder, place, "adapter_config.json"), encoding="utf-8") as file:
        config = json.load(file)
    return Init(
        _made(folder, kind, base, temporary),
        {name: _models.numpy_array(*parts) for name, parts in adapter.items()},
        config,
        rows,
        left,
        None if out is None else folder,
    )
