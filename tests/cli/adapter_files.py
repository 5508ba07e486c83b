#!/usr/bin/env python3
"""What `gyro lora` and `gyro init` write for PEFT: ranks that some modules have not, modules that other parts of a model have
too, how the base is called, and matrices that can be factored in part only."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import numpy as np

import checkpoints

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
BASE, POST = f"{MODELS}/pico-qwen2/base", f"{MODELS}/pico-qwen2/instruct"
LAYERS = 3


def write(folder, tensors, config):
    """A checkpoint of one file; tensors as checkpoints.read gives them."""
    os.makedirs(folder)
    checkpoints.write_file(f"{folder}/model.safetensors", tensors)
    with open(f"{folder}/config.json", "w", encoding="utf-8") as f:
        json.dump(config, f)
    return folder


class Files(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = holder.name
        self.out = os.path.join(self.folder, "out")

    def gyro(self, *words, cwd=None):
        done = subprocess.run([GYRO, *words, "--out", self.out], capture_output=True, text=True, check=False, cwd=cwd)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def adapter(self, *below):
        """Its config, and A and B of each module."""
        tensors = checkpoints.read_file(os.path.join(self.out, *below, "adapter_model.safetensors"))
        pairs = {}
        for name in tensors:
            if ".lora_A." in name:
                module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                pairs[module] = [checkpoints.values(tensors[name.replace("lora_A", half)]) for half in ("lora_A", "lora_B")]
        return checkpoints.read_json(self.out, *below, "adapter_config.json"), pairs

    def scaling(self, config, module):
        """As PEFT takes it: the patterns' keys end a module's name."""
        def of(pattern, usual):
            return next((value for key, value in config[pattern].items() if re.match(rf"(.*\.)?({key})$", module)), usual)
        return of("alpha_pattern", config["lora_alpha"]) / of("rank_pattern", config["r"])

    def chosen(self, targets, modules):
        """By PEFT's rule."""
        if isinstance(targets, str):
            return {module for module in modules if re.fullmatch(targets, module)}
        return {module for module in modules if module in targets or module.endswith(tuple("." + target for target in targets))}

    def ours(self):
        return {f"model.layers.{layer}.{module}_proj" for layer in range(LAYERS)
                for module in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down")}


class AdapterFiles(Files):
    def test_a_rank_that_some_modules_have_not(self):
        base, post = checkpoints.read(BASE), checkpoints.read(POST)
        output = self.gyro("lora", BASE, POST, "--rank", "40", "--alpha", "80")
        self.assertIn("6 of 21 modules have fewer than 40 components, and the adapter all of them, such as model.layers.0.self_attn.k_proj with 32",
                      output)
        config, pairs = self.adapter()
        self.assertEqual((config["r"], config["rank_pattern"], config["alpha_pattern"]),
                         (40, {"k_proj": 32, "v_proj": 32}, {"k_proj": 64, "v_proj": 64}))
        for module, (a, b) in pairs.items():
            rank = 32 if module.endswith(("k_proj", "v_proj")) else 40
            self.assertEqual(len(a), rank, module)
            delta = checkpoints.values(post[f"{module}.weight"]) - checkpoints.values(base[f"{module}.weight"])
            left = np.linalg.norm(delta - self.scaling(config, module) * b @ a)
            tail = np.linalg.norm(np.linalg.svd(delta, compute_uv=False)[rank:])
            self.assertLess(abs(left - tail), 1e-6 * np.linalg.norm(delta), module)

    def test_init_with_a_rank_that_some_modules_have_not(self):
        output = self.gyro("init", "pissa", BASE, "--rank", "40", "--dtype", "f32")
        self.assertIn("6 of 21 modules have fewer than 40 components", output)
        config, pairs = self.adapter("pissa_init")
        base, rest = checkpoints.read(BASE), checkpoints.read(self.out)
        for module, (a, b) in pairs.items():
            whole = checkpoints.values(base[f"{module}.weight"])
            sum_ = checkpoints.values(rest[f"{module}.weight"]) + self.scaling(config, module) * b @ a
            self.assertLess(np.linalg.norm(sum_ - whole), 1e-6 * np.linalg.norm(whole), module)

    def targets(self, extra):
        """target_modules for a model that has other matrices besides, and all names of modules with one."""
        tensors = checkpoints.read(BASE)
        for name in extra:
            tensors[name] = ("BF16", (2, 2), bytes(8))
        base = write(f"{self.folder}/base", tensors, checkpoints.read_json(BASE, "config.json"))
        self.gyro("lora", base, POST, "--rank", "2")
        modules = [name.removesuffix(".weight") for name, tensor in tensors.items() if name.endswith(".weight") and len(tensor[1]) == 2]
        return self.adapter()[0]["target_modules"], modules

    def test_modules_are_called_by_their_last_parts(self):
        targets, modules = self.targets(["extra.fc1.weight"])
        self.assertEqual(sorted(targets), ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"])
        self.assertEqual(self.chosen(targets, modules), self.ours())

    def test_modules_that_a_tower_has_too(self):
        tower = ["vision+tower.encoder.layers.0.self_attn.q_proj.weight", "audio.layers.1.mlp.up_proj.weight"]
        targets, modules = self.targets(tower)
        self.assertEqual(self.chosen(targets, modules), self.ours())
        # Also by the names that a library gives them as it loads the model.
        self.assertEqual(self.chosen(targets, [f"model.language_model.{name}" for name in self.ours()] + ["model.audio.layers.1.mlp.up_proj"]),
                         {f"model.language_model.{name}" for name in self.ours()})

    def test_modules_of_layers_that_the_config_does_not_count(self):
        targets, modules = self.targets(["model.layers.3.mlp.up_proj.weight"])
        self.assertEqual(self.chosen(targets, modules), self.ours())

    def test_base_in_the_cache_of_the_hub(self):
        snapshot = os.path.join(self.folder, "models--acme--tiny", "snapshots", "0123abcd")
        shutil.copytree(BASE, snapshot)
        self.gyro("lora", "models--acme--tiny/snapshots/0123abcd", POST, "--rank", "2", cwd=self.folder)
        config, _ = self.adapter()
        self.assertEqual((config["base_model_name_or_path"], config["revision"]), ("acme/tiny", "0123abcd"))

    def test_base_in_a_cache_whose_name_is_no_models(self):
        snapshot = os.path.join(self.folder, "models--a--b--c", "snapshots", "0123abcd")
        shutil.copytree(BASE, snapshot)
        self.gyro("lora", snapshot, POST, "--rank", "2", cwd=self.folder)
        config, _ = self.adapter()
        self.assertEqual((config["base_model_name_or_path"], config["revision"]), (snapshot, None))

    def test_base_elsewhere(self):
        shutil.copytree(BASE, f"{self.folder}/acme/tiny")
        self.gyro("lora", "./acme/tiny/", POST, "--rank", "2", cwd=self.folder)
        config, _ = self.adapter()
        self.assertEqual(config["revision"], None)
        self.assertEqual(os.path.realpath(config["base_model_name_or_path"]), os.path.realpath(f"{self.folder}/acme/tiny"))
        self.assertTrue(os.path.isabs(config["base_model_name_or_path"]))
        shutil.rmtree(self.out)
        self.gyro("init", "pissa", "acme/tiny", "--rank", "2", cwd=self.folder)
        self.assertEqual(os.path.realpath(self.adapter("pissa_init")[0]["base_model_name_or_path"]), os.path.realpath(self.out))


class ZeroRows(Files):
    """Two rows of one o_proj are zero: its smallest singular values are, and their vectors any."""
    MATRIX = "model.layers.0.self_attn.o_proj"

    def setUp(self):
        super().setUp()
        for name, model in (("base", BASE), ("post", POST)):
            tensors = checkpoints.read(model)
            dtype, shape, data = tensors[f"{self.MATRIX}.weight"]
            row = 2 * shape[1]
            tensors[f"{self.MATRIX}.weight"] = dtype, shape, bytes(2 * row) + data[2 * row:]
            write(f"{self.folder}/{name}", tensors, checkpoints.read_json(model, "config.json"))

    def test_build_does_the_others(self):
        base, post = f"{self.folder}/base", f"{self.folder}/post"
        output = self.gyro("build", "restore", base, post)
        self.assertIn(f"Left as the post's: {base}: {self.MATRIX}.weight: has rank 62 of 64", output)
        was, built, undamaged = checkpoints.read(post), checkpoints.read(self.out), f"{self.folder}/undamaged"
        self.assertEqual(built[f"{self.MATRIX}.weight"], was[f"{self.MATRIX}.weight"])
        subprocess.run([GYRO, "build", "restore", BASE, POST, "--out", undamaged, "--quiet"], check=True)
        others = checkpoints.read(undamaged)
        self.assertEqual([name for name in built if built[name] != others[name]], [f"{self.MATRIX}.weight"])
        rows = {row["type"]: row for row in checkpoints.read_json(self.out, "gyro.json")["matrices"]}
        self.assertEqual((rows["W_O"]["matrices"], len(rows["W_O"]["left"]), rows["W_Q"]["matrices"], rows["W_Q"]["left"]), (2, 1, 3, []))

    def test_largest_components_are_there(self):
        self.assertNotIn("Left", self.gyro("init", "pissa", f"{self.folder}/base", "--rank", "4", "--dtype", "f32"))
        config, pairs = self.adapter("pissa_init")
        a, b = pairs[self.MATRIX]
        whole = checkpoints.values(checkpoints.read(f"{self.folder}/base")[f"{self.MATRIX}.weight"])
        u, s, vt = np.linalg.svd(whole)
        self.assertLess(np.linalg.norm(b @ a - (u[:, :4] * s[:4]) @ vt[:4]), 1e-6 * s[0])
        self.assertEqual(config["rank_pattern"], {})

    def test_smallest_components_are_not(self):
        output = self.gyro("init", "minor", f"{self.folder}/base", "--rank", "4")
        self.assertIn(f"Left whole, without an adapter: {self.MATRIX} has rank 62 of 64: components 60 to 63 are not determined", output)
        config, pairs = self.adapter("minor_init")
        self.assertEqual(set(pairs), self.ours() - {self.MATRIX})
        self.assertEqual(self.chosen(config["target_modules"], self.ours()), self.ours() - {self.MATRIX})
        was, rest = checkpoints.read(f"{self.folder}/base"), checkpoints.read(self.out)
        self.assertEqual(rest[f"{self.MATRIX}.weight"], was[f"{self.MATRIX}.weight"])


class OtherPrefixes(Files):
    """The same post under the names of a body alone, and of a language model within another."""
    PREFIXES = {"body": "", "within": "model.language_model."}

    def setUp(self):
        super().setUp()
        self.plain = checkpoints.read(POST)
        for name, prefix in self.PREFIXES.items():
            write(f"{self.folder}/{name}", {self.renamed(key, prefix): t for key, t in self.plain.items()},
                  checkpoints.read_json(POST, "config.json"))

    @staticmethod
    def renamed(name, prefix):
        return prefix + name.removeprefix("model.") if name.startswith("model.") else name

    def made(self, *command):
        self.gyro(*command)
        tensors = checkpoints.read(self.out)
        shutil.rmtree(self.out)
        return tensors

    def test_build(self):
        expected = self.made("build", "restore", BASE, POST)
        self.assertNotEqual(expected, self.plain)
        for name, prefix in self.PREFIXES.items():
            found = self.made("build", "restore", BASE, f"{self.folder}/{name}")
            self.assertEqual(found, {self.renamed(key, prefix): tensor for key, tensor in expected.items()})
            from_sibling = self.made("build", "restore", BASE, POST, "--sibling", f"{self.folder}/{name}")
            self.assertEqual(from_sibling, self.made("build", "restore", BASE, POST, "--sibling", POST))

    def test_init(self):
        expected = self.made("init", "pissa", POST, "--rank", "4")
        for name, prefix in self.PREFIXES.items():
            found = self.made("init", "pissa", f"{self.folder}/{name}", "--rank", "4")
            self.assertEqual(found, {self.renamed(key, prefix): tensor for key, tensor in expected.items()})

    def test_lora(self):
        said = self.gyro("lora", BASE, POST, "--rank", "4")
        expected = self.adapter()[1]
        for name in self.PREFIXES:
            shutil.rmtree(self.out)
            found = self.gyro("lora", BASE, f"{self.folder}/{name}", "--rank", "4")
            for line in ("The adapter holds 36.8 % of", "17 other tensors differ and are not in it"):  # by their place in the model
                self.assertIn(line, said)
                self.assertIn(line, found)
            for module, pair in self.adapter()[1].items():  # under the base's names
                np.testing.assert_array_equal(pair[0], expected[module][0])
                np.testing.assert_array_equal(pair[1], expected[module][1])


if __name__ == "__main__":
    unittest.main()
