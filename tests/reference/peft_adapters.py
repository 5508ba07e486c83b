#!/usr/bin/env python3
"""Adapters that peft saves, read by Gyro as the models that peft merges them into."""
import os
import tempfile
import unittest

from models import FAMILIES, MODELS, checkpoints, gyro, load  # first: sets the paths

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model

ATTENTION = {"pico-qwen2": ["q_proj", "k_proj", "o_proj"], "pico-phi3": ["qkv_proj", "o_proj"]}
UP = {"pico-qwen2": "up_proj", "pico-phi3": "gate_up_proj"}


def drawn(model):
    """Numbers in all that is trained, so that nothing is as it begins."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad and "magnitude" in name:
                p.mul_(1 + 0.2 * torch.rand(p.shape, generator=generator))
            elif p.requires_grad:
                p.add_(0.1 * torch.randn(p.shape, generator=generator))


class PeftAdapters(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def compare(self, name, family, **options):
        """Of every tensor that Gyro writes of the adapter in F32: ‖found − merged‖ / ‖merged‖, and what of it the adapter
        changed. Returns the names of those."""
        base, adapter, out = f"{MODELS}/{family}/base", f"{self.folder}/{family}-{name}", f"{self.folder}/out"
        before = {k: v.clone().double().numpy() for k, v in load(base).state_dict().items()}
        model = get_peft_model(load(base), LoraConfig(task_type="CAUSAL_LM", **options))
        drawn(model)
        model.save_pretrained(adapter)
        self.assertEqual(sorted(f for f in os.listdir(adapter) if f.endswith((".safetensors", ".json"))),
                         ["adapter_config.json", "adapter_model.safetensors"])
        merged = {k: v.double().numpy() for k, v in PeftModel.from_pretrained(load(base), adapter).merge_and_unload().state_dict().items()}
        gyro("init", "rescale", adapter, "--types", "W_O", "--by", "1", "--dtype", "f32", "--out", out, "--force")
        found = {k: checkpoints.values(t) for k, t in checkpoints.read(out).items()}
        changed = set()
        for key, tensor in found.items():
            error = np.linalg.norm(tensor - merged[key]) / np.linalg.norm(merged[key])
            self.assertLess(error, 3e-7, f"{family} {name} {key}")
            if key not in before or np.linalg.norm(tensor - before[key]) > 1e-3 * np.linalg.norm(tensor):
                changed.add(key)
        return changed

    def each(self, name, options, ending):
        """The same for all families; what changed is what ends so."""
        for family in FAMILIES:
            changed = self.compare(name, family, **options(family))
            wanted = {k for k in checkpoints.read(f"{MODELS}/{family}/base") if any(e in k for e in ending(family))}
            self.assertTrue(wanted)
            self.assertEqual(changed, wanted, f"{family} {name}")

    def attention(self, name, **options):
        self.each(name, lambda family: {"r": 4, "lora_alpha": 6, "target_modules": ATTENTION[family], **options},
                  lambda family: [f"{module}.weight" for module in ATTENTION[family]])

    def test_plain(self):
        self.attention("plain")

    def test_rslora(self):
        self.attention("rslora", use_rslora=True)

    def test_dora(self):
        self.attention("dora", use_dora=True)

    def test_dora_of_rslora(self):
        self.attention("both", use_dora=True, use_rslora=True)

    def test_patterns(self):
        """In sorted order, which peft saves them in: the first that matches counts, and in another order peft cannot load them again."""
        self.attention("patterns", rank_pattern={"^model.layers.0.self_attn.o_proj": 3, r"layers\.1\..*": 2, "o_proj": 8},
                       alpha_pattern={r"model\.layers\.[02]\..*": 3, "self_attn.o_proj": 10})

    def test_patterns_of_rslora(self):
        self.attention("patterns", use_rslora=True, rank_pattern={"1.self_attn.o_proj": 16}, alpha_pattern={"o_proj|q_proj": 1})

    def test_all_linear_on_half_of_the_layers(self):
        self.each("linear", lambda family: {"r": 2, "target_modules": [UP[family], "down_proj"], "layers_to_transform": [0, 2]},
                  lambda family: [f"layers.{i}.mlp.{module}.weight" for i in (0, 2) for module in (UP[family], "down_proj")])

    def test_modules_to_save(self):
        self.each("saved", lambda family: {"r": 2, "target_modules": ["down_proj"], "modules_to_save": ["input_layernorm"]},
                  lambda _: ["down_proj.weight", "input_layernorm.weight"])

    def test_trained_biases(self):
        changed = self.compare("bias", "pico-qwen2", r=2, target_modules=["q_proj"], bias="lora_only")
        self.assertEqual(changed, {f"model.layers.{i}.self_attn.q_proj.{x}" for i in range(3) for x in ("weight", "bias")})

    def test_lora_bias(self):
        changed = self.compare("lora-bias", "pico-qwen2", r=2, lora_alpha=6, target_modules=["q_proj"], lora_bias=True)
        self.assertEqual(changed, {f"model.layers.{i}.self_attn.q_proj.{x}" for i in range(3) for x in ("weight", "bias")})

    def test_embedding(self):
        changed = self.compare("embedding", "pico-phi3", r=2, lora_alpha=6, target_modules=["embed_tokens", "down_proj"])
        self.assertIn("model.embed_tokens.weight", changed)

    def test_starts_that_leave_the_base_alone(self):
        for start in ("gaussian", "orthogonal", False):
            self.attention(f"start-{start}", init_lora_weights=start)


if __name__ == "__main__":
    unittest.main()
