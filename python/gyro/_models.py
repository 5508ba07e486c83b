"""Models as Gyro takes them: folders, names of the Hub's cache, tensors in memory, loaded transformers models."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

from . import _core, _peft
from ._errors import InputError
from ._run import logger, manner, whole
from ._types import DTypeName, ModelLike, PathLike, Progress

if TYPE_CHECKING:
    import numpy

_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3",
    "float8_e5m2": "F8_E5M2",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint64": "U64",
    "uint32": "U32",
    "uint16": "U16",
    "uint8": "U8",
    "bool": "BOOL",
}
_NAMES = {stored: name for name, stored in _DTYPES.items()}
_ARGUMENTS = {"f64": "F64", "f32": "F32", "bf16": "BF16", "f16": "F16", "keep": None, None: None}


class Model:
    """A model whose tensors can be read by name. Made by `gyro.open` or `gyro.build`; whatever takes a model takes this.

    `model["model.layers.0.self_attn.q_proj.weight"]` is a read-only NumPy array (of ml_dtypes' type where NumPy has
    none, as for bfloat16), in the stored shape and bytes.
    """

    def __init__(self, core, name="", keep=None, given=None):
        self._core = core
        self._given = given  # the path by which another process opens the same; None: it has to be written first
        self._name = name  # what results call it; empty: its id
        self._keep = keep  # what must live as long as the model, such as a temporary folder

    @property
    def id(self) -> str:
        """How messages and results call it."""
        return self._name or self._core.id

    @property
    def path(self) -> str | None:
        """Its folder as given, or None where it lies in memory or is made when it is read."""
        return None if self._core.in_memory or self._name else self._core.path

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
        return self._core.layers()

    @property
    def matrices(self) -> list[dict[str, Any]]:
        """The matrices that are compared, a dict each: layer, type, expert (None outside mixtures), tensor, d_in,
        d_out."""
        keys = ("layer", "type", "expert", "tensor", "d_in", "d_out")
        return [dict(zip(keys, site)) for site in self._core.matrices()]

    def matrix(self, layer: int, type: str, expert: int | None = None) -> numpy.ndarray:
        """W of the paper, `d_in x d_out` in float64: the stored weight's transpose, FP8 scales multiplied in, a slice
        where the tensor is fused."""
        layers = self.layers
        layer = whole(layer, "layer", -layers, layers - 1) % layers
        return self._core.matrix(layer, type, -1 if expert is None else whole(expert, "expert", 0, 2**31))

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
        if framework not in ("numpy", "torch"):
            raise InputError("framework", f"can be 'numpy' or 'torch', not {framework!r}", "framework")
        if framework == "numpy":
            return {name: self[name] for name in self}
        import torch

        out = {}
        for name, (dtype, shape) in self._core.tensors().items():
            kind = getattr(torch, _NAMES[dtype])
            data = torch.from_numpy(self._core.read(name).copy())
            out[name] = data.view(kind).reshape(shape) if len(data) else torch.empty(shape, dtype=kind)
        return out

    def save(
        self, folder: PathLike, dtype: DTypeName | None = None, force: bool = False, progress: Progress = False
    ) -> None:
        """Writes it as a checkpoint folder that transformers loads: safetensors, config.json, and the tokenizer's files
        where it has them. `dtype` "f32", "bf16" or "f16" stores floating-point tensors so; FP8 scales are multiplied
        in. A folder that is not empty is refused without `force`; nothing half-written stays."""
        self._core.save(os.fspath(folder), dtype_argument(dtype), force, manner(progress=progress))

    def __repr__(self):
        return f"<gyro.Model {self.id}: {len(self)} tensors, {self.parameters:,} parameters>"


def short_name(id):
    """The last part of a model's id: its name, without where it lies."""
    return id.rstrip("/").rpartition("/")[2]


def dtype_argument(dtype):
    """A dtype as the command line names it, as safetensors does."""
    if dtype not in _ARGUMENTS:
        raise InputError("dtype", f"can be 'f32', 'bf16', 'f16' or None to keep it, not {dtype!r}", "dtype")
    return _ARGUMENTS[dtype]


def numpy_array(dtype, shape, data):
    """Bytes as a NumPy array of a stored dtype and shape, without a copy."""
    import numpy

    name = _NAMES[dtype]
    try:
        kind = numpy.dtype(name)
    except TypeError:
        try:
            import ml_dtypes
        except ImportError:
            raise ImportError(
                f"NumPy has no {name}: install ml_dtypes, or read matrices by Model.matrix, in float64"
            ) from None
        kind = numpy.dtype(getattr(ml_dtypes, name))
    return data.view(kind).reshape(shape)


def open(model: ModelLike, *, base: ModelLike | None = None, config: Any = None, name: str | None = None) -> Model:
    """Opens a model.

    model: a folder with safetensors or a LoRA adapter; `owner/name` or `owner/name@revision` of a model in the Hub's
        cache (nothing is downloaded); a dict of tensors such as a `state_dict` (PyTorch, NumPy with ml_dtypes, or
        anything that NumPy takes), which are not copied where they lie contiguous in the host's memory; or a loaded
        transformers model, with the LoRA adapter that PEFT has put into it (as the adapter is now).
    base: what an adapter adapts, where its config does not lead there.
    config: of a dict: what its config.json would hold, as a dict or a transformers config. Without one the tensors tell
        what they can: models named as Llama's are.
    name: how results call a model in memory.

    Raises NotFoundError for what is not there, InputError naming what cannot be used.
    """
    if isinstance(model, Model):
        return model
    opened = quietly_opened(model, base=base, config=config, name=name)
    for warning in opened._core.warnings:
        logger.warning("%s", warning)
    return opened


def quietly_opened(model, base=None, config=None, name=None):
    """The same for a comparison, which passes on itself what is odd about its models."""
    if isinstance(model, Model):
        return model
    if isinstance(model, (str, os.PathLike)):
        opened = _core.open(os.fsencode(model), None if base is None else quietly_opened(base)._core)
        return Model(opened, given=os.fspath(model) if base is None else None)
    if hasattr(model, "state_dict") and callable(model.state_dict):
        return _of_module(model, config, name)
    if isinstance(model, Mapping):
        return _of_tensors(model, config, name or "tensors in memory")
    raise InputError("model", f"is {type(model).__name__}: neither a path, a dict of tensors, nor a model", "model")


def is_state_dict(value):
    """Whether it is meant as a dict of tensors, not of models."""
    return isinstance(value, Mapping) and (not value or any(_is_tensor(tensor) for tensor in value.values()))


def _is_tensor(value):
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _text(value, field):
    """A name, which has to be text that UTF-8 can write."""
    try:
        value.encode()
    except (AttributeError, UnicodeError):
        raise InputError(field, f"has what is no name: {value!r}", field) from None
    return value


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
            if any(state[key].data_ptr() == tensor.data_ptr() for tensor in embeddings):
                del state[key]
    return state, adapter


def _of_tensors(tensors, config, name):
    given = []
    for key, tensor in tensors.items():
        _text(key, "model")
        if not _is_tensor(tensor):
            raise InputError(key, f"is no tensor but {type(tensor).__name__}")
        given.append((key, *described(key, tensor)))
    if not given:
        raise InputError(name, "has no tensors")
    return Model(_core.hold(_text(name, "name"), _config_text(config), given))


def described(key, tensor):
    """(dtype, shape, bytes) of an array: the bytes as a flat uint8 array over the same memory, or, where they do not lie
    contiguous in the host's memory, a callable that brings rows there."""
    if type(tensor).__module__.partition(".")[0] == "torch":
        return _described_torch(key, tensor)
    import numpy

    array = numpy.asarray(tensor)
    dtype = _DTYPES.get(array.dtype.name)
    if dtype is None or not array.dtype.isnative:
        raise InputError(key, f"is of {array.dtype}, which no checkpoint has")
    shape = tuple(array.shape)
    if array.flags.c_contiguous:
        return dtype, shape, array.reshape(-1).view(numpy.uint8)
    return dtype, shape, lambda begin, end: numpy.ascontiguousarray(array[begin:end]).reshape(-1).view(numpy.uint8)


def _described_torch(key, tensor):
    import torch

    dtype = _DTYPES.get(str(tensor.dtype).removeprefix("torch."))
    if dtype is None or tensor.layout != torch.strided:
        raise InputError(key, f"is of {tensor.dtype}, {tensor.layout}, which no checkpoint has")
    tensor = tensor.detach().resolve_conj().resolve_neg()
    if tensor.device.type == "meta":
        raise InputError(key, "has no values: it is on the device meta")
    shape = tuple(tensor.shape)

    def flat(part):
        part = part.contiguous()
        part = part.as_strided((part.numel(),), (1,))  # whatever is said of the stride of a dimension of one
        return (part.view(torch.uint8) if part.dtype != torch.bool else part.to(torch.uint8)).cpu()

    if tensor.device.type == "cpu" and tensor.is_contiguous():
        return dtype, shape, flat(tensor)
    if not shape:
        return dtype, shape, flat(tensor)
    return dtype, shape, lambda begin, end: flat(tensor[begin:end])
