#!/usr/bin/env python3
"""A mixture of experts through every command, its experts stored one by one, and the same weights as one tensor for a
layer's experts, as transformers 5 holds them."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
PAIR = {name: f"{MODELS}/pico-qwen3moe/{name}" for name in ("base", "instruct")}
EXPERTS, LAYERS = 8, (1, 2)


def gyro(*words, check=True):
    return subprocess.run([GYRO, *words, "--quiet"], check=check, capture_output=True, text=True)


def tensors(folder):
    """BF16 as F32, which numpy knows."""
    path, found = os.path.join(folder, "model.safetensors"), {}
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header, body = json.loads(file.read(size)), file.read()
    for name, info in header.items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        if info["dtype"] == "BF16":
            values = (np.frombuffer(body[begin:end], "<u2").astype(np.uint32) << 16).view(np.float32)
        else:
            values = np.frombuffer(body[begin:end], {"F32": "<f4", "F64": "<f8"}[info["dtype"]])
        found[name] = values.reshape(info["shape"])
    return found


def expert(layer, number, name):
    return f"model.layers.{layer}.mlp.experts.{number}.{name}_proj.weight"


def stacked(one_by_one):
    """[experts, 2 · width, hidden] and [experts, hidden, width]."""
    out = {name: value for name, value in one_by_one.items() if ".experts." not in name}
    for layer in LAYERS:
        get = lambda name: np.stack([one_by_one[expert(layer, e, name)] for e in range(EXPERTS)])
        out[f"model.layers.{layer}.mlp.experts.gate_up_proj"] = np.concatenate([get("gate"), get("up")], axis=1)
        out[f"model.layers.{layer}.mlp.experts.down_proj"] = get("down")
    return out


class Mixture(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.stacked = {}
        for name, path in PAIR.items():
            cls.stacked[name] = os.path.join(cls.folder.name, name)
            os.mkdir(cls.stacked[name])
            shutil.copy(f"{path}/config.json", cls.stacked[name])
            save_file(stacked(tensors(path)), f"{cls.stacked[name]}/model.safetensors")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def out(self, name):
        return os.path.join(self.folder.name, name)

    def matrices(self, base, post):
        document = json.loads(gyro("diff", base, post, "--json").stdout)
        return document["comparisons"][0]["matrices"]

    def test_the_same_numbers_however_experts_are_stored(self):
        one, all_ = self.matrices(*PAIR.values()), self.matrices(*self.stacked.values())
        mixed = self.matrices(PAIR["base"], self.stacked["instruct"])
        self.assertEqual(len(one), 65)  # two of them routers
        self.assertEqual(len({(m["layer"], m["type"], m.get("expert")) for m in one}), 65)
        self.assertEqual({m.get("expert") for m in one}, {None, *range(EXPERTS)})
        # The copies are in F32, whose places are others.
        of_dtype = {"rounding_over_residual", "update_rank", "sparse_expected"}
        for matrix in (*one, *all_, *mixed):
            matrix["energy"].pop("rounding_ratio")
        for other in (all_, mixed):
            for a, b in zip(one, other):
                for key in a.keys() - {"tensor", "slice"} - of_dtype:
                    self.assertEqual(a[key], b[key], (a["tensor"], key))
        self.assertNotIn("expert", one[0])
        up = next(m for m in all_ if (m["layer"], m["type"], m.get("expert")) == (1, "W_up", 5))
        self.assertEqual((up["tensor"], up["slice"]), ("model.layers.1.mlp.experts.gate_up_proj", [528, 576]))

    def test_every_expert_has_draws_of_its_own(self):
        seeds = [m["null"]["sampled"]["seed"] for m in self.matrices(*PAIR.values()) if m["null"]["sampled"]]
        self.assertGreater(len(seeds), 48)
        self.assertEqual(len(set(seeds)), len(seeds))

    def test_build_is_the_same_however_experts_are_stored(self):
        for kind, pair in (("one", PAIR), ("all", self.stacked)):
            gyro("build", "replace", *pair.values(), "--scale", "0.9", "--dtype", "f32", "--out", self.out(f"built-{kind}"))
        one, all_ = (tensors(self.out(f"built-{kind}")) for kind in ("one", "all"))
        expected, post = stacked(one), tensors(self.stacked["instruct"])
        self.assertEqual(all_.keys(), expected.keys())
        for name, value in expected.items():
            np.testing.assert_array_equal(all_[name], value, name)
        changed = {name for name in post if not np.array_equal(post[name], all_[name])}
        self.assertEqual(len(changed), 3 * 4 + 3 + 2 * 2)

    def test_rescale(self):
        gyro("init", "rescale", self.stacked["base"], "--types", "W_up", "--by", "2", "--out", self.out("scaled"))
        before, after = tensors(self.stacked["base"]), tensors(self.out("scaled"))
        for name, value in before.items():
            expected = value.copy()
            if name.endswith("gate_up_proj"):
                expected[:, 48:] *= 2
            elif name.endswith("up_proj.weight"):
                expected *= 2
            np.testing.assert_array_equal(after[name], expected, name)

    def test_adapters_of_experts_one_by_one(self):
        gyro("lora", *PAIR.values(), "--rank", "4", "--out", self.out("lora"))
        adapter = load_file(self.out("lora") + "/adapter_model.safetensors")
        self.assertEqual(len(adapter), 2 * 63)
        module = "base_model.model.model.layers.2.mlp.experts.7.down_proj.lora_"
        product = adapter[module + "B.weight"].astype(float) @ adapter[module + "A.weight"]
        base, post = (tensors(PAIR[name])[expert(2, 7, "down")].astype(float) for name in ("base", "instruct"))
        u, s, vt = np.linalg.svd(post - base)
        np.testing.assert_allclose(product, (u[:, :4] * s[:4]) @ vt[:4], atol=1e-7)
        gyro("init", "pissa", PAIR["base"], "--rank", "4", "--out", self.out("pissa"))
        self.assertEqual(len(load_file(self.out("pissa") + "/pissa_init/adapter_model.safetensors")), 2 * 63)

    def test_no_adapters_of_experts_in_one_tensor(self):
        for words in (("lora", *self.stacked.values()), ("init", "pissa", self.stacked["base"])):
            result = gyro(*words, "--rank", "4", "--out", self.out("refused"), check=False)
            self.assertEqual(result.returncode, 1)
            self.assertRegex(result.stderr, r"^gyro: error: --target-modules: model\.layers\.1\.mlp\.experts\.gate_up_proj holds "
                             r"all experts of its layer, [^\n]*\n$")
            self.assertFalse(os.path.exists(self.out("refused")))
            gyro(*words, "--rank", "4", "--target-modules", "q_proj,o_proj", "--out", self.out(words[0]), "--force")

    def test_a_router_by_its_name(self):
        """"gate" is the router's module, though W_gate is a type."""
        gyro("lora", *PAIR.values(), "--rank", "2", "--target-modules", "gate", "--out", self.out("router"))
        adapter = load_file(self.out("router") + "/adapter_model.safetensors")
        self.assertEqual({name.removeprefix("base_model.model.").split(".lora_")[0] for name in adapter},
                         {f"model.layers.{layer}.mlp.gate" for layer in LAYERS})

    def test_report_and_joined_reports(self):
        for kind, pair in (("a", PAIR), ("b", self.stacked)):
            gyro("diff", *pair.values(), "--out", self.out(kind))
            with safe_open(self.out(kind) + "/arrays.safetensors", "numpy") as arrays:
                self.assertIn("0.2.W_gate.7.turn_u", arrays.keys())
        gyro("report", self.out("a"), self.out("b"), "--out", self.out("joined.html"))


if __name__ == "__main__":
    unittest.main()
