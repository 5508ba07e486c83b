#!/usr/bin/env python3
"""More matrices than one page can hold: the comparison is whole all the same, and the page says what it lacks."""
import base64
import json
import os
import subprocess
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file, save_file

GYRO = os.environ["GYRO"]
LAYERS, POSTS = 400, 8
CONFIG = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=2, intermediate_size=2,
              num_attention_heads=1, num_key_value_heads=1, num_hidden_layers=LAYERS)

MIXTURE_LAYERS, EXPERTS = 6, 128
MIXTURE = dict(architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", hidden_size=2, moe_intermediate_size=2,
               intermediate_size=2, num_experts=EXPERTS, num_experts_per_tok=8, num_hidden_layers=MIXTURE_LAYERS,
               num_attention_heads=1, num_key_value_heads=1, head_dim=2)


def write_model(folder, seed):
    random = np.random.default_rng(seed)
    names = [f"model.layers.{layer}.{module}_proj.weight" for layer in range(LAYERS)
             for module in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down")]
    os.mkdir(folder)
    save_file({name: random.standard_normal((2, 2)) for name in names}, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(CONFIG, f)


def write_mixture(folder, seed):
    draw, tensors = np.random.default_rng(seed), {}
    for layer in range(MIXTURE_LAYERS):
        modules = ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o"]
        modules += [f"mlp.experts.{e}.{name}" for e in range(EXPERTS) for name in ("gate", "up", "down")]
        for module in modules:
            tensors[f"model.layers.{layer}.{module}_proj.weight"] = draw.standard_normal((2, 2))
    os.mkdir(folder)
    save_file(tensors, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(MIXTURE, f)


def page_data(path):
    with open(path, encoding="utf-8") as f:
        text = f.read()
    begin = text.index(">", text.index('id="gyro-data"')) + 1
    return len(text.encode()), json.loads(text[begin:text.index("</script>", begin)])


class ManyMatrices(unittest.TestCase):
    def setUp(self):
        held = tempfile.TemporaryDirectory()
        self.addCleanup(held.cleanup)
        self.folder = held.name

    def test_a_page_has_the_models_that_it_has_room_for(self):
        base, out = os.path.join(self.folder, "base"), os.path.join(self.folder, "out")
        write_model(base, 0)
        posts = [os.path.join(self.folder, f"post{i}") for i in range(POSTS)]
        for i, post in enumerate(posts):
            write_model(post, i + 1)
        run = subprocess.run([GYRO, "diff", base, *posts, "--null-draws", "0", "--control", "none", "--out", out],
                             text=True, capture_output=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn("warning", run.stderr)
        self.assertTrue(run.stdout.endswith(f"{out}/arrays.safetensors and {out}/report.html\n"), run.stdout[-200:])
        with open(os.path.join(out, "result.json"), encoding="utf-8") as f:
            self.assertEqual(sum(len(c["matrices"]) for c in json.load(f)["comparisons"]), 7 * LAYERS * POSTS)
        size, data = page_data(f"{out}/report.html")
        self.assertLessEqual(size, 12_000_000)
        (result,) = data["results"]
        shown, left = [c["post"]["name"] for c in result["comparisons"]], result["left_out"]
        self.assertEqual(shown + left, [f"post{i}" for i in range(POSTS)])
        self.assertTrue(shown and left)

    def test_a_page_has_quantiles_of_many_experts(self):
        base, out = os.path.join(self.folder, "base"), os.path.join(self.folder, "out")
        write_mixture(base, 0)
        write_mixture(os.path.join(self.folder, "post"), 1)
        run = subprocess.run([GYRO, "diff", base, os.path.join(self.folder, "post"), "--null-draws", "0", "--out", out,
                              "--quiet"], text=True, capture_output=True, check=False)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        with open(os.path.join(out, "result.json"), encoding="utf-8") as f:
            document = json.load(f)
        _, data = page_data(f"{out}/report.html")
        (result,) = data["results"]
        sites = result["sites"]
        self.assertEqual(len(sites["layer"]), MIXTURE_LAYERS * 7)
        self.assertEqual(set(result["family"]), {None, EXPERTS})
        arrays = load_file(f"{out}/arrays.safetensors")
        for number, comparison in enumerate(document["comparisons"]):
            shown = result["comparisons"][number]
            self.assertEqual(shown["counts"]["matrices"], MIXTURE_LAYERS * (4 + 3 * EXPERTS))
            sigma = np.frombuffer(base64.b64decode(shown["sigma"]), "<f4").reshape(len(sites["layer"]), 2)
            for i, (layer, kind, family) in enumerate(zip(sites["layer"], sites["type"], result["family"])):
                rows = [m for m in comparison["matrices"] if (m["layer"], m["type"]) == (layer, kind)]
                self.assertEqual(len(rows), family or 1)
                for key in ("alpha_mean", "nf", "relative_change"):
                    values = np.array([m[key] for m in rows])
                    np.testing.assert_allclose(shown["rows"][key][i], np.median(values), rtol=1e-6)
                    if family:
                        spread = shown["spreads"][key]
                        np.testing.assert_allclose([spread["low"][i], spread["high"][i]], np.quantile(values, [0.1, 0.9]), rtol=1e-6)
                        worst = int(np.argmax(np.abs(values - np.median(values))))
                        self.assertEqual(spread["expert"][i], worst)
                        np.testing.assert_allclose(spread["furthest"][i], values[worst], rtol=1e-6)
                names = [f"{number}.{layer}.{kind}" + (f".{m['expert']}" if family else "") for m in rows]
                np.testing.assert_allclose(sigma[i], np.median([arrays[f"{name}.sigma"] for name in names], axis=0), rtol=1e-6)
                if family:
                    np.testing.assert_allclose(shown["sums"]["rest"][i], sum(m["energy"]["total"] for m in rows), rtol=1e-6)


if __name__ == "__main__":
    unittest.main()
