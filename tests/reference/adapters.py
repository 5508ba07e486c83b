#!/usr/bin/env python3
"""Adapters, loaded by peft as the model card says: at initialisation they are the original again; a LoRA of full rank is
the post."""
import tempfile
import unittest
import warnings

from models import FAMILIES, LOGITS, MODELS, Comparison, checkpoints, gyro, load, logits, prompt  # first: sets the paths

import torch
from peft import PeftModel
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

KINDS = {"pissa": [], "minor": [], "middle": ["--band", "7"]}
BF16_UNIT = 2.0**-8


def with_adapter(folder, kind, dtype=torch.float32):
    return PeftModel.from_pretrained(load(folder, dtype), folder, subfolder=f"{kind}_init", is_trainable=True).eval()


def rounding_tolerance(model, stored, tokens):
    """For each logit of the last position, what storing the residual in BF16 can change it by.

    A stored element differs from the exact residual by δ, |δ| ≤ 2⁻⁸ |r|: BF16 has 8 significant bits. To first order a
    logit moves by Σ (∂z/∂w) δ. The δ of different elements are independent and centred, so by Hoeffding's inequality
    this exceeds 6 √(Σ (2⁻⁸ |r| ∂z/∂w)²) with a probability below 2 exp(−18) = 3e-8. F32 arithmetic adds LOGITS."""
    weights = [(p, BF16_UNIT * torch.from_numpy(stored[name]).abs().float()) for name, p in model.named_parameters() if name in stored]
    row = model(input_ids=tokens).logits[0, -1]
    tolerance = []
    for z in row:
        gradients = torch.autograd.grad(z, [p for p, _ in weights], retain_graph=True)
        tolerance.append(6 * sum(float(((g * half) ** 2).sum()) for g, (_, half) in zip(gradients, weights)) ** 0.5 + LOGITS)
    return torch.tensor(tolerance, dtype=torch.float64)


class Adapters(Comparison):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        self.out = holder.name + "/out"

    def each(self):
        for family in FAMILIES:
            for kind, options in KINDS.items():
                with self.subTest(model=family, kind=kind):
                    base = f"{MODELS}/{family}/base"
                    yield base, kind, options, prompt(base)

    def test_f32(self):
        for base, kind, options, tokens in self.each():
            original = logits(load(base), tokens)
            gyro("init", kind, base, "--rank", "8", "--alpha", "4", *options, "--dtype", "f32", "--out", self.out, "--force")
            model = with_adapter(self.out, kind)
            self.assert_close(logits(model, tokens), original)
            self.assertGreater(float((logits(load(self.out), tokens) - original).abs().max()), 1e-2, "the residual is the base")
            self.assert_close(logits(model.merge_and_unload(), tokens), original)

    def test_bf16(self):
        """The residual stored in BF16, in F32 and in BF16 arithmetic."""
        for base, kind, options, tokens in self.each():
            model = load(base)
            original = logits(model, tokens)[0, -1]
            gyro("init", kind, base, "--rank", "8", *options, "--dtype", "bf16", "--out", self.out, "--force")
            adapted = checkpoints.read_file(f"{self.out}/{kind}_init/adapter_model.safetensors")
            stored = {name: checkpoints.values(tensor) for name, tensor in checkpoints.read(self.out).items()
                      if f"base_model.model.{name.removesuffix('.weight')}.lora_A.weight" in adapted}
            tolerance = rounding_tolerance(model, stored, tokens)
            self.assertLess(float(tolerance.max()), 0.2 * float(original.abs().max()), "says nothing")
            error = (logits(with_adapter(self.out, kind), tokens)[0, -1] - original).abs()
            self.assertTrue(bool((error <= tolerance).all()), f"{float((error / tolerance).max())} of the tolerance")
            # BF16 arithmetic is as far off as it is for the original itself; twice that for another order of sums.
            arithmetic = (logits(load(base, torch.bfloat16), tokens)[0, -1] - original).abs().max()
            error = (logits(with_adapter(self.out, kind, torch.bfloat16), tokens)[0, -1] - original).abs()
            self.assertTrue(bool((error <= tolerance + 2 * arithmetic).all()), f"{float(error.max())}, of the original {float(arithmetic)}")

    def test_chosen_modules(self):
        base = f"{MODELS}/pico-qwen2/base"
        gyro("init", "pissa", base, "--rank", "4", "--target-modules", "q_proj,down_proj", "--dtype", "f32", "--out", self.out)
        model = with_adapter(self.out, "pissa")
        self.assertEqual({name.split(".")[-4] for name, _ in model.named_parameters() if "lora_A" in name}, {"q_proj", "down_proj"})
        self.assertTrue(all(p.requires_grad == ("lora_" in name) for name, p in model.named_parameters()))
        self.assert_close(logits(model, prompt(base)), logits(load(base), prompt(base)))

    def test_rescaled(self):
        base = f"{MODELS}/pico-phi3/base"
        gyro("init", "rescale", base, "--types", "W_V", "--by", "1.5", "--dtype", "f32", "--out", self.out)
        model = load(base)
        for layer in model.model.layers:
            layer.self_attn.qkv_proj.weight.data[128:192] *= 1.5
        self.assert_close(logits(load(self.out), prompt(base)), logits(model, prompt(base)))

    def test_lora_of_full_rank_is_the_post(self):
        for family in FAMILIES:
            base, post = f"{MODELS}/{family}/base", f"{MODELS}/{family}/instruct"
            model = load(base)
            target = load(post)
            with torch.no_grad():  # what no adapter holds: norms, biases, embeddings
                for (name, p), (_, wanted) in zip(model.named_parameters(), target.named_parameters()):
                    if not name.endswith("_proj.weight"):
                        p.copy_(wanted)
            tokens = prompt(post)
            expected = logits(target, tokens)
            self.assertGreater(float((logits(model, tokens) - expected).abs().max()), 1e-2)
            rank = max(min(shape) for name, (_, shape, _) in checkpoints.read(base).items() if name.endswith("_proj.weight"))
            out = f"{self.folder}/{family}"
            gyro("lora", base, post, "--rank", str(rank), "--alpha", str(2 * rank), "--out", out)  # others have less: rank_pattern
            model = PeftModel.from_pretrained(model, out).merge_and_unload()
            self.assert_close(logits(model, tokens), expected)

    def test_language_half_of_a_multimodal_model(self):
        """Its tower has projections of the same names, which are none of the adapter's."""
        torch.manual_seed(0)
        text = dict(hidden_size=64, intermediate_size=192, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, head_dim=16,
                    vocab_size=448, sliding_window=32)
        vision = dict(hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, image_size=28, patch_size=14)
        model = Gemma3ForConditionalGeneration(Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4,
                                                            image_token_index=440, boi_token_index=441, eoi_token_index=442))
        base, post = f"{self.folder}/base", f"{self.folder}/post"
        model.save_pretrained(base)
        changed = [(name, p) for name, p in model.named_parameters() if p.dim() == 2 and "language_model" in name and "proj" in name]
        with torch.no_grad():
            for _, p in changed:
                p.add_(0.01 * torch.randn(p.shape[0], 4) @ torch.randn(4, p.shape[1]))
        model.save_pretrained(post)
        gyro("lora", base, post, "--rank", "4", "--out", self.out)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            adapted = PeftModel.from_pretrained(Gemma3ForConditionalGeneration.from_pretrained(base), self.out)
        self.assertFalse([str(w.message) for w in said if "adapter" in str(w.message)])
        modules = [name for name, _ in adapted.named_modules() if name.endswith("lora_A")]
        self.assertEqual((len(modules), [name for name in modules if "vision" in name]), (21, []))
        merged = dict(adapted.merge_and_unload().named_parameters())
        for name, p in changed:
            self.assertLess(float((merged[name] - p).norm() / p.norm()), 1e-6, name)


if __name__ == "__main__":
    unittest.main()
