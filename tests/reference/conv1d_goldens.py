#!/usr/bin/env python3
"""Makes tests/goldens/conv1d: a GPT-2 of a few numbers, whose modules store W as d_in x d_out (Conv1D), adapters of it as peft
saves them, and the weights that peft merges them into. With --check: that the files are still what peft makes."""
import os
import shutil
import sys
import tempfile

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel

GOLDENS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "goldens", "conv1d")
CASES = {"plain": {"use_rslora": True}, "dora": {"use_dora": True}}


def make(folder):
    config = GPT2Config(vocab_size=5, n_positions=4, n_embd=8, n_layer=1, n_head=2, n_inner=12, bos_token_id=0, eos_token_id=0)
    base = os.path.join(folder, "base")
    rng = np.random.default_rng(0)

    def draw(model, trained):
        with torch.no_grad():
            for _, p in sorted(model.named_parameters()):
                if p.requires_grad or not trained:
                    p.copy_(torch.from_numpy(rng.standard_normal(p.shape).astype(np.float32)))

    model = GPT2LMHeadModel(config)
    draw(model, False)
    model.save_pretrained(base)
    os.remove(os.path.join(base, "generation_config.json"))
    for name, options in CASES.items():
        adapter = os.path.join(folder, name)
        model = get_peft_model(GPT2LMHeadModel.from_pretrained(base),
                               LoraConfig(r=2, lora_alpha=3, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True, **options))
        draw(model, True)
        model.save_pretrained(adapter)
        os.remove(os.path.join(adapter, "README.md"))
        config_file = os.path.join(adapter, "adapter_config.json")
        with open(config_file, encoding="utf-8") as f:
            text = f.read()
        with open(config_file, "w", encoding="utf-8") as f:
            f.write(text.replace(base, "../base"))
        model = PeftModel.from_pretrained(GPT2LMHeadModel.from_pretrained(base), adapter)
        merged = model.merge_and_unload().transformer.state_dict()
        save_file({k: v.numpy() for k, v in merged.items() if k.endswith((".c_attn.weight", ".c_proj.weight"))},
                  os.path.join(adapter, "merged.safetensors"))


def check():
    with tempfile.TemporaryDirectory() as folder:
        make(folder)
        for name in CASES:
            found, kept = (load_file(os.path.join(where, name, "merged.safetensors")) for where in (folder, GOLDENS))
            assert found.keys() == kept.keys() and found, name
            for key, tensor in found.items():
                np.testing.assert_allclose(tensor, kept[key], rtol=0, atol=1e-5, err_msg=f"{name} {key}")


if sys.argv[1:] == ["--check"]:
    check()
else:
    shutil.rmtree(GOLDENS, ignore_errors=True)
    make(GOLDENS)
