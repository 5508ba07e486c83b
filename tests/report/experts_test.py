#!/usr/bin/env python3
"""What the page says of experts, of what lies outside the matrices and of what nobody touched, against result.json."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli"))
from browser import Browser
from checkpoints import f32, read, values, write_file
from shared import GYRO, MODELS

KEYS = ("alpha_mean", "nf", "relative_change")
FOLDER = tempfile.TemporaryDirectory()


def compare(name, base, post, *words):
    out = os.path.join(FOLDER.name, name)
    subprocess.run([GYRO, "diff", base, post, "--out", out, "--quiet", *words], check=True)
    with open(os.path.join(out, "result.json"), encoding="utf-8") as f:
        return out, json.load(f)


def cells(browser, table):
    rows = "return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map((tr) => [...tr.children].map((c) => c.textContent))"
    return browser.run(rows, table)


class Experts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        base, post = (f"{MODELS}/pico-qwen3moe/{name}" for name in ("base", "instruct"))
        cls.out, cls.document = compare("moe", base, post)
        cls.browser = Browser()
        cls.browser.open(f"{cls.out}/report.html")
        cls.browser.run("window.gyro.drawAll()")

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def members(self, comparison, kind, layer):
        rows = self.document["comparisons"][comparison]["matrices"]
        return [m for m in rows if (m["type"], m["layer"]) == (kind, layer) and "expert" in m]

    def test_the_figure_has_quantiles_and_the_furthest_of_each_layer(self):
        self.assertEqual(self.browser.complaints(), [])
        rows = self.browser.run("return window.gyro.tidyRows(window.gyro.figures.get('expert-spread'))")
        self.assertEqual(len(rows), 2 * 3 * 2 * len(KEYS))
        for model, role, kind, layer, key, middle, low, high, furthest, expert in rows:
            family = self.members(0 if role == "post" else 1, kind, layer)
            numbers = np.array([m[key] for m in family])
            np.testing.assert_allclose([low, middle, high], np.quantile(numbers, [0.1, 0.5, 0.9]), rtol=1e-6)
            worst = family[int(np.argmax(np.abs(numbers - np.median(numbers))))]
            self.assertEqual(expert, worst["expert"], (model, kind, layer, key))
            np.testing.assert_allclose(furthest, worst[key], rtol=1e-6)
        drawn = self.browser.run(
            "const plot = window.gyro.figures.get('expert-spread').plot;"
            "return plot.data.filter((t) => t.name === 'furthest expert').map((t) => [Array.from(t.x), Array.from(t.y)])"
        )
        self.assertEqual([x for x, _ in drawn], [[1, 2]] * 3)
        for (_, y), kind in zip(drawn, ("W_gate", "W_up", "W_down")):
            shown = [r[8] for r in rows if r[1] == "post" and r[2] == kind and r[4] == "alpha_mean"]
            np.testing.assert_allclose(y, shown, rtol=1e-6)

    def test_the_figure_of_one_type(self):
        for kind, panels in (("W_up", 1), ("W_Q", 3)):  # which has no experts: all that have
            self.browser.run(
                "const s = document.querySelector('#choices select[data-choice=type]');"
                "s.value = arguments[0]; s.dispatchEvent(new Event('change'))",
                kind,
            )
            shown = self.browser.run("return window.gyro.figures.get('expert-spread').plot.layout.meta.panels.length")
            self.assertEqual(shown, panels)

    def test_the_table_is_the_results(self):
        rows = cells(self.browser, "experts-table")
        expected = [(c, t) for c in self.document["comparisons"] for t in c["types"] if "experts" in t]
        self.assertEqual(len(rows), len(expected))
        for row, (_, kind) in zip(rows, expected):
            self.assertEqual(row[2], str(kind["experts"]["matrices"]))
            spread = kind["experts"]["alpha_mean"]
            self.assertIn(f"{spread['furthest']:.4f}: layer {spread['layer']}, expert {spread['expert']}", row[3])
            self.assertTrue(row[3].startswith(f"{spread['median']:.4f}"), row)

    def test_outside(self):
        rows, outside = cells(self.browser, "outside"), self.document["comparisons"][0]["outside"]
        self.assertEqual([row[2:4] for row in rows], [[str(g["tensors"]), str(g["changed"])] for g in outside["groups"]])
        text = self.browser.run("return document.querySelector('#outside .read').textContent")
        self.assertEqual(text, outside["text"])

    def test_an_older_result_opens(self):
        old = os.path.join(FOLDER.name, "old")
        shutil.copytree(self.out, old)
        document = json.loads(json.dumps(self.document))
        document["options"].pop("experts")
        for comparison in document["comparisons"]:
            comparison.pop("outside", None)
            for kind in comparison["types"]:
                for key in ("alpha_layers", "nf_layers", "experts"):
                    kind.pop(key, None)
        with open(f"{old}/result.json", "w", encoding="utf-8") as f:
            json.dump(document, f)
        subprocess.run([GYRO, "report", old, "--quiet"], check=True)
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(f"{old}/report.html")
        browser.run("window.gyro.drawAll()")
        self.assertEqual(browser.complaints(), [])
        shown = "return [...document.querySelectorAll('#outside, #experts-table, #expert-spread')].map((n) => n.id)"
        self.assertEqual(browser.run(shown), ["expert-spread"])


class ManyExperts(unittest.TestCase):
    """Six layers of 128 experts: the page has each layer's medians."""

    def test_the_page_says_so_and_draws_them(self):
        draw, folders = np.random.default_rng(3), []
        layers, experts, hidden, wide = 6, 128, 8, 4
        config = dict(architectures=["Qwen3MoeForCausalLM"], model_type="qwen3_moe", hidden_size=hidden, intermediate_size=wide,
                      moe_intermediate_size=wide, num_experts=experts, num_experts_per_tok=8, num_hidden_layers=layers,
                      num_attention_heads=1, num_key_value_heads=1, head_dim=hidden)
        shapes = dict(gate=(wide, hidden), up=(wide, hidden), down=(hidden, wide))
        base = {f"model.layers.{i}.self_attn.{n}_proj.weight": draw.standard_normal((hidden, hidden))
                for i in range(layers) for n in "qkvo"}
        base |= {f"model.layers.{i}.mlp.experts.{e}.{n}_proj.weight": draw.standard_normal(shape)
                 for i in range(layers) for e in range(experts) for n, shape in shapes.items()}
        post = {name: array + 0.01 * draw.standard_normal(array.shape) for name, array in base.items()}
        for expert in (3, 40):
            base[f"model.layers.2.mlp.experts.{expert}.up_proj.weight"][1] = 0
        for name, tensors in (("many-base", base), ("many-post", post)):
            folders.append(os.path.join(FOLDER.name, name))
            os.makedirs(folders[-1])
            write_file(f"{folders[-1]}/model.safetensors", {k: f32(v) for k, v in tensors.items()})
            with open(f"{folders[-1]}/config.json", "w", encoding="utf-8") as f:
                json.dump(config, f)
        out, document = compare("many", *folders, "--null-draws", "0")
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(f"{out}/report.html")
        browser.run("window.gyro.drawAll(); document.querySelector('#every-matrix').open = true")
        self.assertEqual(browser.complaints(), [])
        hint = browser.run("return document.querySelector('#summary .hint').textContent")
        self.assertIn(f"{layers * (4 + 3 * experts)} matrices each", hint)
        self.assertIn("too many for a page", hint)
        size = browser.run("const c = window.gyro.app.results[0].comparisons[0];"
                           "return c.size(c.result.sitesOf('W_up').filter(({layer}) => layer === 2))")
        rows = [m for m in document["comparisons"][0]["matrices"] if (m["type"], m["layer"]) == ("W_up", 2)]
        scaled = sum((m["scale"] * np.linalg.norm(base[m["tensor"]].astype("f4"))) ** 2 for m in rows)
        np.testing.assert_allclose(size, np.sqrt(sum(m["energy"]["total"] for m in rows) / scaled), rtol=1e-5)
        rows = browser.run("return window.gyro.tidyRows(window.gyro.figures.get('expert-spread'))")
        self.assertEqual(len(rows), 2 * 3 * layers * len(KEYS))
        flagged = [row[1:] for row in cells(browser, "flagged") if row[3] == "zero rows"]
        self.assertEqual(flagged, [["Wup", "2", "zero rows", "experts 3, 40 have such"]] * 2)


class Untouched(unittest.TestCase):
    def test_types_that_nobody_touched(self):
        base = f"{MODELS}/pico-qwen2/base"
        post = os.path.join(FOLDER.name, "lora")
        shutil.copytree(base, post)
        tensors = read(base)
        for name in list(tensors):
            if name.endswith("q_proj.weight"):
                tensors[name] = f32(1.1 * values(tensors[name]))
        write_file(f"{post}/model.safetensors", tensors)
        out, _ = compare("untouched", base, post, "--control", "none")
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(f"{out}/report.html")
        browser.run("window.gyro.drawAll()")
        self.assertEqual(browser.complaints(), [])
        self.assertEqual(cells(browser, "table3")[0][2:], ["unchanged"] * 6)


if __name__ == "__main__":
    unittest.main()
