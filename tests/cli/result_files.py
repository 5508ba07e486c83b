#!/usr/bin/env python3
"""result.json and arrays.safetensors, read with Python's json and the safetensors package."""
import json
import math
import os
import subprocess
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file

MODELS = os.environ["GYRO_MODELS"]
SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "result.schema.json")
IS = {"object": lambda v: isinstance(v, dict), "array": lambda v: isinstance(v, list), "string": lambda v: isinstance(v, str),
      "null": lambda v: v is None, "boolean": lambda v: isinstance(v, bool),
      "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
      "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool)}


def violations(value, schema, root, where="result"):
    """What of `value` the schema does not allow: the part of JSON Schema that docs/result.schema.json uses."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    if "const" in schema and value != schema["const"]:
        yield f"{where} is {value!r}"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(IS[kind](value) for kind in kinds):
        yield f"{where} is {value!r}, not {kinds}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {value!r}, none of {schema['enum']}"
    if isinstance(value, dict) and "properties" in schema:
        keys = [key for key in schema["properties"] if key in schema["required"] or key in value]
        if list(value) != keys:
            yield f"{where} has the keys {list(value)}, not {keys}"
        for key in value.keys() & schema["properties"].keys():
            yield from violations(value[key], schema["properties"][key], root, f"{where}.{key}")
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            yield from violations(item, schema["items"], root, f"{where}[{i}]")


class ResultFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.out = os.path.join(cls.folder.name, "out")
        subprocess.run([os.environ["GYRO"], "diff", f"{MODELS}/pico-phi3/base", f"{MODELS}/pico-phi3/instruct",
                        "--control", "noise", "--null-nf-draws", "2", "--out", cls.out, "--quiet"], check=True)
        with open(os.path.join(cls.out, "result.json"), encoding="utf-8") as f:
            cls.result = json.load(f, parse_constant=lambda name: cls.fail(cls, name))
        cls.arrays = load_file(os.path.join(cls.out, "arrays.safetensors"))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_document(self):
        with open(SCHEMA, encoding="utf-8") as f:
            schema = json.load(f)
        self.assertEqual(list(violations(self.result, schema, schema)), [])
        self.assertEqual([c["role"] for c in self.result["comparisons"]], ["post", "control"])
        for comparison in self.result["comparisons"]:
            for matrix in comparison["matrices"]:
                self.assertEqual(matrix["null"]["sampled"]["nf_draws"], 2)

    def test_a_mixture_of_experts(self):
        with open(SCHEMA, encoding="utf-8") as f:
            schema = json.load(f)
        models = [f"{MODELS}/pico-qwen3moe/{name}" for name in ("base", "instruct")]
        done = subprocess.run([os.environ["GYRO"], "diff", *models, "--json", "--quiet"], check=True, capture_output=True)
        document = json.loads(done.stdout)
        self.assertEqual(list(violations(document, schema, schema)), [])
        self.assertEqual({type(m.get("expert")) for m in document["comparisons"][0]["matrices"]}, {int, type(None)})

    def test_the_schema_tells_a_wrong_document(self):
        with open(SCHEMA, encoding="utf-8") as f:
            schema = json.load(f)
        for spoil in (lambda d: d.pop("fingerprint"), lambda d: d.update(more=1), lambda d: d["base"].update(layers="3"),
                      lambda d: d["comparisons"][0]["matrices"][1].update(method="qr"),
                      lambda d: d["comparisons"][1]["findings"][0].update(verdict="maybe"),
                      lambda d: d["comparisons"][0]["types"][0]["null"].update(nf_mean="nan")):
            document = json.loads(json.dumps(self.result))
            spoil(document)
            self.assertEqual(len(list(violations(document, schema, schema))), 1)

    def test_arrays_have_the_shapes_of_the_contract(self):
        for matrix in self.result["comparisons"][0]["matrices"]:
            where = f"{matrix['layer']}.{matrix['type']}"
            n = matrix["n"]
            self.assertEqual(self.arrays[f"base.{where}.sigma"].shape, (n,))
            for number in "01":
                for name in ("sigma", "turn_u", "turn_v"):
                    array = self.arrays[f"{number}.{where}.{name}"]
                    self.assertEqual((array.dtype, array.shape), (np.float64, (n,)))
                for name in ("sim_u", "sim_v", "sim_diff", "i_orth", "delta_q1", "delta_q2"):
                    key = f"{number}.{where}.{name}"
                    self.assertEqual(key in self.arrays, matrix["layer"] in (0, 2), key)
                    if key in self.arrays:
                        side = min(25, n)
                        self.assertEqual((self.arrays[key].dtype, self.arrays[key].shape), (np.float32, (side, side)))

    def test_alpha_follows_from_sigma(self):
        for number, comparison in enumerate(self.result["comparisons"]):
            pooled = {}
            for matrix in comparison["matrices"]:
                where = f"{matrix['layer']}.{matrix['type']}"
                k = max(1, math.floor(0.9 * matrix["n"]))
                self.assertEqual(k, matrix["k"])
                alpha = (self.arrays[f"{number}.{where}.sigma"] / self.arrays[f"base.{where}.sigma"])[:k]
                np.testing.assert_allclose([alpha.mean(), alpha.std()], [matrix["alpha_mean"], matrix["alpha_std"]], rtol=1e-11)
                pooled.setdefault(matrix["type"], []).append(alpha)
            for kind in comparison["types"]:
                alpha = np.concatenate(pooled[kind["type"]])
                np.testing.assert_allclose([alpha.mean(), alpha.std()], [kind["alpha_mean"], kind["alpha_std"]], rtol=1e-11)

    def test_sigma_is_numpys(self):
        from safetensors.numpy import load_file as load
        # BF16 is not a numpy type: take the bits from the file's bytes.
        path = f"{MODELS}/pico-phi3/base/model.safetensors"
        with open(path, "rb") as f:
            length = int.from_bytes(f.read(8), "little")
            header = json.loads(f.read(length))
            data = f.read()
        info = header["model.layers.1.mlp.down_proj.weight"]
        begin, end = info["data_offsets"]
        bits = np.frombuffer(data[begin:end], "<u2").astype(np.uint32) << 16
        weight = bits.view(np.float32).reshape(info["shape"]).astype(np.float64)
        np.testing.assert_allclose(self.arrays["base.1.W_down.sigma"], np.linalg.svd(weight, compute_uv=False), rtol=1e-11)
        self.assertIsNotNone(load)

    def test_sim_diff_is_the_difference(self):
        a = self.arrays
        np.testing.assert_allclose(a["0.0.W_O.sim_diff"], np.abs(a["0.0.W_O.sim_u"] - a["0.0.W_O.sim_v"]), atol=1e-6)

    def test_noise_control_has_the_posts_residual(self):
        post, noise = (c["matrices"] for c in self.result["comparisons"])
        for a, b in zip(post, noise):
            self.assertAlmostEqual(a["scale"], b["scale"], delta=0.05 * a["relative_change"])
            self.assertAlmostEqual(a["energy"]["total"] / b["energy"]["total"], 1, delta=0.01)


if __name__ == "__main__":
    unittest.main()
