#!/usr/bin/env python3
"""More matrices than one page can hold: the comparison is whole all the same."""
import json
import os
import subprocess
import tempfile
import unittest

import numpy as np
from safetensors.numpy import save_file

GYRO = os.environ["GYRO"]
LAYERS, POSTS = 400, 8
CONFIG = dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_size=2, intermediate_size=2,
              num_attention_heads=1, num_key_value_heads=1, num_hidden_layers=LAYERS)


def write_model(folder, seed):
    random = np.random.default_rng(seed)
    names = [f"model.layers.{layer}.{module}_proj.weight" for layer in range(LAYERS)
             for module in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down")]
    os.mkdir(folder)
    save_file({name: random.standard_normal((2, 2)) for name in names}, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(CONFIG, f)


class ManyMatrices(unittest.TestCase):
    def test_no_page_is_no_failure(self):
        with tempfile.TemporaryDirectory() as folder:
            base, out = os.path.join(folder, "base"), os.path.join(folder, "out")
            write_model(base, 0)
            posts = [os.path.join(folder, f"post{i}") for i in range(POSTS)]
            for i, post in enumerate(posts):
                write_model(post, i + 1)
            os.mkdir(out)
            page = os.path.join(out, "report.html")
            with open(page, "w", encoding="utf-8") as f:
                f.write("of another result")
            run = subprocess.run([GYRO, "diff", base, *posts, "--null-draws", "0", "--control", "none", "--out", out,
                                  "--force"], text=True, capture_output=True, check=False)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertEqual([line for line in run.stderr.splitlines() if "warning" in line],
                             [f"gyro: warning: {out}: report.html is not written: the result is too large for one page of 12 MB"])
            self.assertIn("α mean ± std", run.stdout)
            self.assertTrue(run.stdout.endswith(f" s; wrote {out}/result.json and {out}/arrays.safetensors\n"), run.stdout[-200:])
            self.assertFalse(os.path.exists(page), "the page of another result was left")
            with open(os.path.join(out, "result.json"), encoding="utf-8") as f:
                self.assertEqual(sum(len(c["matrices"]) for c in json.load(f)["comparisons"]), 7 * LAYERS * POSTS)
            report = subprocess.run([GYRO, "report", out], text=True, capture_output=True, check=False)
            self.assertEqual((report.returncode, report.stderr),
                             (1, "gyro: error: report: the results are too many for one page of 12 MB; join fewer\n"))


if __name__ == "__main__":
    unittest.main()
