#!/usr/bin/env python3
"""Which tokens' rows changed, and what two posts' changes have in common: models made for it, against numpy."""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import checkpoints
import numpy as np

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
BASE = f"{MODELS}/pico-qwen2/base"
EMBEDDINGS = "model.embed_tokens.weight"
TOKENS = {65: "b", 300: " f", 445: "<|endoftext|>"}


def diff(*models):
    run = subprocess.run([GYRO, "diff", *models, "--json", "--quiet"], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def write_model(folder, tensors):
    shutil.copytree(BASE, folder)
    checkpoints.write_file(f"{folder}/model.safetensors", tensors)
    return folder


class ChangedTokens(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.stored = checkpoints.read(BASE)
        cls.base = {name: checkpoints.values(tensor) for name, tensor in cls.stored.items()}

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_tokens(self):
        rows = self.base[EMBEDDINGS].copy()
        for factor, token in zip((1.5, 2, 3), TOKENS):
            rows[token] *= factor
        post = write_model(f"{self.folder.name}/tokens", {**self.stored, EMBEDDINGS: checkpoints.f32(rows)})
        (tokens,) = diff(BASE, post)["comparisons"][0]["outside"]["tokens"]
        self.assertTrue(tokens["tied"])
        self.assertEqual((tokens["rows"], tokens["rows_unchanged"], tokens["rows_beyond"]), (len(rows), len(rows) - 3, 3))
        self.assertEqual({row["id"]: row["token"] for row in tokens["most"]}, TOKENS)
        self.assertEqual([row["id"] for row in tokens["most"]], [445, 300, 65])
        np.testing.assert_allclose([row["relative_change"] for row in tokens["most"]], [2, 1, 0.5], rtol=1e-12)
        with open(f"{post}/tokenizer.json", "w", encoding="utf-8") as f:
            f.write("{")
        (back,) = diff(post, BASE)["comparisons"][0]["outside"]["tokens"]  # the base's tokenizer cannot be read
        self.assertEqual([row["token"] for row in back["most"]], [None] * 3)

    def noisy(self, seed, share):
        generator, out = np.random.default_rng(seed), dict(self.stored)
        for name, values in self.base.items():
            if "_proj.weight" not in name:
                continue
            changed = generator.random(values.shape) < share
            out[name] = checkpoints.f32(values + changed * generator.normal(0, 1e-2, values.shape))
        return write_model(f"{self.folder.name}/noisy{seed}", out)

    def test_pairs(self):
        a, b = self.noisy(1, 0.5), self.noisy(2, 0.3)
        posts = diff(BASE, a, b)["posts"]
        (pair,) = posts["pairs"]
        delta = [{name: checkpoints.values(t) - self.base[name] for name, t in checkpoints.read(model).items()} for model in (a, b)]
        names = [name for name in self.base if "_proj.weight" in name]
        x, y = (np.concatenate([d[name].ravel() for name in names]) for d in delta)
        whole, both = pair["overlap"], (x != 0) & (y != 0)
        self.assertEqual(pair["pooled"], len(names))
        self.assertAlmostEqual(whole["cosine"]["value"], x @ y / np.linalg.norm(x) / np.linalg.norm(y), 12)
        self.assertEqual(whole["changed_both"], both.sum())
        self.assertAlmostEqual(whole["sign_agreement"]["value"], (x * y > 0)[both].mean(), 12)
        self.assertAlmostEqual(whole["jaccard"], both.sum() / ((x != 0) | (y != 0)).sum(), 12)
        self.assertAlmostEqual(whole["jaccard_chance"], 0.15 / (0.8 - 0.15), 2)
        for figure in ("cosine", "sign_agreement"):
            self.assertLess(abs(whole[figure]["z"]), 4)
        first = next(m for m in pair["matrices"] if (m["layer"], m["type"]) == (0, "W_Q"))["overlap"]
        x, y = (d["model.layers.0.self_attn.q_proj.weight"].ravel() for d in delta)
        self.assertAlmostEqual(first["cosine"]["value"], x @ y / np.linalg.norm(x) / np.linalg.norm(y), 12)
        # By chance among the entries whose places are alike: those of one exponent.
        exponents = np.frexp(self.base["model.layers.0.self_attn.q_proj.weight"].ravel())[1]
        bins = [exponents == e for e in np.unique(exponents)]
        variance = sum((x[b] @ x[b]) * (y[b] @ y[b]) / b.sum() for b in bins)
        self.assertAlmostEqual(first["cosine"]["sd"], np.sqrt(variance) / np.linalg.norm(x) / np.linalg.norm(y), 12)


if __name__ == "__main__":
    unittest.main()
