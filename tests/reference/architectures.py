#!/usr/bin/env python3
"""Architectures as transformers itself writes them: small models of its classes, saved, compared by gyro, against the modules'
own weights. What a fused module holds is asked of the module: a weight of one head alone moves what that head computes."""
import json
import os
import subprocess
import tempfile
import unittest

from models import checkpoints  # first: sets the paths

import numpy as np
import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

HIDDEN, HEADS, HEAD, WIDE, LAYERS = 32, 4, 8, 48, 2
SIZES = dict(hidden_size=HIDDEN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=WIDE, vocab_size=64,
             pad_token_id=0, bos_token_id=1, eos_token_id=2)
GPT = dict(n_embd=HIDDEN, n_head=HEADS, n_layer=LAYERS, vocab_size=64, n_positions=32)
GATED = {"W_Q", "W_K", "W_V", "W_O", "W_gate", "W_up", "W_down"}
PLAIN = GATED - {"W_gate"}


def case(model_type, types=GATED, kv_heads=HEADS, wide=WIDE, **config):
    return dict(model_type=model_type, types=types, kv_heads=kv_heads, wide=wide, config=config or SIZES)


CASES = {
    **{name: case(name, kv_heads=2, **SIZES, num_key_value_heads=2)
       for name in ("olmo", "olmo2", "cohere", "cohere2", "granite", "stablelm", "smollm3")},
    **{name: case(name, kv_heads=2, **SIZES, num_key_value_heads=2, head_dim=HEAD) for name in ("glm", "glm4", "exaone4")},
    "starcoder2": case("starcoder2", PLAIN, 2, **SIZES, num_key_value_heads=2),
    "phi": case("phi", PLAIN, 2, **SIZES, num_key_value_heads=2),
    "opt": case("opt", PLAIN, **{k: v for k, v in SIZES.items() if k != "intermediate_size"}, ffn_dim=WIDE, word_embed_proj_dim=HIDDEN),
    "gpt2": case("gpt2", PLAIN, wide=4 * HIDDEN, **GPT),
    "gpt2 with n_inner": case("gpt2", PLAIN, **GPT, n_inner=WIDE),
    "gptj": case("gptj", PLAIN, wide=4 * HIDDEN, **GPT, rotary_dim=4),
    "gpt_neox": case("gpt_neox", PLAIN, **SIZES),
    "bloom": case("bloom", PLAIN, wide=4 * HIDDEN, hidden_size=HIDDEN, n_head=HEADS, n_layer=LAYERS, vocab_size=64),
    "mpt": case("mpt", PLAIN, wide=4 * HIDDEN, d_model=HIDDEN, n_heads=HEADS, n_layers=LAYERS, vocab_size=64, max_seq_len=32),
    "falcon": case("falcon", PLAIN, 1, 4 * HIDDEN, **{k: v for k, v in SIZES.items() if k != "intermediate_size"}),
    "falcon grouped": case("falcon", PLAIN, 2, 4 * HIDDEN, **{k: v for k, v in SIZES.items() if k != "intermediate_size"},
                           new_decoder_architecture=True, num_kv_heads=2),
    "falcon every head": case("falcon", PLAIN, HEADS, 4 * HIDDEN, **{k: v for k, v in SIZES.items() if k != "intermediate_size"},
                              multi_query=False, alibi=True),
}
# Which module writes what is taken apart, and how its own code takes it apart.
FUSED = {"gpt2": "c_attn", "gpt_neox": "query_key_value", "bloom": "query_key_value", "falcon": "query_key_value", "mpt": "Wqkv"}


def make(model_type, config, seed):
    torch.manual_seed(seed)
    # Of an Auto class, as users have it; random weights that are not zeros anywhere.
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **config), attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return model.eval()


def parts_by_use(model_type, module, attention):
    """Rows of the fused projection's output that the module hands on as queries, keys and values: it is given outputs that
    count their columns, and asked what it makes of them."""
    width = module.nf if model_type == "gpt2" else module.out_features
    counted = torch.arange(width, dtype=torch.float32).reshape(1, 1, width)
    if model_type == "gpt2":
        parts = counted.split(attention.split_size, dim=2)
    elif model_type == "gpt_neox":
        parts = counted.view(1, 1, -1, 3 * attention.head_size).chunk(3, dim=-1)
    elif model_type == "bloom":
        parts = [part.transpose(1, 2) for part in attention._reshape(counted)]
    elif model_type == "mpt":
        parts = counted.chunk(3, dim=2)
    else:
        parts = attention._split_heads(counted)
    flat = [part.flatten().long().tolist() for part in parts]
    # Falcon hands a group's key to each of its queries.
    return [list(dict.fromkeys(rows)) for rows in flat]


def matrices(base, post):
    done = subprocess.run([os.environ["GYRO"], "diff", base, post, "--json", "--quiet"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["comparisons"][0]["matrices"]


class Architectures(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name

    def save(self, model, name):
        path = f"{self.folder}/{name}"
        model.save_pretrained(path, safe_serialization=True)
        return path

    def test_names_shapes_and_values(self):
        for name, one in CASES.items():
            with self.subTest(name):
                models = [make(one["model_type"], one["config"], seed) for seed in (0, 1)]
                with torch.no_grad():  # a post of its base
                    for b, p in zip(models[0].parameters(), models[1].parameters()):
                        p.copy_(1.1 * b + 0.05 * p)
                paths = [self.save(model, f"{name}-{i}".replace(" ", "-")) for i, model in enumerate(models)]
                rows = {(m["layer"], m["type"]): m for m in matrices(*paths)}
                kinds = {kind for _, kind in rows if not rows[0, kind]["fused"]}
                self.assertEqual(kinds, one["types"])
                kv = one["kv_heads"] * HEAD
                shapes = {"W_Q": (HIDDEN, HIDDEN), "W_K": (kv, HIDDEN), "W_V": (kv, HIDDEN), "W_O": (HIDDEN, HIDDEN),
                          "W_gate": (one["wide"], HIDDEN), "W_up": (one["wide"], HIDDEN), "W_down": (HIDDEN, one["wide"])}
                for layer in range(LAYERS):
                    for kind in kinds:
                        row = rows[layer, kind]
                        self.assertEqual((row["d_out"], row["d_in"]), shapes[kind], kind)
                        self.check_alpha(one["model_type"], models, row)

    def check_alpha(self, model_type, models, row):
        """α of the weight that the named module has in memory."""
        weights = []
        for model in models:
            modules = dict(model.named_modules())
            name = row["tensor"].removesuffix(".weight")
            module = modules.get(name) or modules[f"{model.base_model_prefix}.{name}"]
            w = module.weight.detach().double().numpy()
            w = w.T if type(module).__name__ == "Conv1D" else w
            if name.endswith("gate_up_proj"):
                w = np.split(w, 2)[row["type"] == "W_up"]  # gate, up_states = up_states.chunk(2)
            elif FUSED.get(model_type) == name.rpartition(".")[2]:
                attention = modules[next(n for n, m in modules.items() if m is module).rpartition(".")[0]]
                taken = parts_by_use(model_type, module, attention)
                w = w[taken[("W_Q", "W_K", "W_V").index(row["type"])]]
            weights.append(w)
        (_, sb, _), (_, sp, _) = checkpoints.svd(weights[0].T), checkpoints.svd(weights[1].T)
        alpha = (sp / sb)[:row["k"]]
        self.assertAlmostEqual(row["alpha_mean"], alpha.mean(), delta=1e-6, msg=(row["layer"], row["type"]))
        self.assertAlmostEqual(row["alpha_std"], alpha.std(), delta=1e-6)

    def test_bodies_alone_are_the_same(self):
        """AutoModel writes no head and names without what stands before the body."""
        for model_type in ("gpt2", "gpt_neox", "bloom", "falcon", "opt", "mpt", "gptj"):
            with self.subTest(model_type):
                one = CASES[model_type]
                paths = [self.save(make(model_type, one["config"], seed), f"{model_type}-{seed}") for seed in (2, 3)]
                alone = f"{self.folder}/{model_type}-alone"
                AutoModel.from_pretrained(paths[1]).save_pretrained(alone, safe_serialization=True)
                self.assertNotEqual(set(checkpoints.read(alone)), set(checkpoints.read(paths[1])))
                self.assertEqual(matrices(paths[0], alone), matrices(*paths))

    def test_constructions_load(self):
        """`restore` of gpt2 and gpt_neox is loaded by transformers without a key missing, with tied heads too."""
        for model_type in ("gpt2", "gpt_neox"):
            with self.subTest(model_type):
                one = CASES[model_type]
                paths = [self.save(make(model_type, one["config"], seed), f"{model_type}-{seed}") for seed in (4, 5)]
                out = f"{self.folder}/{model_type}-restored"
                subprocess.run([os.environ["GYRO"], "build", "restore", *paths, "--out", out, "--quiet"], check=True)
                model, info = AutoModelForCausalLM.from_pretrained(out, output_loading_info=True)
                self.assertFalse(any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info)
                self.assertTrue(torch.isfinite(model(input_ids=torch.tensor([[3, 4, 5]])).logits).all())

    def test_lora_of_conv1d(self):
        """peft turns an adapter of GPT-2's Conv1D round by fan_in_fan_out: at full rank it gives the post's logits."""
        from peft import PeftModel
        one = CASES["gpt2"]
        models = [make("gpt2", one["config"], seed) for seed in (6, 7)]
        with torch.no_grad():
            matrices_of = {name for name, _ in models[0].named_parameters() if ".c_" in name and name.endswith(".weight")}
            for (name, b), p in zip(models[0].named_parameters(), models[1].parameters()):
                p.copy_(b + 0.1 * p if name in matrices_of else b)
        base, post = (self.save(model, f"lora-{i}") for i, model in enumerate(models))
        out = f"{self.folder}/adapter"
        subprocess.run([os.environ["GYRO"], "lora", base, post, "--rank", str(HIDDEN), "--out", out, "--quiet"], check=True)
        tokens = torch.tensor([[3, 4, 5, 6]])
        with torch.no_grad():
            adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), out).eval()(input_ids=tokens).logits
            expected, before = (model(input_ids=tokens).logits for model in reversed(models))
        self.assertGreater(float((expected - before).abs().max()), 0.1)
        self.assertLess(float((adapted - expected).abs().max()), 1e-3)


if __name__ == "__main__":
    unittest.main()
