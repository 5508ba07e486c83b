#!/usr/bin/env python3
"""What a MODEL may be: checkpoints saved from inside wrappers, folders with two forms of weights, adapters, the Hub's cache.
The situations are those of public bug reports."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import numpy as np

import checkpoints

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
BASE, POST = f"{MODELS}/pico-qwen2/base", f"{MODELS}/pico-qwen2/instruct"


def dumped(value, *path):
    with open(os.path.join(*path), "w", encoding="utf-8") as f:
        json.dump(value, f)


class GivenModels(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base, cls.post = checkpoints.read(BASE), checkpoints.read(POST)
        cls.plain = cls.figures(BASE, POST)[0]

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = os.path.realpath(holder.name)

    def at(self, *path):
        return os.path.join(self.folder, *path)

    @staticmethod
    def run_gyro(*words, **options):
        environment = {**os.environ, "HF_HUB_CACHE": "/nowhere", **options.pop("env", {})}
        return subprocess.run([GYRO, *words], capture_output=True, text=True, check=False, timeout=300, env=environment, **options)

    @classmethod
    def figures(cls, base, post, **options):
        """Rows of all matrices, without what names files, and the warnings of a diff."""
        done = cls.run_gyro("diff", base, post, "--format", "json", "--threads", "2", **options)
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        rows = [{k: v for k, v in m.items() if k not in ("tensor", "name")} for m in result["comparisons"][0]["matrices"]]
        return rows, [line for line in done.stderr.splitlines() if line.startswith("gyro: warning: ")], result

    def refusal(self, *words, **options):
        done = self.run_gyro(*words, "--quiet", **options)
        self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.stderr

    def model(self, name, like=POST, tensors=None):
        folder = shutil.copytree(like, self.at(name))
        if tensors is not None:
            checkpoints.write_file(os.path.join(folder, "model.safetensors"), tensors)
        return folder

    def assert_plain(self, post, *warnings, **options):
        rows, found, _ = self.figures(BASE, post, **options)
        self.assertEqual(rows, self.plain)
        self.assertEqual(found, [f"gyro: warning: {post}: {text}" for text in warnings])

    def test_wrapped_names(self):
        for name, prefix in (("compiled", "_orig_mod."), ("ddp", "module."), ("both", "module._orig_mod."), ("peft", "base_model.model."),
                             ("value-head", "pretrained_model.")):
            tensors = {prefix + k: t for k, t in self.post.items()}
            tensors["v_head.summary.weight"] = checkpoints.f32(np.ones((1, 64)))
            folder = self.model(name, tensors=tensors)
            rows, warnings, _ = self.figures(BASE, folder)
            self.assertEqual(rows, self.plain)
            self.assertEqual(len(warnings), 1)
            self.assertIn(f'is left out: "{prefix}model.embed_tokens.weight" is read as "model.embed_tokens.weight"', warnings[0])
            done = self.run_gyro("diff", BASE, folder, "--quiet")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        layered = {k.replace("_proj.weight", "_proj.base_layer.weight"): t for k, t in self.post.items()}
        folder = self.model("base-layer", tensors=layered)
        self.assertEqual(self.figures(BASE, folder)[0], self.plain)
        layered["model.layers.0.self_attn.q_proj.lora_A.default.weight"] = checkpoints.f32(np.ones((4, 64)))
        self.assertIn("is a model with an adapter that is not merged", self.refusal("diff", BASE, self.model("unmerged", tensors=layered)))

    def test_what_is_built_has_the_models_own_names(self):
        folder = self.model("ddp", tensors={"module." + k: t for k, t in self.post.items()})
        for command in (("build", "replace", BASE, folder), ("init", "pissa", folder, "--rank", "2")):
            done = self.run_gyro(*command, "--out", self.at("out"), "--force")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f'gyro: warning: {folder}: "module." (DataParallel) in the names of its tensors is left out', done.stderr)
            self.assertEqual(set(checkpoints.read(self.at("out"))), set(self.post))
        self.assertEqual(self.run_gyro("lora", BASE, folder, "--rank", "2", "--out", self.at("lora")).returncode, 0)
        names = checkpoints.read_file(self.at("lora", "adapter_model.safetensors"))
        self.assertIn("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", names)

    def sharded(self, folder, tensors):
        names, index = list(tensors), {}
        for i, part in enumerate((names[::2], names[1::2]), 1):
            file = f"model-0000{i}-of-00002.safetensors"
            checkpoints.write_file(os.path.join(folder, file), {k: tensors[k] for k in part})
            index.update(dict.fromkeys(part, file))
        dumped({"metadata": {}, "weight_map": index}, folder, "model.safetensors.index.json")
        return index

    def test_two_forms_in_one_folder(self):
        stale = self.model("stale")
        self.sharded(stale, self.base)
        not_read = "model.safetensors is read; model.safetensors.index.json with 2 shards beside it is not"
        self.assert_plain(stale, not_read)
        packed = {k: ("U8", [len(t[2]) // 4, 1], t[2][:len(t[2]) // 4]) if k.endswith("_proj.weight") else t for k, t in self.post.items()}
        quantised = self.model("4bit", tensors=packed)
        self.sharded(quantised, self.post)
        said = self.refusal("diff", BASE, quantised)
        self.assertIn("holds quantised integers (U8)", said)
        self.assertIn(f"({not_read})", said)
        os.remove(os.path.join(quantised, "model.safetensors"))
        self.assert_plain(quantised)

    def test_index_that_points_elsewhere(self):
        folder = self.model("elsewhere")
        os.remove(os.path.join(folder, "model.safetensors"))
        index = self.sharded(folder, self.post)
        name = "model.layers.0.self_attn.q_proj.weight"
        other = {"model-00001-of-00002.safetensors": "model-00002-of-00002.safetensors"}.get(index[name], "model-00001-of-00002.safetensors")
        dumped({"metadata": {}, "weight_map": {**index, name: other}}, folder, "model.safetensors.index.json")
        self.assert_plain(folder, f'tensor "{name}" is in {index[name]}, not in {other} as model.safetensors.index.json says, and taken '
                                  "from there")

    def test_adapter_beside_merged_weights(self):
        folder = self.model("merged")
        dumped({"peft_type": "LORA", "base_model_name_or_path": BASE}, folder, "adapter_config.json")
        self.assert_plain(folder, "has adapter_config.json beside model.safetensors: the adapter is not read, the weights are taken as they are")

    def adapter(self, name, base, **config):
        rng = np.random.default_rng(0)
        factors = {k.removesuffix(".weight"): (0.05 * rng.standard_normal((4, t[1][1])), 0.05 * rng.standard_normal((t[1][0], 4)))
                   for k, t in self.base.items() if k.endswith("q_proj.weight")}
        factors = {module: tuple(x.astype(np.float32) for x in pair) for module, pair in factors.items()}
        checkpoints.write_adapter(self.at(name), base, factors, r=4, lora_alpha=8, target_modules=["q_proj"], **config)
        return self.at(name), factors

    def merged(self, name, factors, scaling):
        """The adapter's model as a checkpoint in F64, made by numpy."""
        tensors = dict(self.base)
        for module, (a, b) in factors.items():
            w = checkpoints.values(self.base[module + ".weight"]) + scaling * b.astype(np.float64) @ a.astype(np.float64)
            tensors[module + ".weight"] = ("F64", w.shape, w.tobytes())
        return self.model(name, BASE, tensors)

    def assert_close(self, found, expected, tolerance=1e-6):
        """Numbers of two documents; nothing else may differ."""
        self.assertIs(type(found), type(expected))
        if isinstance(found, dict):
            self.assertEqual(found.keys(), expected.keys())
            for key in found:
                self.assert_close(found[key], expected[key], tolerance)
        elif isinstance(found, list):
            self.assertEqual(len(found), len(expected))
            for x, y in zip(found, expected):
                self.assert_close(x, y, tolerance)
        elif isinstance(found, float):
            self.assertLessEqual(abs(found - expected), tolerance * (1 + abs(expected)))
        else:
            self.assertEqual(found, expected)

    def test_adapter_is_the_model_it_makes(self):
        adapter, factors = self.adapter("adapter", BASE)
        rows, warnings, result = self.figures(BASE, adapter)
        self.assertEqual(warnings, [])
        self.assertEqual(result["comparisons"][0]["post"]["id"], f"{adapter} (LoRA of base)")
        expected = self.figures(BASE, self.merged("merged", factors, 2))[0]
        pick = ("layer", "type", "alpha_mean", "relative_change", "nf", "scale", "unchanged")
        self.assert_close([{k: row.get(k) for k in pick} for row in rows], [{k: row.get(k) for k in pick} for row in expected])
        self.assertTrue(all(row["alpha_mean"] == 1 for row in rows if row["type"] != "W_Q"))
        self.assertTrue(all(row["alpha_mean"] != 1 for row in rows if row["type"] == "W_Q"))
        other_way = self.figures(adapter, POST)[0]
        self.assert_close([row["alpha_mean"] for row in other_way], [row["alpha_mean"] for row in self.figures(self.at("merged"), POST)[0]])

    def test_adapters_in_other_commands(self):
        adapter, factors = self.adapter("adapter", BASE)
        merged = self.merged("merged", factors, 2)
        for command in (("build", "interpolate", BASE, "{}", "--at", "1", "--dtype", "f32"), ("init", "rescale", "{}", "--types", "W_O", "--by", "1"),
                        ("init", "pissa", "{}", "--rank", "2", "--dtype", "f32")):
            out = []
            for model in (adapter, merged):
                out.append(self.at(f"out-{len(out)}"))
                done = self.run_gyro(*(word.format(model) for word in command), "--out", out[-1], "--force")
                self.assertEqual(done.returncode, 0, done.stderr)
            found, expected = (checkpoints.read(folder) for folder in out)
            self.assertEqual(found.keys(), expected.keys())
            for name, tensor in expected.items():
                np.testing.assert_allclose(checkpoints.values(found[name]), checkpoints.values(tensor), rtol=0, atol=1e-6, err_msg=name)
            self.assertFalse(os.path.exists(os.path.join(out[0], "adapter_config.json")))
        self.assertEqual(self.run_gyro("lora", BASE, adapter, "--rank", "4", "--out", self.at("again")).returncode, 0)
        again = checkpoints.read_file(self.at("again", "adapter_model.safetensors"))
        for module, (a, b) in factors.items():
            wanted = 2 * b.astype(np.float64) @ a.astype(np.float64)
            left, right = (checkpoints.values(again[f"base_model.model.{module}.lora_{x}.weight"]) for x in "BA")
            np.testing.assert_allclose(left @ right, wanted, rtol=0, atol=1e-6)

    def test_nothing_is_written_over_an_adapters_base(self):
        base = self.model("its-base", BASE)
        adapter, _ = self.adapter("adapter", base)
        self.assertIn("is one of the inputs", self.refusal("build", "interpolate", BASE, adapter, "--out", base, "--force"))

    def test_adapter_without_its_base(self):
        adapter, _ = self.adapter("adapter", "acme/lost")
        rows, warnings, _ = self.figures(BASE, adapter)
        self.assertEqual(warnings, [f"gyro: warning: {adapter}: is a LoRA adapter of acme/lost, which is not here: read on {BASE}"])
        self.assertEqual(rows, self.figures(BASE, self.adapter("known", BASE)[0])[0])
        self.assertIn("hf download acme/lost", self.refusal("diff", adapter, POST))

    def test_what_is_odd_about_an_adapters_base(self):
        base = self.model("its-base", BASE)
        self.sharded(base, self.base)
        adapter, _ = self.adapter("adapter", base)
        said = [f"gyro: warning: {base}: model.safetensors is read; model.safetensors.index.json with 2 shards beside it is not"]
        for first in (base, BASE):
            self.assertEqual(self.figures(first, adapter)[1], said)
        dumped({**checkpoints.read_json(base, "config.json"), "num_hidden_layers": 9}, base, "config.json")
        self.assertIn(f"({said[0].removeprefix('gyro: warning: ')})", self.refusal("diff", BASE, adapter))

    def test_adapter_with_a_head_of_its_own(self):
        adapter, _ = self.adapter("adapter", BASE)
        self.assertTrue(checkpoints.read_json(BASE, "config.json")["tie_word_embeddings"])
        file = self.at("adapter", "adapter_model.safetensors")
        tensors, embedding = checkpoints.read_file(file), self.base["model.embed_tokens.weight"]
        head = checkpoints.values(embedding)
        for added, warnings in ((0, []), (1, [f'gyro: warning: {adapter}: has a head of its own ("lm_head.weight") where the base\'s is the embedding: '
                                              "they are tied no more"])):
            checkpoints.write_file(file, {**tensors, "base_model.model.lm_head.weight": checkpoints.f32(head + added)})
            self.assertEqual(self.figures(BASE, adapter)[1], warnings)
            done = self.run_gyro("build", "interpolate", BASE, adapter, "--at", "1", "--dtype", "f32", "--out", self.at("out"), "--force")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(checkpoints.read_json(self.at("out"), "config.json")["tie_word_embeddings"], not warnings)
            self.assertEqual("lm_head.weight" in checkpoints.read(self.at("out")), bool(warnings))

    def test_parts_of_adapters_and_other_kinds(self):
        adapter, _ = self.adapter("adapter", BASE, init_lora_weights="pissa")
        self.assertIn("init_lora_weights is pissa, which changes the base", self.refusal("diff", BASE, adapter))
        os.remove(os.path.join(adapter, "adapter_model.safetensors"))
        dumped({"peft_type": "LORA", "base_model_name_or_path": BASE}, adapter, "adapter_config.json")
        self.assertIn(f"has the adapter_config.json of an adapter of {BASE} and no adapter_model.safetensors", self.refusal("diff", BASE, adapter))

    def cache(self):
        """The instruct model in a Hub cache, its blobs behind two links."""
        root = self.at("hub", "models--acme--tiny")
        for sub in ("blobs", "refs", "snapshots/0123abcd"):
            os.makedirs(os.path.join(root, sub))
        os.mkdir(self.at("store"))
        with open(os.path.join(root, "refs", "main"), "w", encoding="utf-8") as f:
            f.write("0123abcd")
        for i, file in enumerate(sorted(os.listdir(POST))):
            shutil.copy(os.path.join(POST, file), self.at("store", f"x{i}"))
            os.symlink(f"../../../store/x{i}", os.path.join(root, "blobs", f"blob{i}"))
            os.symlink(f"../../blobs/blob{i}", os.path.join(root, "snapshots", "0123abcd", file))
        return root

    def test_hub_cache(self):
        root, env = self.cache(), {"HF_HUB_CACHE": self.at("hub")}
        for given in ("acme/tiny", "acme/tiny@main", "acme/tiny@0123abcd", root, os.path.join(root, "snapshots", "0123abcd")):
            done = self.run_gyro("diff", BASE, given, "--format", "json", cwd=self.folder, env=env)
            self.assertEqual(done.returncode, 0, done.stderr)
            comparison = json.loads(done.stdout)["comparisons"][0]
            self.assertEqual((comparison["post"]["id"], comparison["post"]["revision"]), ("acme/tiny", "0123abcd"))
            self.assertEqual([row["alpha_mean"] for row in comparison["matrices"]], [row["alpha_mean"] for row in self.plain])
        said = self.refusal("diff", "Qwen/Qwen2.5-0.5B", POST, cwd=self.folder, env=env)
        self.assertIn("hf download Qwen/Qwen2.5-0.5B fetches it", said)
        self.assertIn(self.at("hub"), said)

    def test_folder_above(self):
        for step in (1000, 500):
            self.model(f"run/checkpoint-{step}")
        self.assertIn("has no model itself; inside are checkpoint-500, checkpoint-1000: name one of them", self.refusal("diff", BASE, self.at("run")))

    def test_pickled_weights(self):
        os.mkdir(self.at("bin"))
        for name in ("pytorch_model.bin", "training_args.bin"):
            with open(self.at("bin", name), "wb") as f:
                f.write(b"\x80\x02")
        self.assertIn(f"M.from_pretrained('{self.at('bin')}', torch_dtype='auto').save_pretrained('{self.at('bin')}-safetensors')\"",
                      self.refusal("diff", BASE, self.at("bin")))


if __name__ == "__main__":
    unittest.main()
