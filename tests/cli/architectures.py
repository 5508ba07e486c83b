#!/usr/bin/env python3
"""Architectures that fuse by heads, store columns or have no gate, through the commands: small pairs of random weights,
against numpy's SVD of what their modelling code takes of each tensor. Shares no code with Gyro."""
import json
import os
import subprocess
import tempfile
import unittest

import checkpoints
import numpy as np
from result_files import SCHEMA, violations
from safetensors.numpy import load_file, save_file

GYRO = os.environ["GYRO"]
HIDDEN, HEADS, HEAD, WIDE, LAYERS = 32, 4, 8, 48, 2
USUAL = dict(hidden_size=HIDDEN, num_attention_heads=HEADS, num_hidden_layers=LAYERS, intermediate_size=WIDE)


def gyro(*words, check=True):
    done = subprocess.run([GYRO, *words, "--quiet"], check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done


def whole(name):
    return name, lambda w: w


def column(name, begin=None, end=None):
    """Conv1D of GPT-2: y = x W for W [in, out]."""
    return name, lambda w: w[:, begin:end].T


def rows(name, begin, end):
    return name, lambda w: w[begin:end]


def of_groups(name, kv_heads, which):
    """wqkv(x).view(..., kv_heads, heads / kv_heads + 2, head_dim): queries, key, value."""
    def cut(w):
        by_group = w.reshape(kv_heads, HEADS // kv_heads + 2, HEAD, HIDDEN)
        part = {"W_Q": by_group[:, :-2], "W_K": by_group[:, -2], "W_V": by_group[:, -1]}[which]
        return part.reshape(-1, HIDDEN)
    return name, cut


def grouped(name, kv_heads):
    return {which: of_groups(name, kv_heads, which) for which in ("W_Q", "W_K", "W_V")}


def stacked(name, kv=HEADS * HEAD):
    q = HEADS * HEAD
    return {"W_Q": rows(name, 0, q), "W_K": rows(name, q, q + kv), "W_V": rows(name, q + kv, q + 2 * kv)}


def falcon(kv_heads, **config):
    at = "transformer.h.{}."
    return dict(config=dict(USUAL, model_type="falcon", ffn_hidden_size=WIDE, intermediate_size=None, **config),
                shapes={at + "self_attention.query_key_value": ((HEADS + 2 * kv_heads) * HEAD, HIDDEN),
                        at + "self_attention.dense": (HIDDEN, HIDDEN), at + "mlp.dense_h_to_4h": (WIDE, HIDDEN),
                        at + "mlp.dense_4h_to_h": (HIDDEN, WIDE)},
                parts={**grouped(at + "self_attention.query_key_value", kv_heads), "W_O": whole(at + "self_attention.dense"),
                       "W_up": whole(at + "mlp.dense_h_to_4h"), "W_down": whole(at + "mlp.dense_4h_to_h")})


def gpt2():
    at = "transformer.h.{}."
    return dict(config=dict(model_type="gpt2", n_embd=HIDDEN, n_head=HEADS, n_layer=LAYERS, n_inner=WIDE),
                shapes={at + "attn.c_attn": (HIDDEN, 3 * HIDDEN), at + "attn.c_proj": (HIDDEN, HIDDEN),
                        at + "mlp.c_fc": (HIDDEN, WIDE), at + "mlp.c_proj": (WIDE, HIDDEN)},
                parts={"W_Q": column(at + "attn.c_attn", 0, HIDDEN), "W_K": column(at + "attn.c_attn", HIDDEN, 2 * HIDDEN),
                       "W_V": column(at + "attn.c_attn", 2 * HIDDEN), "W_O": column(at + "attn.c_proj"),
                       "W_up": column(at + "mlp.c_fc"), "W_down": column(at + "mlp.c_proj")})


def gpt_neox():
    at = "gpt_neox.layers.{}."
    return dict(config=dict(USUAL, model_type="gpt_neox"),
                shapes={at + "attention.query_key_value": (3 * HIDDEN, HIDDEN), at + "attention.dense": (HIDDEN, HIDDEN),
                        at + "mlp.dense_h_to_4h": (WIDE, HIDDEN), at + "mlp.dense_4h_to_h": (HIDDEN, WIDE)},
                parts={**grouped(at + "attention.query_key_value", HEADS), "W_O": whole(at + "attention.dense"),
                       "W_up": whole(at + "mlp.dense_h_to_4h"), "W_down": whole(at + "mlp.dense_4h_to_h")})


def internlm2():
    at = "model.layers.{}."
    return dict(config=dict(USUAL, model_type="internlm2", num_key_value_heads=2),
                shapes={at + "attention.wqkv": ((HEADS + 4) * HEAD, HIDDEN), at + "attention.wo": (HIDDEN, HIDDEN),
                        at + "feed_forward.w1": (WIDE, HIDDEN), at + "feed_forward.w2": (HIDDEN, WIDE),
                        at + "feed_forward.w3": (WIDE, HIDDEN)},
                parts={**grouped(at + "attention.wqkv", 2), "W_O": whole(at + "attention.wo"),
                       "W_gate": whole(at + "feed_forward.w1"), "W_up": whole(at + "feed_forward.w3"),
                       "W_down": whole(at + "feed_forward.w2")})


def chatglm():
    at = "transformer.encoder.layers.{}."
    return dict(config=dict(model_type="chatglm", hidden_size=HIDDEN, num_attention_heads=HEADS, num_layers=LAYERS,
                            ffn_hidden_size=WIDE, kv_channels=HEAD, multi_query_attention=True, multi_query_group_num=2),
                shapes={at + "self_attention.query_key_value": ((HEADS + 4) * HEAD, HIDDEN),
                        at + "self_attention.dense": (HIDDEN, HIDDEN), at + "mlp.dense_h_to_4h": (2 * WIDE, HIDDEN),
                        at + "mlp.dense_4h_to_h": (HIDDEN, WIDE)},
                parts={**stacked(at + "self_attention.query_key_value", 2 * HEAD), "W_O": whole(at + "self_attention.dense"),
                       "W_gate": rows(at + "mlp.dense_h_to_4h", 0, WIDE), "W_up": rows(at + "mlp.dense_h_to_4h", WIDE, 2 * WIDE),
                       "W_down": whole(at + "mlp.dense_4h_to_h")})


def baichuan():
    at = "model.layers.{}."
    return dict(config=dict(USUAL, model_type="baichuan"),
                shapes={at + "self_attn.W_pack": (3 * HIDDEN, HIDDEN), at + "self_attn.o_proj": (HIDDEN, HIDDEN),
                        at + "mlp.gate_proj": (WIDE, HIDDEN), at + "mlp.up_proj": (WIDE, HIDDEN), at + "mlp.down_proj": (HIDDEN, WIDE)},
                parts={**stacked(at + "self_attn.W_pack"), "W_O": whole(at + "self_attn.o_proj"), "W_gate": whole(at + "mlp.gate_proj"),
                       "W_up": whole(at + "mlp.up_proj"), "W_down": whole(at + "mlp.down_proj")})


def qwen():
    at = "transformer.h.{}."
    return dict(config=dict(USUAL, model_type="qwen", intermediate_size=2 * WIDE, kv_channels=HEAD),
                shapes={at + "attn.c_attn": (3 * HIDDEN, HIDDEN), at + "attn.c_proj": (HIDDEN, HIDDEN), at + "mlp.w1": (WIDE, HIDDEN),
                        at + "mlp.w2": (WIDE, HIDDEN), at + "mlp.c_proj": (HIDDEN, WIDE)},
                parts={**stacked(at + "attn.c_attn"), "W_O": whole(at + "attn.c_proj"), "W_gate": whole(at + "mlp.w2"),
                       "W_up": whole(at + "mlp.w1"), "W_down": whole(at + "mlp.c_proj")})


def starcoder2():
    at = "model.layers.{}."
    attention = {kind: at + f"self_attn.{part}_proj" for kind, part in (("W_Q", "q"), ("W_K", "k"), ("W_V", "v"), ("W_O", "o"))}
    return dict(config=dict(USUAL, model_type="starcoder2", num_key_value_heads=2),
                shapes={attention["W_Q"]: (HIDDEN, HIDDEN), attention["W_K"]: (2 * HEAD, HIDDEN), attention["W_V"]: (2 * HEAD, HIDDEN),
                        attention["W_O"]: (HIDDEN, HIDDEN), at + "mlp.c_fc": (WIDE, HIDDEN), at + "mlp.c_proj": (HIDDEN, WIDE)},
                parts={**{kind: whole(name) for kind, name in attention.items()}, "W_up": whole(at + "mlp.c_fc"),
                       "W_down": whole(at + "mlp.c_proj")})


MODELS = {
    "gpt2": gpt2(),
    "gpt_neox": gpt_neox(),
    "falcon-grouped": falcon(2, new_decoder_architecture=True, multi_query=True, num_kv_heads=2),
    "falcon-multi-query": falcon(1, new_decoder_architecture=False, num_kv_heads=HEADS),
    "falcon-every-head": falcon(HEADS, multi_query=False),
    "internlm2": internlm2(),
    "chatglm": chatglm(),
    "baichuan": baichuan(),
    "qwen": qwen(),
    "starcoder2": starcoder2(),
}


def write_pair(folder, model):
    """Base and a post that is it, scaled and turned a little, each with an embedding and a norm beside."""
    generator, pair = np.random.default_rng(7), ({}, {})
    for layer in range(LAYERS):
        for name, shape in model["shapes"].items():
            full = name.format(layer) + ".weight"
            pair[0][full] = generator.standard_normal(shape)
            pair[1][full] = 1.1 * pair[0][full] + 0.05 * generator.standard_normal(shape)
    for name, tensors in zip(("base", "post"), pair):
        os.makedirs(f"{folder}/{name}")
        tensors.update({"embed.weight": np.ones((16, HIDDEN)), "ln.weight": np.ones(HIDDEN)})
        save_file(tensors, f"{folder}/{name}/model.safetensors", metadata={"format": "pt"})
        with open(f"{folder}/{name}/config.json", "w", encoding="utf-8") as f:
            json.dump(model["config"], f)
    return f"{folder}/base", f"{folder}/post"


def part_of(tensors, model, layer, kind):
    name, cut = model["parts"][kind]
    return cut(tensors[name.format(layer) + ".weight"])


def cut_by(row, tensor):
    """W by what result.json says of its place."""
    begin, end = row["slice"] or (0, tensor.shape[0])
    w = tensor[begin:end]
    if "blocks" in row:
        size, step = row["blocks"]
        w = w[np.arange(end - begin) % step < size]
    if "columns" in row:
        first, step = row["columns"]
        w = w[:, first::step][:, :row["d_out"]].T
    return w


class Architectures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.pairs = {name: write_pair(f"{cls.folder.name}/{name}", model) for name, model in MODELS.items()}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def out(self, name):
        return os.path.join(self.folder.name, name)

    def loaded(self, name):
        return [load_file(f"{folder}/model.safetensors") for folder in self.pairs[name]]

    def each(self, check):
        for name, model in MODELS.items():
            with self.subTest(name):
                check(name, model, *self.loaded(name))

    def test_values_are_those_of_the_parts(self):
        schema = checkpoints.read_json(SCHEMA)

        def check(name, model, base, post):
            document = json.loads(gyro("diff", *self.pairs[name], "--json").stdout)
            self.assertEqual(list(violations(document, schema, schema)), [])
            found = {(m["layer"], m["type"]): m for m in document["comparisons"][0]["matrices"]}
            expected = {(layer, kind) for layer in range(LAYERS) for kind in model["parts"]}
            self.assertEqual({key for key, m in found.items() if not m["fused"]}, expected)
            for layer, kind in expected:
                row = found[layer, kind]
                wb, wp = (part_of(tensors, model, layer, kind) for tensors in (base, post))
                self.assertEqual((row["d_out"], row["d_in"]), wb.shape)
                (ub, sb, vb), (up, sp, vp) = checkpoints.svd(wb.T), checkpoints.svd(wp.T)
                alpha, k = sp / sb, row["k"]
                self.assertAlmostEqual(row["alpha_mean"], alpha[:k].mean(), delta=1e-9)
                self.assertAlmostEqual(row["alpha_std"], alpha[:k].std(), delta=1e-9)
                q1, q2 = ub.T @ up, vb.T @ vp
                nf = np.linalg.norm(q1.T @ q2 - np.eye(len(sb))) / len(sb)
                self.assertAlmostEqual(row["nf"], nf, delta=1e-6)
                self.assertAlmostEqual(row["relative_change"], np.linalg.norm(wp - wb) / np.linalg.norm(wb), delta=1e-9)
                self.assertTrue(np.array_equal(cut_by(row, base[row["tensor"]]), wb))

        self.each(check)

    def test_constructions_go_back_to_their_places(self):
        """`replace` and `restore` by their definitions, for every part; all else is post's to the byte."""
        def check(name, model, base, post):
            for operation, options in (("replace", ("--scale", "1")), ("restore", ("--side", "out"))):
                out = self.out(f"{name}-{operation}")
                gyro("build", operation, *self.pairs[name], *options, "--out", out)
                built = load_file(f"{out}/model.safetensors")
                self.assertEqual(built.keys(), post.keys())
                for layer in range(LAYERS):
                    for kind in model["parts"]:
                        wb, wp, w = (part_of(tensors, model, layer, kind).T for tensors in (base, post, built))
                        expected = checkpoints.construct(operation, wb, wp)
                        self.assertLess(np.linalg.norm(w - expected), 1e-9 * np.linalg.norm(expected))
                for kept in ("embed.weight", "ln.weight"):
                    self.assertEqual(built[kept].tobytes(), post[kept].tobytes())

        self.each(check)

    def test_interpolating_to_the_end_is_the_post(self):
        def check(name, _, __, post):
            out = self.out(f"{name}-end")
            gyro("build", "interpolate", "--at", "1", *self.pairs[name], "--out", out)
            built = load_file(f"{out}/model.safetensors")
            for tensor, w in post.items():
                self.assertLess(np.linalg.norm(built[tensor] - w), 1e-9 * np.linalg.norm(w), tensor)

        self.each(check)

    def test_adapters(self):
        """An adapter of full rank is the whole change; the residual of `init` and its adapter are the base."""
        def check(name, model, base, post):
            transposed = name == "gpt2"
            for command, out in (("lora", self.out(f"{name}-lora")), ("init", self.out(f"{name}-init"))):
                pair = self.pairs[name]
                if command == "lora":
                    gyro("lora", *pair, "--rank", "16", "--out", out)
                    adapter = out
                else:
                    gyro("init", "pissa", pair[0], "--rank", "16", "--out", out)
                    adapter, residual = f"{out}/pissa_init", load_file(f"{out}/model.safetensors")
                config = checkpoints.read_json(adapter, "adapter_config.json")
                self.assertEqual(config["fan_in_fan_out"], transposed)
                factors = load_file(f"{adapter}/adapter_model.safetensors")
                self.assertEqual(len(factors), 2 * LAYERS * len(model["shapes"]))
                for tensor in (shape.format(layer) for layer in range(LAYERS) for shape in model["shapes"]):
                    at = f"base_model.model.{tensor}"
                    ba = factors[f"{at}.lora_B.weight"].astype(float) @ factors[f"{at}.lora_A.weight"]
                    wb, wp = (w[f"{tensor}.weight"].T if transposed else w[f"{tensor}.weight"] for w in (base, post))
                    self.assertEqual(ba.shape, wb.shape)
                    if command == "lora":
                        s = np.linalg.svd(wp - wb)[1]
                        self.assertAlmostEqual(np.linalg.norm(wp - wb - ba), np.sqrt((s[16:]**2).sum()), delta=1e-5)
                    else:
                        rest = residual[f"{tensor}.weight"]
                        self.assertLess(np.linalg.norm((rest.T if transposed else rest) + ba - wb), 1e-6 * np.linalg.norm(wb))

        self.each(check)

    def test_modules_are_named_apart(self):
        """c_proj alone would be two modules of a layer."""
        out = self.out("gpt2-one")
        base, post = self.pairs["gpt2"]
        gyro("lora", base, post, "--rank", "4", "--target-modules", "W_O,c_fc", "--out", out)
        self.assertEqual(checkpoints.read_json(out, "adapter_config.json")["target_modules"], ["attn.c_proj", "c_fc"])
        refused = gyro("lora", base, post, "--rank", "4", "--target-modules", "W_K", "--out", self.out("none"), check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertEqual(refused.stderr, "gyro: error: --target-modules: W_K is a part of transformer.h.0.attn.c_attn.weight, and an "
                         "adapter attaches to it whole: name 'c_attn'\n")

    def test_a_body_alone_is_the_same(self):
        """The Hub's gpt2 has no `transformer.` before its names."""
        (base, post), alone = self.pairs["gpt2"], self.out("alone")
        os.makedirs(alone)
        tensors = load_file(f"{post}/model.safetensors")
        save_file({name.removeprefix("transformer."): w for name, w in tensors.items()}, f"{alone}/model.safetensors")
        with open(f"{alone}/config.json", "w", encoding="utf-8") as f:
            json.dump(MODELS["gpt2"]["config"], f)
        one, other = (json.loads(gyro("diff", base, p, "--json").stdout)["comparisons"][0]["matrices"] for p in (post, alone))
        self.assertEqual(one, other)

    def test_report_and_rotation_go_without_a_gate(self):
        for name in ("gpt2", "gpt_neox", "internlm2"):
            out = self.out(f"{name}-diff")
            gyro("diff", *self.pairs[name], "--out", out)
            gyro("report", out)
            gyro("build", "noise", *self.pairs[name], "--out", self.out(f"{name}-noise"))
            gyro("probe", "rotation", *self.pairs[name], self.out(f"{name}-noise"), "--out", self.out(f"{name}-rotation"))


if __name__ == "__main__":
    unittest.main()
