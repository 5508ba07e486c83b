#!/usr/bin/env python3
"""The values of every construction against numpy's, 1e-6 relative in F32, for an architecture with fused tensors and one
without."""
import os
import subprocess
import tempfile
import unittest

import numpy as np

import checkpoints

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
RELATIVE = 1e-6
SCALES = {"W_Q": 0.9, "W_O": 1.4}


class Values:
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.base, cls.post = f"{MODELS}/{cls.family}/base", f"{MODELS}/{cls.family}/instruct"
        cls.config = checkpoints.read_json(cls.post, "config.json")
        cls.tensors = checkpoints.read(cls.base), checkpoints.read(cls.post)

    def build(self, operation, *options, name="built"):
        out = os.path.join(self.folder.name, name)
        subprocess.run([GYRO, "build", operation, self.base, self.post, "--out", out, "--dtype", "f32", "--quiet", "--force",
                        *options], check=True)
        return out

    def compare(self, out, make, on="all", layers=None):
        built = checkpoints.read(out)
        expected = checkpoints.edit(*self.tensors, self.config, make, on, layers)
        self.assertEqual(set(built), set(expected))
        for name, tensor in built.items():
            self.assertEqual(tensor[0], "F32")
            error = np.linalg.norm(checkpoints.values(tensor) - expected[name])
            self.assertLessEqual(error, RELATIVE * np.linalg.norm(expected[name]), name)

    def check(self, operation, *options, on="all", layers=None, of=None, **what):
        out = self.build(operation, *options)
        self.compare(out, lambda kind, wb, wp: checkpoints.construct(of or operation, wb, wp, **what), on, layers)

    def test_replace(self):
        self.check("replace", "--scale", "1")
        self.check("replace", "--scale", "0.9", scale=0.9)

    def test_replace_with_scales_by_type(self):
        out = self.build("replace", "--scale", ",".join(f"{k}={v}" for k, v in SCALES.items()))
        self.compare(out, lambda kind, wb, wp: checkpoints.construct("replace", wb, wp, scale=SCALES.get(kind, 1.0)))

    def test_replace_with_table_4(self):
        """α′: the mean of α over the top 90 % and over the layers, rounded to one decimal."""
        alphas = {}
        for _, kind, name, begin, end in checkpoints.parts(self.config):
            b, p = (checkpoints.svd(checkpoints.values(t[name])[begin:end].T)[1] for t in self.tensors)
            k = len(b) * 9 // 10
            alphas.setdefault(kind, []).extend(p[:k] / b[:k])
        scales = {kind: round(float(np.mean(a)), 1) for kind, a in alphas.items()}
        self.compare(self.build("replace"), lambda kind, wb, wp: checkpoints.construct("replace", wb, wp, scale=scales[kind]))

    def test_ablate(self):
        for side in ("out", "in"):
            self.check("ablate", "--side", side, side=side)
            self.check("ablate", "--side", side, "--align-signs", side=side, align=True)

    def test_restore(self):
        for side in ("out", "in"):
            self.check("restore", "--side", side, side=side)

    def test_groups_and_layers(self):
        self.check("restore", "--on", "attention", on="attention")
        self.check("restore", "--on", "mlp", "--layers", "0,-1", on="mlp", layers=(0, 2))

    def test_restore_from_a_sibling(self):
        """Eq. 12: the sibling's factors in the base's place."""
        third = self.build("noise", "--seed", "3", name="third")
        out = self.build("restore", "--sibling", third)
        sibling = checkpoints.read(third)
        expected = checkpoints.edit(sibling, self.tensors[1], self.config, lambda _, wb, wp: checkpoints.construct("restore", wb, wp))
        for name, tensor in checkpoints.read(out).items():
            error = np.linalg.norm(checkpoints.values(tensor) - expected[name])
            self.assertLessEqual(error, RELATIVE * np.linalg.norm(expected[name]), name)

    def test_transplant(self):
        for what in ("sigma", "rotation"):
            self.check("transplant", "--what", what, of=f"transplant {what}")

    def test_interpolate(self):
        for t in (0, 0.3, 1):
            self.check("interpolate", "--at", str(t), t=t)

    def test_noise_has_the_norm_of_the_change(self):
        first, again, other = (checkpoints.read(self.build("noise", "--seed", seed)) for seed in ("1", "1", "2"))
        self.assertEqual(first, again)
        for _, _, name, begin, end in checkpoints.parts(self.config):
            rows = slice(begin, end)
            wb, wp = (checkpoints.values(t[name])[rows] for t in self.tensors)
            noise = checkpoints.values(first[name])[rows] - wb
            change = np.linalg.norm(wp - wb)
            self.assertAlmostEqual(np.linalg.norm(noise) / change, 1, delta=1e-5)
            self.assertLess(abs(np.vdot(noise, wp - wb)) / change**2, 5 / np.sqrt(noise.size))
            self.assertGreater(np.linalg.norm(checkpoints.values(other[name])[rows] - wb - noise), change)

    def test_all_of_the_paper(self):
        """`paper` gives the bytes that the single constructions give."""
        out = self.build("paper", name="paper")
        for operation in ("restore", "ablate"):
            for on in ("attention", "mlp"):
                for side in ("out", "in"):
                    one = self.build(operation, "--on", on, "--side", side)
                    self.assertEqual(checkpoints.read(f"{out}/{operation}-{on}-{side}"), checkpoints.read(one))
        self.assertEqual(checkpoints.read(f"{out}/replace"), checkpoints.read(self.build("replace", "--scale", "1")))
        self.assertEqual(checkpoints.read(f"{out}/replace-scaled"), checkpoints.read(self.build("replace")))


class Plain(Values, unittest.TestCase):
    family = "pico-qwen2"


class Fused(Values, unittest.TestCase):
    family = "pico-phi3"


if __name__ == "__main__":
    unittest.main()
