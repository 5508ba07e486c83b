"""Models as Gyro takes them: folders, names of the Hub's cache, tensors in memory, loaded transformers models."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from . import _core, _peft
from ._arguments import flag, one_of, path, plain_path, text, whole
from ._errors import InputError
from ._run import logger, manner
from ._tensors import NAMES, check_torch, described, is_tensor, is_torch, numpy_array
from ._types import DTypeName, ModelLike, PathLike, Progress

if TYPE_CHECKING:
    import numpy

UNNAMED = "tensors in memory"
_ARGUMENTS = {"f64": "F64", "f32": "F32", "bf16": "BF16", "f16": "F16", "keep": None, None: None}


class Model:
    """A model whose tensors can be read by name. Made by `gyro.open` or `gyro.build`; whatever takes a model takes this.

    `model["model.layers.0.self_attn.q_proj.weight"]` is a read-only NumPy array (of ml_dtypes' type where NumPy has
    none, as for bfloat16), in the stored shape and bytes.
    """

    def __init__(self, core, name="", keep=None, given=None, held=None):
        self._core = core
        self._given = given  # the path by which another process opens the same; None: it has to be written first
        self._held = held  # of tensors without a config: (id, what _core.hold takes), to be read by another's
        self._name = name  # what results call it; empty: its id
        self._keep = keep  # what must live as long as the model, such as a temporary folder

    @property
    def id(self) -> str:
        """How messages and results call it."""
        return self._name or self._core.id

    @property
    def path(self) -> str | None:
        """Its folder as given, or None where it lies in memory or is made when it is read."""
        return self._given or (None if self._core.in_memory or self._name else self._core.path)

    @property
    def config(self) -> dict[str, Any]:
        """What its config.json holds; {} where there is none."""
        try:
            return json.loads(self._core.companion("config.json"))
        except FileNotFoundError:
            return {}

    @property
    def tensors(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """{name: (dtype, shape)}, dtypes as safetensors names them ("BF16")."""
        return self._core.tensors()

    @property
    def parameters(self) -> int:
        """Number of floating-point elements."""
        return self._core.parameters

    @property
    def layers(self) -> int:
        """Number of layers."""
        with advised([self]):
            return self._core.layers()

    @property
    def matrices(self) -> list[dict[str, Any]]:
        """The matrices that are compared, a dict each: layer, type, expert (None outside mixtures), tensor, d_in,
        d_out."""
        keys = ("layer", "type", "expert", "tensor", "d_in", "d_out")
        with advised([self]):
            return [dict(zip(keys, site)) for site in self._core.matrices()]

    def matrix(self, layer: int, type: str, expert: int | None = None) -> numpy.ndarray:
        """W of the paper, `d_in x d_out` in float64: the stored weight's transpose, FP8 scales multiplied in, a slice
        where the tensor is fused."""
        layers = self.layers
        layer = whole(layer, "layer", -layers, layers - 1) % layers
        type, expert = text(type, "type"), -1 if expert is None else whole(expert, "expert", 0, 2**31)
        with advised([self]):
            return self._core.matrix(layer, type, expert)

    def __getitem__(self, name: str) -> numpy.ndarray:
        dtype, shape = self._core.tensors()[name]
        return numpy_array(dtype, shape, self._core.read(name))

    def __contains__(self, name: object) -> bool:
        return name in self._core.tensors()

    def __iter__(self) -> Iterator[str]:
        return iter(self._core.tensors())

    def __len__(self) -> int:
        return len(self._core.tensors())

    def keys(self):
        return self._core.tensors().keys()

    def state_dict(self, framework: Literal["numpy", "torch"] = "numpy") -> dict[str, Any]:
        """{name: array}, of NumPy or ("torch") of PyTorch, which then has copies."""
        if one_of(framework, "framework", ("numpy", "torch")) == "numpy":
            return {name: self[name] for name in self}
        import torch

        out = {}
        for name, (dtype, shape) in self._core.tensors().items():
            kind = getattr(torch, NAMES[dtype])
            data = torch.from_numpy(self._core.read(name).copy())
            out[name] = data.view(kind).reshape(shape) if len(data) else torch.empty(shape, dtype=kind)
        return out

    def save(
        self, folder: PathLike, dtype: DTypeName | None = None, force: bool = False, progress: Progress = False
    ) -> None:
        """Writes it as a checkpoint folder that transformers loads: safetensors, config.json, and the tokenizer's files
        where it has them. `dtype` "f32", "bf16" or "f16" stores floating-point tensors so; FP8 scales are multiplied
        in. A folder that is not empty is refused without `force`; nothing half-written stays."""
        check_config(self)
        run, folder = manner(progress=progress), plain_path(folder, "folder")
        self._core.save(folder, dtype_argument(dtype), flag(force, "force"), run)

    def __reduce__(self):
        if self._given is None:
            raise TypeError(
                f"{self.id} has no folder that is opened again elsewhere: save it, and open what was written"
            )
        return quietly_opened, (os.path.abspath(self._given) if os.path.exists(self._given) else self._given,)

    def __repr__(self):
        return f"<gyro.Model {self.id}: {len(self)} tensors, {self.parameters:,} parameters>"


def short_name(id):
    """The last part of a model's id: its name, without where it lies."""
    return id.rstrip("/").rpartition("/")[2]


def dtype_argument(dtype):
    """A dtype as the command line names it, as safetensors does."""
    if not (dtype is None or isinstance(dtype, str)) or dtype not in _ARGUMENTS:
        raise InputError("dtype", f"can be 'f32', 'bf16', 'f16' or None to keep it, not {dtype!r}", "dtype")
    return _ARGUMENTS[dtype]


def open(model: ModelLike, *, base: ModelLike | None = None, config: Any = None, name: str | None = None) -> Model:
    """Opens a model.

    model: a folder with safetensors or a LoRA adapter; `owner/name` or `owner/name@revision` of a model in the Hub's
        cache (nothing is downloaded); a dict of tensors such as a `state_dict` (PyTorch, NumPy with ml_dtypes, or
        anything that NumPy takes), which are not copied where they lie contiguous in the host's memory; or a loaded
        transformers model, with the LoRA adapter that PEFT has put into it (as the adapter is now).
    base: of a folder: what an adapter adapts, where its config does not lead there.
    config: of what lies in memory: what its config.json would hold, as a dict or a transformers config. Without one the
        tensors tell what they can: models named as Llama's are. What takes other models too reads them by theirs.
    name: how results call it; None: as its folder is called, or what a loaded model says.

    Raises NotFoundError for what is not there, InputError naming what cannot be used.
    """
    on_disk = isinstance(model, (str, os.PathLike))
    for field, value, useful in (("base", base, on_disk), ("config", config, not on_disk), ("name", name, True)):
        if value is not None and (isinstance(model, Model) or not useful):
            where = "an open model" if isinstance(model, Model) else "a folder" if on_disk else "a model in memory"
            raise InputError(field, f"does not go with {where}", field)
    return _with_warnings(quietly_opened(model, base=base, config=config, name=name))


def _with_warnings(opened):
    for warning in opened._core.warnings:
        logger.warning("%s", warning)
    return opened


def opened_as(model, field):
    """A model that is open, or is opened, as the argument `field`."""
    if isinstance(model, Model):
        return model
    return _with_warnings(quietly_opened(model, name=field if is_state_dict(model) else None, field=field))


def quietly_opened(model, base=None, config=None, name=None, field="model"):
    """Opened, for a comparison, which passes on itself what is odd about its models."""
    if isinstance(model, Model):
        return model
    if isinstance(model, (str, os.PathLike)):
        given = path(model, field)
        opened = _core.open(os.fsencode(given), None if base is None else quietly_opened(base, field="base")._core)
        return Model(opened, text(name, "name") if name else "", given=given if base is None else None)
    if hasattr(model, "state_dict") and callable(model.state_dict):
        return _of_module(model, config, name)
    if isinstance(model, Mapping):
        return _of_tensors(model, config, "" if name is None else text(name, "name"), field)
    raise InputError(field, f"is {type(model).__name__}: neither a path, a dict of tensors, nor a model", field)


def opened_together(named, warn=False):
    """{role: [(model, name that results give it)]} of {role: [(name, model)]}, the base first. A model of None is noise.
    Adapters whose base is not found adapt the base; tensors without a config are read by the first that another has. With
    `warn` what is odd about them is logged."""
    opened: dict[str, list] = {role: [] for role in named}
    for role, given in named.items():
        for i, (name, model) in enumerate(given):
            if isinstance(model, str) and model == "noise" and role == "control":
                opened[role].append((None, ""))
                continue
            called = name or (role if len(given) == 1 else f"{role} {i + 1}")
            base = opened["base"][0][0] if opened["base"] else None
            in_memory = not isinstance(model, (str, os.PathLike))
            model = quietly_opened(model, base=base, name=called if in_memory else None, field=role)
            opened[role].append((model, name or model._name))
    config = first_config(model for models in opened.values() for model, _ in models if model is not None)
    for role, models in opened.items():
        models[:] = [(None if model is None else with_config(model, config), name) for model, name in models]
        for (_, given), (model, _) in zip(named[role], models):
            if warn and not isinstance(given, Model):
                _with_warnings(model)
    return opened


def first_config(models):
    """That of the first that has one, or None."""
    return next((config for config in (model.config for model in models) if config), None)


def with_config(model, config):
    """The model; if it is of tensors that nobody gave a config, as this one says."""
    if model._held is None or config is None:
        return model
    id, given = model._held
    return Model(_core.hold(id, _config_text(config), given))


def check_config(model):
    """Raises InputError where a model in memory has no config, which what is written of it needs."""
    if model._held is not None:
        raise InputError(model.id, "has no config", "config")


@contextlib.contextmanager
def advised(models):
    """Errors about those of `models` that have no config say how they get one."""
    try:
        yield
    except InputError as error:
        if error.field is None and any(model._held is not None and error.subject == model.id for model in models):
            error.field = "config"
        raise


def is_state_dict(value):
    """Whether it is meant as a dict of tensors, not of models."""
    return isinstance(value, Mapping) and (not value or any(is_tensor(tensor) for tensor in value.values()))


def _config_text(config):
    if config is None:
        return ""
    if hasattr(config, "to_json_string"):
        return config.to_json_string(use_diff=False)
    if not isinstance(config, Mapping):
        raise InputError("config", f"should be a dict, as config.json has it, not {type(config).__name__}", "config")
    try:
        return json.dumps(dict(config), default=lambda value: value.item())
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError("config", f"cannot be written as JSON: {error}", "config") from None


def _of_module(module, config, name):
    own = getattr(module, "config", None)
    if config is None and hasattr(own, "to_json_string"):
        config = own
    state, adapter = module_parts(module)
    name = None if name is None else text(name, "name")
    model = _of_tensors(state, config, name or getattr(own, "name_or_path", "") or type(module).__name__)
    return adapted(model, adapter)


def adapted(model, adapter):
    """A model as an adapter of PEFT makes it; itself where there is none."""
    if adapter is None:
        return model
    return Model(_core.adapt(model._core, adapter.folder.path, adapter.config), keep=adapter.folder)


def module_parts(module):
    """(state, adapter) of a torch module: its tensors, but for heads that are the embeddings, which a checkpoint does not
    have either, and the adapter that PEFT has put into it, or None."""
    state, adapter = _peft.taken_apart(module) if _peft.is_adapted(module) else (dict(module.state_dict()), None)
    if getattr(getattr(module, "config", None), "tie_word_embeddings", False):
        embeddings = [
            tensor for key, tensor in state.items() if key.endswith("embed_tokens.weight") or key.endswith("wte.weight")
        ]
        for key in [key for key in state if key.endswith("lm_head.weight")]:
            if any(_same_memory(key, state[key], tensor) for tensor in embeddings):
                del state[key]
    return state, adapter


def _same_memory(key, one, other):
    if is_torch(one):
        check_torch(key, one)
    return one.data_ptr() == other.data_ptr()


def _of_tensors(tensors, config, name, field="model"):
    name = name or UNNAMED
    given = []
    for key, tensor in tensors.items():
        text(key, field)
        if not is_tensor(tensor):
            raise InputError(key, f"is no tensor but {type(tensor).__name__}")
        given.append((key, *described(key, tensor)))
    if not given:
        raise InputError(name, "has no tensors")
    return Model(_core.hold(name, _config_text(config), given), held=None if config else (name, given))
