"""gyro.build and gyro.init: new weights from old."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from . import _core, _models
from ._arguments import (
    chosen_names,
    finite,
    flag,
    goes_with,
    matrix_types,
    numbers,
    one_of,
    plain_path,
    text,
    whole,
)
from ._errors import InputError
from ._run import TemporaryFolder, manner
from ._tensors import numpy_array
from ._types import Device, DTypeName, ModelLike, Names, Numbers, PathLike, Progress

# Which operations take an argument. Those with a name of several parts have side and matrices in it.
_OF_OPERATION = {
    "side": ("ablate", "restore"),
    "on": ("replace", "ablate", "restore", "transplant", "interpolate", "noise"),
    "scale": ("replace", "replace-scaled", "paper"),
    "what": ("transplant",),
    "at": ("interpolate",),
    "align_signs": ("ablate", "paper"),
    "seed": ("noise",),
    "sibling": ("restore",),
}
_ADAPTERS = ("pissa", "middle", "minor")
_OF_KIND = {
    "rank": _ADAPTERS,
    "alpha": _ADAPTERS,
    "target_modules": _ADAPTERS,
    "band": ("middle",),
    "diff": ("middle",),
    "types": ("rescale",),
    "by": ("rescale",),
}


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
    operation = text(operation, "operation")
    side, on = one_of(side, "side", ("out", "in")), one_of(on, "on", ("attention", "mlp", "all"))
    what, align_signs = one_of(what, "what", ("sigma", "rotation")), flag(align_signs, "align_signs")
    at, seed, force = finite(at, "at"), whole(seed, "seed", 0, 2**64 - 1), flag(force, "force")
    given = {"side": side, "on": on, "scale": scale, "what": what, "at": at, "align_signs": align_signs, "seed": seed}
    _check_operation(operation, given | {"sibling": sibling})
    if not -1 <= at <= 2:
        raise InputError("at", f"can be from -1 to 2, not {at!r}", "at")
    chosen, stored, run = numbers(layers, "layers"), _models.dtype_argument(dtype), manner(device, threads, progress)
    folder = None if out is None else plain_path(out, "out")
    named = {"base": [("", base)], "post": [("", post)], "sibling": [] if sibling is None else [("", sibling)]}
    opened = _models.opened_together(named, warn=True)
    base, post, source = (opened[role][0][0] for role in ("base", "post", "base" if sibling is None else "sibling"))
    if folder is not None:
        _models.check_config(post)
    variants = []
    operations = _core.paper_variants() if operation == "paper" else [operation]
    for name in operations:
        variant = _core.Variant()
        variant.operation, variant.side, variant.on, variant.what = name, side, on, what
        variant.folder = name if folder is None else os.path.join(folder, name) if len(operations) > 1 else folder
        variant.align_signs, variant.t, variant.seed = align_signs, at, seed
        if name in ("replace", "replace-scaled"):
            variant.scales = _scales(1.0 if (operation, name) == ("paper", "replace") else scale, base, post, run)
        variants.append(variant)
    if folder is None:
        with _models.advised([source, post]):
            cores = _core.construct(source._core, post._core, variants, chosen, stored)
        made = [
            _models.Model(core, f"{name} of {_models.short_name(post.id)}") for name, core in zip(operations, cores)
        ]
        return dict(zip(operations, made)) if operation == "paper" else made[0]
    command = f"gyro.build({operation!r}, {base.id!r}, {post.id!r})"
    return Built(folder, _core.build(source._core, post._core, variants, chosen, stored, force, command, run))


def _check_operation(operation, given):
    """Raises InputError naming an argument that the operation does not take, or lacks."""
    kind = operation.partition("-")[0]
    if kind not in _OF_OPERATION["on"] + ("base", "paper"):
        return  # as which it will be refused
    if operation != kind:
        for field in ("side", "on"):
            if given[field] != _USUAL[field]:
                raise InputError(field, f"is in the name {operation} already", field)
        if given["sibling"] is None and operation.endswith("-sibling"):
            raise InputError("sibling", f"is needed for {operation} (eq. 12)", "sibling")
    goes_with(operation, {"scale": given["scale"]}, _USUAL, _OF_OPERATION)
    goes_with(
        "noise" if operation.endswith("-noise") else kind,
        {name: value for name, value in given.items() if name != "scale"},
        _USUAL,
        _OF_OPERATION,
    )


def _scales(scale, base, post, run):
    if isinstance(scale, str) and scale == "auto":
        return _core.automatic_scales(base._core, post._core, run)
    if isinstance(scale, Mapping):
        return {matrix_types(name, "scale")[0]: finite(value, "scale") for name, value in scale.items()}
    return dict.fromkeys(_core.types(), finite(scale, "scale"))


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
    by: float | None = None,
    dtype: DTypeName | None = None,
    out: PathLike | None = None,
    force: bool = False,
    device: Device = "cpu",
    threads: int | None = None,
    progress: Progress = False,
) -> Init:
    """Makes a starting point for fine-tuning: `gyro init`.

    kind: a LoRA adapter of the largest singular components ("pissa"), a band in the middle ("middle") or the smallest
        ("minor"); or "rescale": the matrices of `types` times `by`, both of which it needs.
    rank: components a matrix. alpha: lora_alpha (None: the rank). target_modules: such as ["q_proj", "W_O"]; None: all.
    band: of middle: the first component's number (None: centred), or "auto" with `diff`, the folder of a diff of the
        base: the band that turned most.
    out: a folder to write, as `gyro init` does; None: in memory (by way of a temporary folder).
    """
    kind = one_of(kind, "kind", (*_ADAPTERS, "rescale"))
    given = {"rank": rank, "alpha": alpha, "target_modules": target_modules, "band": band, "diff": diff}
    goes_with(kind, given | {"types": types, "by": by}, _USUAL_OF_INIT, _OF_KIND)
    rank, force = whole(rank, "rank", 1, 1 << 20), flag(force, "force")
    if alpha is not None and finite(alpha, "alpha") <= 0:
        raise InputError("alpha", f"should be above 0, not {alpha!r}", "alpha")
    automatic = isinstance(band, str) and band == "auto"
    if automatic != (diff is not None):
        raise InputError("band", "'auto' and diff go together", "band")
    factor = finite(1 if by is None else by, "by")
    first = None if band is None or automatic else whole(band, "band", 0, 10**9)
    modules, chosen = chosen_names(target_modules, "target_modules"), matrix_types(types)
    if kind == "rescale":
        for field, value, such in (("types", types, "W_O"), ("by", by, "1.4")):
            if value is None:
                raise InputError(field, f"is needed for rescale, such as {such}", field)
    run, stored = manner(device, threads, progress), _models.dtype_argument(dtype)
    turned = "" if diff is None else plain_path(diff, "diff")
    folder = None if out is None else plain_path(out, "out")
    base = _models.opened_as(base, "base")
    _models.check_config(base)
    temporary, where = None, folder
    if where is None:
        temporary = TemporaryFolder()
        where = os.path.join(temporary.path, "model")
    command = f"gyro.init({kind!r}, {base.id!r})"
    if kind == "rescale":
        _core.rescale(base._core, dict.fromkeys(chosen, factor), stored, where, force, command, run)
        return Init(_made(where, kind, base, temporary), {}, {}, [], [], folder)
    place = kind + "_init"
    rows, left = _core.init(
        base._core,
        kind,
        rank,
        alpha,
        modules,
        first,
        turned,
        stored,
        place + "/",
        where,
        force,
        command,
        run,
    )
    adapter = _core.read_safetensors(os.path.join(where, place, "adapter_model.safetensors"))
    with open(os.path.join(where, place, "adapter_config.json"), encoding="utf-8") as file:
        config = json.load(file)
    arrays = {name: numpy_array(*parts) for name, parts in adapter.items()}
    return Init(_made(where, kind, base, temporary), arrays, config, rows, left, folder)


_USUAL, _USUAL_OF_INIT = build.__kwdefaults__, init.__kwdefaults__
