#!/usr/bin/env python3
"""Models as people have them: mixtures of experts with latent attention, routers and shared experts, experts in MXFP4,
configurations that have the sizes elsewhere or not at all, halves of multimodal models, fused tensors against split ones,
FP8 scales of every name. Figures are held against numpy's."""
import json
import os
import subprocess
import tempfile
import unittest

import numpy as np

import checkpoints
from checkpoints import f32

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
ATTENTION = "W_Q,W_K,W_V,W_O"


def gyro(*words):
    return subprocess.run([GYRO, *words], capture_output=True, text=True)


def alpha_and_change(base, post):
    """α of the leading 90 % and the relative change, of two matrices in float64."""
    before, after = (np.linalg.svd(w, compute_uv=False) for w in (base, post))
    k = int(np.floor(0.9 * len(before)))
    return np.mean(after[:k] / before[:k]), np.linalg.norm(post - base) / np.linalg.norm(base)


class Forms(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name, tensors, config):
        folder = os.path.join(self.folder.name, name)
        os.mkdir(folder)
        checkpoints.write_file(f"{folder}/model.safetensors", tensors)
        with open(f"{folder}/config.json", "w", encoding="utf-8") as f:
            json.dump(config, f)
        return folder

    def diff(self, *words):
        result = gyro("diff", *words, "--json", "--null-draws", "0")
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)["comparisons"][0], result.stderr

    def refused(self, *words):
        result = gyro("diff", *words)
        self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        return result.stderr

    def check(self, row, base, post):
        alpha, change = alpha_and_change(base, post)
        self.assertAlmostEqual(row["alpha_mean"], alpha, 7, row)
        self.assertAlmostEqual(row["relative_change"], change, 9, row)

    # What a pico model's pair gives in another form is what it gives.
    def check_as_plain(self, model, words, types=None):
        options = ["--types", types] if types else []
        plain, _ = self.diff(f"{MODELS}/{model}/base", f"{MODELS}/{model}/instruct", *options)
        other, told = self.diff(*words, *options)
        parts = [m for m in plain["matrices"] if not m["fused"]]
        self.assertEqual(len(parts), len(other["matrices"]))
        for a, b in zip(parts, other["matrices"]):
            self.assertEqual((a["layer"], a["type"]), (b["layer"], b["type"]))
            for key in ("alpha_mean", "relative_change", "nf", "scale"):
                self.assertEqual(a[key], b[key], (a["layer"], a["type"], key))
        return told

    def pair(self, model):
        for name in ("base", "instruct"):
            yield name, checkpoints.read(f"{MODELS}/{model}/{name}"), checkpoints.read_json(MODELS, model, name, "config.json")

    def test_latent_attention_routers_and_shared_experts(self):
        generator = np.random.default_rng(0)
        config = dict(model_type="deepseek_v3", hidden_size=64, intermediate_size=96, moe_intermediate_size=24, num_hidden_layers=2,
                      num_attention_heads=4, num_key_value_heads=4, q_lora_rank=40, kv_lora_rank=32, qk_nope_head_dim=16,
                      qk_rope_head_dim=8, v_head_dim=12, n_routed_experts=8, n_shared_experts=2, first_k_dense_replace=1)
        shapes = {}
        for layer in range(2):
            def add(name, rows, cols):
                shapes[f"model.layers.{layer}.{name}.weight"] = (rows, cols)
            for name, rows, cols in (("q_a_proj", 40, 64), ("q_b_proj", 96, 40), ("kv_a_proj_with_mqa", 40, 64),
                                     ("kv_b_proj", 112, 32), ("o_proj", 64, 48)):
                add(f"self_attn.{name}", rows, cols)
            modules = [("mlp", 96)] if layer == 0 else [(f"mlp.experts.{e}", 24) for e in range(8)] + [("mlp.shared_experts", 48)]
            for module, width in modules:
                add(f"{module}.gate_proj", width, 64)
                add(f"{module}.up_proj", width, 64)
                add(f"{module}.down_proj", 64, width)
            if layer == 1:
                add("mlp.gate", 8, 64)
        base = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
        post = {name: (1.01 * w + 0.05 * generator.standard_normal(w.shape)).astype(np.float32) for name, w in base.items()}
        folders = [self.write(name, {key: f32(w) for key, w in model.items()}, config)
                   for name, model in (("base", base), ("post", post))]
        comparison, _ = self.diff(*folders)
        self.assertEqual(len(comparison["matrices"]), len(shapes))
        for row in comparison["matrices"]:
            self.check(row, base[row["tensor"]].astype(float), post[row["tensor"]].astype(float))
        self.assertEqual([t["type"] for t in comparison["types"]],
                         ["W_O", "W_gate", "W_up", "W_down", "W_DQ", "W_UQ", "W_DKV", "W_UKV", "W_router", "W_shared_gate",
                          "W_shared_up", "W_shared_down"])
        # Constructions leave routers as the post has them, and adapters do unless they are asked for.
        out = os.path.join(self.folder.name, "out")
        result = gyro("build", "replace", *folders, "--scale", "0.9", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr)
        built = checkpoints.read(out)
        same = {name for name, w in post.items() if built[name][2] == w.tobytes()}
        self.assertEqual(same, {"model.layers.1.mlp.gate.weight"})
        result = gyro("lora", *folders, "--rank", "2", "--out", os.path.join(self.folder.name, "lora"))
        self.assertEqual(result.returncode, 0, result.stderr)
        adapter = checkpoints.read_file(os.path.join(self.folder.name, "lora", "adapter_model.safetensors"))
        self.assertEqual(len(adapter), 2 * (len(shapes) - 1))

    # Where there are fewer experts than any statistic needs, nothing is made up.
    def test_a_router_of_two_experts(self):
        generator = np.random.default_rng(1)
        folders = []
        base = None
        for name in ("base", "post"):
            tensors = checkpoints.read(f"{MODELS}/pico-qwen3moe/base")
            for key, (_, shape, _) in tensors.items():
                if key.endswith("mlp.gate.weight"):
                    tensors[key] = f32(generator.standard_normal(shape))
            folders.append(self.write(name, tensors, checkpoints.read_json(MODELS, "pico-qwen3moe", "base", "config.json")))
            base = base or tensors
        comparison, _ = self.diff(*folders, "--types", "router")
        self.assertEqual({m["type"] for m in comparison["matrices"]}, {"W_router"})
        for row in comparison["matrices"]:
            self.check(row, checkpoints.values(base[row["tensor"]]), checkpoints.values(tensors[row["tensor"]]))

    # gpt-oss as it is published against the same unpacked by numpy: no difference, and what build writes loads as that.
    def test_experts_in_mxfp4(self):
        generator = np.random.default_rng(2)
        magnitudes = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
        config = dict(model_type="gpt_oss", hidden_size=64, intermediate_size=32, num_hidden_layers=1, num_attention_heads=4,
                      num_key_value_heads=2, head_dim=16, num_local_experts=3,
                      quantization_config=dict(quant_method="mxfp4", modules_to_not_convert=["lm_head"]))
        common = {f"model.layers.0.self_attn.{n}_proj.weight": f32(generator.standard_normal(s))
                  for n, s in (("q", (64, 64)), ("k", (32, 64)), ("v", (32, 64)), ("o", (64, 64)))}
        common["model.layers.0.mlp.router.weight"] = f32(generator.standard_normal((3, 64)))
        packed, plain = dict(common), dict(common)
        for name, rows, cols in (("gate_up_proj", 64, 64), ("down_proj", 64, 32)):
            at = f"model.layers.0.mlp.experts.{name}"
            codes = generator.integers(0, 16, (3, rows, cols))
            scales = generator.integers(110, 130, (3, rows, cols // 32))
            blocks = (codes[..., 0::2] | codes[..., 1::2] << 4).astype(np.uint8)
            packed[f"{at}_blocks"] = ("U8", (3, rows, cols // 32, 16), blocks.tobytes())
            packed[f"{at}_scales"] = ("U8", (3, rows, cols // 32), scales.astype(np.uint8).tobytes())
            value = np.where(codes < 8, 1, -1) * magnitudes[codes % 8] * 2.0 ** (np.repeat(scales, 32, axis=2) - 127)
            plain[at] = f32(np.swapaxes(value, 1, 2))
        packed_folder = self.write("packed", packed, config)
        plain_folder = self.write("plain", plain, {k: v for k, v in config.items() if k != "quantization_config"})
        comparison, _ = self.diff(plain_folder, packed_folder)
        self.assertEqual(len(comparison["matrices"]), 4 + 9 + 1)
        for row in comparison["matrices"]:
            self.assertEqual(row["relative_change"], 0, row)
        post = dict(plain)
        for name in ("gate_up_proj", "down_proj"):
            at = f"model.layers.0.mlp.experts.{name}"
            value = checkpoints.values(plain[at])
            post[at] = f32(value + 0.1 * value.std() * generator.standard_normal(value.shape))
        post_folder = self.write("post", post, {k: v for k, v in config.items() if k != "quantization_config"})
        comparison, _ = self.diff(packed_folder, post_folder, "--types", "W_gate,W_up,W_down")
        for row in comparison["matrices"]:
            at = f"model.layers.0.mlp.experts.{'down' if row['type'] == 'W_down' else 'gate_up'}_proj"
            before, after = (checkpoints.values(t[at])[row["expert"]] for t in (plain, post))
            columns = {"W_gate": slice(0, None, 2), "W_up": slice(1, None, 2), "W_down": slice(None)}[row["type"]]
            self.check(row, before[:, columns], after[:, columns])
        out = os.path.join(self.folder.name, "out")
        result = gyro("build", "replace", post_folder, packed_folder, "--scale", "1", "--on", "attention", "--out", out)
        self.assertEqual(result.returncode, 0, result.stderr)
        built = checkpoints.read(out)
        self.assertEqual(built.keys(), plain.keys())
        self.assertNotIn("quantization_config", checkpoints.read_json(out, "config.json"))
        for name in ("gate_up_proj", "down_proj"):
            at = f"model.layers.0.mlp.experts.{name}"
            self.assertEqual(built[at][0], "BF16")
            np.testing.assert_array_equal(checkpoints.values(built[at]), checkpoints.values(plain[at]))

    def test_sizes_elsewhere_or_nowhere(self):
        def short(config):
            return dict(model_type="llava", text_config=dict(model_type=config["model_type"], vocab_size=config["vocab_size"]))
        forms = {"llm_config": (lambda c: dict(model_type="some_chat", llm_config=c), "language_model."),
                 "thinker": (lambda c: dict(model_type="some_chat", thinker_config=dict(text_config=c)), "thinker."),
                 "short": (short, "language_model.")}
        for form, (config_of, prefix) in forms.items():
            folders = [self.write(f"{form}-{name}", {prefix + key: t for key, t in tensors.items()}, config_of(config))
                       for name, tensors, config in self.pair("pico-qwen2")]
            self.assertEqual(self.check_as_plain("pico-qwen2", folders), "", form)
        # Whoever needs heads says that there are none.
        if "has no llama.cpp" in gyro("chat", f"{MODELS}/pico-qwen2/base", "--prompt", "1").stderr:
            return
        result = gyro("chat", os.path.join(self.folder.name, "short-base"), "--prompt", "1")
        self.assertEqual(result.returncode, 1)
        self.assertIn("short-base/config.json: has no num_attention_heads, nor is it under any of text_config", result.stderr)

    def test_the_language_half_of_a_multimodal_model(self):
        folders = []
        for name, tensors, config in self.pair("pico-mistral"):
            if name == "instruct":
                tensors = {"language_model." + key: t for key, t in tensors.items()}
                tensors["vision_tower.layers.0.attention.q_proj.weight"] = f32(np.eye(32))
                config = dict(model_type="mistral3", text_config=config, vision_config=dict(model_type="pixtral", hidden_size=32))
            folders.append(self.write(name, tensors, config))
        self.assertEqual(self.check_as_plain("pico-mistral", folders), "")
        self.diff(*reversed(folders))
        odd = self.write("odd", checkpoints.read(folders[0]),
                         dict(checkpoints.read_json(folders[0], "config.json"), model_type="shiny"))
        told = gyro("diff", odd, odd, "--json", "--null-draws", "0").stderr
        self.assertTrue(told.startswith(f'gyro: warning: {odd}: unknown model_type "shiny", read as llama\n'), told)

    def test_fused_against_split(self):
        folders = []
        for name, tensors, config in self.pair("pico-phi3"):
            if name == "instruct":
                split = {}
                for key, (dtype, shape, data) in tensors.items():
                    fused = next((f for f in ("qkv_proj", "gate_up_proj") if f in key), None)
                    parts = {None: [key], "qkv_proj": ["q_proj", "k_proj", "v_proj"], "gate_up_proj": ["gate_proj", "up_proj"]}[fused]
                    size = len(data) // len(parts)
                    for i, part in enumerate(parts):
                        split[key.replace(fused, part) if fused else key] = (
                            dtype, (shape[0] // len(parts), *shape[1:]), data[i * size:(i + 1) * size])
                tensors, config = split, dict(config, model_type="llama")
            folders.append(self.write(name, tensors, config))
        told = self.check_as_plain("pico-phi3", folders)
        self.assertIn(f"{folders[1]}: W_QKV is in parts here and fused in {folders[0]}: the parts are compared", told)
        self.check_as_plain("pico-phi3", folders, types="W_Q,W_up")
        self.diff(*reversed(folders))
        self.assertIn("has W_QKV in parts where", self.refused(*folders, "--types", "W_QKV"))

    # A config that lacks what the class has as its default, and a mixture that Gyro has never heard of.
    def test_mixtures_that_are_not_known(self):
        for model_type in ("qwen3_moe", "shiny_moe"):
            folders = []
            for name, tensors, config in self.pair("pico-qwen2"):
                own = {}
                for key, t in tensors.items():
                    names = [key.replace(".mlp.", f".mlp.experts.{e}.") for e in range(2)] if ".mlp." in key else [key]
                    own.update(dict.fromkeys(names, t))
                for layer in range(config["num_hidden_layers"]):
                    own[f"model.layers.{layer}.mlp.gate.weight"] = f32(np.ones((2, 64)))
                folders.append(self.write(f"{model_type}-{name}", own, dict(config, model_type=model_type, num_experts=2)))
            self.check_as_plain("pico-qwen2", folders, types=ATTENTION)
            if model_type == "shiny_moe":
                self.assertRegex(self.refused(*folders), r"it is a mixture of experts \(.*types W_Q,W_K,W_V,W_O")
                continue
            comparison, _ = self.diff(*folders)
            self.assertEqual(len(comparison["matrices"]), 3 * (4 + 2 * 3 + 1))

    def test_scales_of_every_name(self):
        table = np.array([(-1) ** (i >> 7) * (((i & 7) / 8 + (i & 0x78 != 0)) * 2.0 ** (max(i >> 3 & 15, 1) - 7)) for i in range(256)])
        positive = table[:127]  # 127 is NaN

        def packed(naming, block):
            out = {}
            for key, tensor in tensors.items():
                if not key.endswith("_proj.weight"):
                    out[key] = tensor
                    continue
                w = checkpoints.values(tensor)
                b = block or max(w.shape)
                scale = np.array([[np.abs(w[i:i + b, j:j + b]).max() / 448 for j in range(0, w.shape[1], b)]
                                  for i in range(0, w.shape[0], b)], np.float32)
                wide = np.kron(scale, np.ones((b, b)))[:w.shape[0], :w.shape[1]]
                code = np.abs(np.abs(w / wide)[..., None] - positive).argmin(-1) + np.where(w < 0, 128, 0)
                out[key] = ("F8_E4M3", tensor[1], code.astype(np.uint8).tobytes())
                if naming:
                    out[naming(key)] = f32(scale if block else scale.reshape(1))
                values[key] = table[code] * wide
            return out

        _, (_, tensors, config) = self.pair("pico-qwen2")
        base = f"{MODELS}/pico-qwen2/base"
        before = checkpoints.read(base)
        for ending, block in (("weight_scale_inv", 32), ("scale", 32), ("scale_weight", 0), ("weight_scale", 0)):
            values = {}
            extra = dict(quant_method="fp8", **({"weight_block_size": [block, block]} if block else {}))
            post = self.write(ending, packed(lambda key: key[:-6] + ending, block), dict(config, quantization_config=extra))
            comparison, told = self.diff(base, post)
            self.assertEqual(told, "")
            for row in comparison["matrices"]:
                self.check(row, checkpoints.values(before[row["tensor"]]), values[row["tensor"]])
        values = {}
        none = self.write("none", packed(None, 0), dict(config, quantization_config=dict(quant_method="fp8")))
        self.assertIn('tensor "model.layers.0.self_attn.q_proj.weight" is FP8 and has no scales', self.refused(base, none))
        plain = self.write("plain", packed(None, 0), config)  # may be the weights themselves, cast
        _, told = self.diff(base, plain)
        self.assertRegex(told, r'^gyro: warning: \S+plain: tensor "[^"]+" and \d+ others are FP8 and have no scales: the '
                               r"values are taken as they are\n$")


if __name__ == "__main__":
    unittest.main()
