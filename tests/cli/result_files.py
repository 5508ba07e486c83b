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
MATRIX_KEYS = set("""layer type tensor slice fused d_in d_out n k rank method flags alpha_mean alpha_std alpha_error nf
nf_error nf_robust nf_robust_error nf_chance nf_robust_chance scale relative_change cosine polar_inner q1_orthogonality
q2_orthogonality energy unchanged stable_rank null""".split())
TYPE_KEYS = set("""type alpha_mean alpha_std alpha_prime nf_mean nf_max nf_robust_mean counter_over_co scale_mean
relative_change_mean unchanged null alpha_mean_over_null alpha_std_over_null nf_mean_over_null
nf_robust_mean_over_null""".split())
NULL_KEYS = set("valid alpha_mean alpha_std alpha_method nf nf_robust nf_robust_sd sampled".split())
MODEL_KEYS = set("id path revision architecture model_type layers parameters dtypes sha256".split())
FINDING_KEYS = set("id verdict value null threshold z types text".split())


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
        self.assertEqual(self.result["schema"], "gyro.diff/1")
        self.assertEqual(set(self.result["gyro"]), {"version", "build", "device"})
        self.assertLessEqual(MODEL_KEYS, set(self.result["base"]))
        self.assertEqual([c["role"] for c in self.result["comparisons"]], ["post", "control"])
        for comparison in self.result["comparisons"]:
            self.assertLessEqual(MODEL_KEYS, set(comparison["post"]))
            for matrix in comparison["matrices"]:
                self.assertLessEqual(MATRIX_KEYS, set(matrix))
                self.assertLessEqual(NULL_KEYS, set(matrix["null"]))
                self.assertEqual(matrix["null"]["sampled"]["nf_draws"], 2)
            for kind in comparison["types"]:
                self.assertLessEqual(TYPE_KEYS, set(kind))
            for finding in comparison["findings"]:
                self.assertEqual(FINDING_KEYS, set(finding))

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
