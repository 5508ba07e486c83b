"""Models that PEFT has put an adapter into, taken apart: their tensors without it, and the adapter as PEFT saves it."""

from __future__ import annotations

import copy
import math
import os
from typing import NamedTuple

from ._errors import InputError
from ._run import TemporaryFolder
from ._tensors import check_torch

_UNMERGED = "merge it first (merge_and_unload)"


class Adapter(NamedTuple):
    """A LoRA adapter as PEFT saves it: its weights in a folder that is there as long as this is, and its config."""

    folder: TemporaryFolder
    config: str


def is_adapted(module):
    """Whether PEFT has been at it: get_peft_model, or transformers' own add_adapter."""
    return isinstance(getattr(module, "peft_config", None), dict) and bool(module.peft_config)


def taken_apart(module):
    """(tensors, Adapter): those of the model that is adapted, by its own names, and the adapter that is active, as it is
    now; None where none is."""
    inner = module.get_base_model() if hasattr(module, "get_base_model") else module
    layers = {
        name: layer
        for name, layer in inner.named_modules()
        if hasattr(layer, "adapter_layer_names") or hasattr(layer, "original_module")  # kept as it was, beside its copy
    }
    name = _active(layers)
    return _without_adapters(inner.state_dict(), layers), None if name is None else _saved(module, name, layers)


def _without_adapters(state, layers):
    own = tuple(
        f"{name}.{part}."
        for name, layer in layers.items()
        for part in (
            *getattr(layer, "adapter_layer_names", ("modules_to_save",)),
            *getattr(layer, "other_param_names", ()),
        )
    )
    kept = {key: tensor for key, tensor in state.items() if not (key + ".").startswith(own)}

    def plain(key):
        steps = key.split(".")
        wraps = [
            step in ("base_layer", "original_module") and ".".join(steps[:i]) in layers for i, step in enumerate(steps)
        ]
        return ".".join(step for step, wrap in zip(steps, wraps) if not wrap)

    return {plain(key): tensor for key, tensor in kept.items()}


def _active(layers):
    """The name of the adapter that is active, of which there can be one; None for none."""
    if any(getattr(layer, "merged_adapters", None) for layer in layers.values()):
        raise InputError(
            "model", f"has an adapter that is merged for now: unmerge it (unmerge_adapter), or {_UNMERGED}"
        )
    names = {name for layer in layers.values() if not layer.disable_adapters for name in layer.active_adapters}
    if len(names) > 1:
        raise InputError("model", f"has several active adapters ({', '.join(sorted(names))}): choose one (set_adapter)")
    return next(iter(names), None)


def _saved(module, name, layers):
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    config = copy.copy(module.peft_config[name])
    kind = getattr(config.peft_type, "value", config.peft_type)
    if kind != "LORA":
        raise InputError("model", f"has an adapter of the type {kind}: of adapters Gyro reads LoRA; {_UNMERGED}")
    for at, layer in layers.items():
        if name not in getattr(layer, "scaling", ()):
            continue
        usual = layer.lora_alpha[name] / (math.sqrt(layer.r[name]) if config.use_rslora else layer.r[name])
        if layer.scaling[name] != usual:
            raise InputError(
                at, f"has its adapter scaled by {layer.scaling[name]:g}, not by {usual:g} as its config says"
            )
    # The base is here, whatever was done to it before the adapter was trained.
    config.base_model_name_or_path, config.init_lora_weights = None, True
    folder = TemporaryFolder()
    tensors = get_peft_model_state_dict(module, adapter_name=name, save_embedding_layers=False)
    for key, tensor in tensors.items():
        check_torch(key, tensor)
    tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
    save_file(_apart(tensors), os.path.join(folder.path, "adapter_model.safetensors"))
    config.save_pretrained(folder.path)
    with open(os.path.join(folder.path, "adapter_config.json"), encoding="utf-8") as f:
        return Adapter(folder, f.read())


def _apart(tensors):
    """No two of them in one memory, which safetensors refuses."""
    seen, out = set(), {}
    for key, tensor in tensors.items():
        out[key] = tensor.clone() if tensor.data_ptr() in seen else tensor
        seen.add(tensor.data_ptr())
    return out
