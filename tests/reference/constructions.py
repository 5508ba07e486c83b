#!/usr/bin/env python3
"""Every construction, loaded by transformers, gives the logits of a model whose matrices numpy rebuilt."""
import tempfile
import unittest

from models import FAMILIES, MODELS, Comparison, checkpoints, gyro, load, logits, prompt, rebuilt  # first: sets the paths

import torch
from transformers import AutoTokenizer

# Name: the options of `gyro build`, and checkpoints.construct's.
BUILDS = {
    "replace": (["replace", "--scale", "0.9"], dict(operation="replace", scale=0.9)),
    "replace 14": (["replace", "--scale", "1"], dict(operation="replace")),
    "ablate 10": (["ablate"], dict(operation="ablate")),
    "ablate 15": (["ablate", "--side", "in"], dict(operation="ablate", side="in")),
    "ablate 10, aligned": (["ablate", "--align-signs"], dict(operation="ablate", align=True)),
    "restore 11": (["restore"], dict(operation="restore")),
    "restore 16": (["restore", "--side", "in"], dict(operation="restore", side="in")),
    "transplant sigma": (["transplant"], dict(operation="transplant sigma")),
    "transplant rotation": (["transplant", "--what", "rotation"], dict(operation="transplant rotation")),
    "interpolate": (["interpolate", "--at", "0.4"], dict(operation="interpolate", t=0.4)),
}


class Constructions(Comparison):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.out = holder.name + "/out"

    def each(self):
        for family in FAMILIES:
            base, post = f"{MODELS}/{family}/base", f"{MODELS}/{family}/instruct"
            yield base, post, prompt(post)

    def expected(self, base, post, tokens, what, on="all"):
        tensors = checkpoints.edit(checkpoints.read(base), checkpoints.read(post), checkpoints.read_json(post, "config.json"),
                                   lambda kind, wb, wp: checkpoints.construct(wb=wb, wp=wp, **what), on)
        return logits(rebuilt(post, tensors), tokens)

    def test_logits(self):
        for base, post, tokens in self.each():
            original = logits(load(post), tokens)
            for name, (words, what) in BUILDS.items():
                for on in ("attention", "mlp", "all"):
                    with self.subTest(model=post, build=name, on=on):
                        gyro("build", words[0], base, post, *words[1:], "--on", on, "--dtype", "f32", "--out", self.out, "--force")
                        found = logits(load(self.out), tokens)
                        self.assert_close(found, self.expected(base, post, tokens, what, on))
                        self.assertGreater(float((found - original).abs().max()), 1e-3, "nothing was built")

    def test_noise_and_ends(self):
        for base, post, tokens in self.each():
            gyro("build", "noise", base, post, "--dtype", "f32", "--out", self.out, "--force")
            noisy = checkpoints.read(self.out)
            self.assert_close(logits(load(self.out), tokens),
                              logits(rebuilt(post, {n: checkpoints.values(t) for n, t in noisy.items()}), tokens))
            gyro("build", "interpolate", base, post, "--at", "1", "--dtype", "f32", "--out", self.out, "--force")
            self.assert_close(logits(load(self.out), tokens), logits(load(post), tokens))
            gyro("build", "restore", post, post, "--dtype", "f32", "--out", self.out, "--force")
            self.assert_close(logits(load(self.out), tokens), logits(load(post), tokens))

    def test_kept_dtype_is_what_transformers_takes(self):
        """BF16 as stored, shards, and the tokenizer of the post."""
        for base, post, tokens in self.each():
            gyro("build", "restore", base, post, "--shard-size", "100KB", "--out", self.out, "--force")
            self.assertEqual(load(self.out, "auto").dtype, torch.bfloat16)
            self.assertTrue(torch.equal(prompt(self.out), tokens))
            tokenizer = AutoTokenizer.from_pretrained(self.out)
            chat = [{"role": "user", "content": "2 + 3"}]
            self.assertEqual(tokenizer.apply_chat_template(chat, tokenize=False),
                             AutoTokenizer.from_pretrained(post).apply_chat_template(chat, tokenize=False))
            values = {name: checkpoints.values(tensor) for name, tensor in checkpoints.read(self.out).items()}
            self.assert_close(logits(load(self.out), tokens), logits(rebuilt(post, values), tokens), 0)
            for option, dtype in (("f32", torch.float32), ("f16", torch.float16)):
                gyro("build", "restore", base, post, "--dtype", option, "--out", self.out, "--force")
                self.assertEqual(load(self.out, "auto").dtype, dtype)

    def test_generates(self):
        for base, post, tokens in self.each():
            gyro("build", "restore", base, post, "--on", "attention", "--dtype", "f32", "--out", self.out, "--force")
            grown = load(self.out).generate(tokens, max_new_tokens=5, do_sample=False)
            self.assertGreater(grown.shape[1], tokens.shape[1])


if __name__ == "__main__":
    unittest.main()
