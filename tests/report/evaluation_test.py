#!/usr/bin/env python3
"""Evaluations in the report: the figures' values are eval.json's, what is said follows from them, outputs are text, a
page of an evaluation alone and one beside a result; and `gyro report` of what is no evaluation."""

import csv
import io
import json
import os
import subprocess
import tempfile
import time
import unittest

import numpy as np

from browser import Browser
from shared import GYRO, MODELS, PageTest

DATA = os.environ["GYRO_DATA"]
FIGURES = {"accuracy", "questions", "lengths"}
HOSTILE = "</script><img src=x onerror=\"document.title='hit'\"><b>bold</b> \u202egnorw \u0000 {{data}} &lt; %{y} " + "long " * 300
folder = tempfile.TemporaryDirectory()


def tearDownModule():
    folder.cleanup()


def cell(variant, task, questions, repeats, shares, original, p):
    """A cell of eval.json as `gyro eval` writes it; intervals and p are made up."""
    mean = float(np.mean(shares))
    interval = {"mean": mean, "low": max(0, mean - 0.1), "high": min(1, mean + 0.05), "clusters": 0}
    difference = mean - float(np.mean(original))
    against = {"difference": difference, "low": difference - 0.1, "high": difference + 0.1, "p": p / 2, "p_adjusted": p,
               "detectable": 0.2, "test": "bootstrap"}
    return {"variant": variant, "task": task, "questions": questions, "repeats": repeats, "accuracy": interval,
            "accuracy_flexible": {**interval, "mean": min(1, mean + 0.02), "high": 1.0}, "by_repeat": [mean] * repeats,
            "decoding_noise": 0.01, "tokens": 20.5, "tokens_noise": 0.5, "truncated": 0.03 if mean < 0.5 else 0.0,
            "no_answer": 1.0 if mean == 0 else 0.0, "collapsed": mean == 0,
            "against_first": None if variant == "original" else against}


def evaluation(shares, p, tasks=("sums",), repeats=2):
    """An evaluation by the share of repeats answered right: {variant: a share a question}, and {variant: adjusted p}."""
    questions = len(next(iter(shares.values())))
    return {
        "schema": "gyro.eval/1", "gyro": {"version": "0"}, "fingerprint": "0", "finished": True,
        "options": {"dtype": "f32", "temperature": 0.2, "top_p": 0.95, "seed": 0, "max_tokens": 24, "repeats": repeats,
                    "few_shot": 0, "few_shot_turns": False, "concurrency": 8},
        "settings": ["temperature 0.2"],
        "models": [{"role": "base", "path": "m/base", "identity": "0"}, {"role": "post", "path": "m/instruct/", "identity": "1"}],
        "tasks": [{"name": t, "form": "gsm8k", "policy": "gsm8k", "path": t, "sha256": "0", "questions": questions,
                   "system": "s"} for t in tasks],
        "variants": [{"name": name, "description": None} for name in shares],
        "cells": [cell(v, t, questions, repeats, s, shares["original"], p.get(v, 1.0)) for v, s in shares.items() for t in tasks],
        "matrix": {t: {"ids": [str(i) for i in range(questions)], "right": shares} for t in tasks},
    }


def write(name, document, samples=()):
    out = os.path.join(folder.name, name)
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "eval.json"), "w", encoding="utf-8") as f:
        f.write(document if isinstance(document, str) else json.dumps(document))
    if samples:
        with open(os.path.join(out, "samples.jsonl"), "w", encoding="utf-8") as f:
            f.writelines(s if isinstance(s, str) else json.dumps(s) + "\n" for s in samples)
    return out


def sample(variant, question, output="4", repeat=0, tokens=7, task="sums"):
    return {"id": str(question), "task": task, "variant": variant, "repeat": repeat, "question": f"What is {question}? " + HOSTILE,
            "prompt": "p", "prompt_sha256": "0", "output": output, "extracted": "4", "extracted_flexible": "4",
            "verdict": "correct", "verdict_flexible": "correct", "rule": "number-equal", "rule_flexible": "number-equal",
            "tokens": tokens, "finish": "length"}


def report(out, *arguments):
    return subprocess.run([GYRO, "report", out, "--quiet", *arguments], stderr=subprocess.PIPE, text=True, check=False)


class EvaluationTest(PageTest):
    """A page of an evaluation, with what its figures are held against: the document."""

    document = None

    def rows(self, figure):
        text = self.browser.run("return window.gyro.figureCsv(window.gyro.figures.get(arguments[0]))", figure)
        return list(csv.DictReader(io.StringIO(text)))

    def hover(self, figure):
        """What a mouse reads at the first place of the second row."""
        x, y = self.browser.run("""
            const {plot} = window.gyro.figures.get(arguments[0]);
            plot.scrollIntoView({behavior: 'instant'});
            const box = plot.querySelector('.nsewdrag').getBoundingClientRect();
            return [box.left + 3, box.top + 1.5 * box.height / plot.layout.yaxis.ticktext.length]""", figure)
        for step in (0, 1):
            self.browser.command("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": x + step, "y": y})
            time.sleep(0.2)
        return self.browser.run(
            "return window.gyro.figures.get(arguments[0]).plot.querySelector('.hoverlayer').textContent", figure)

    def check_page(self):
        self.assertTrue(FIGURES <= set(self.browser.run("return [...window.gyro.figures.keys()]")))
        self.assertEqual(self.browser.complaints(), [])
        names = {v["name"] for v in self.document["variants"]}
        for figure in FIGURES:
            shown = self.browser.run(
                """const {layout} = window.gyro.figures.get(arguments[0]).plot;
                const plain = (text) => text.replace(/<[^>]*>/g, '');
                const axes = Object.keys(layout).filter((key) => key.startsWith('xaxis'));
                return [axes.filter((key) => layout[key].title?.text).length, layout.yaxis.ticktext.map(plain)]""", figure)
            self.assertGreater(shown[0], 0, figure)
            self.assertEqual(set(shown[1]), names, figure)

    def check_accuracies(self):
        drawn = {}
        for trace in self.traces("accuracy"):
            self.assertEqual(len(trace["x"]), len(trace["y"]))
            for x, y in zip(trace["x"], trace["y"]):
                drawn.setdefault(trace["panel"], {})[round(y, 2)] = x
        order = self.browser.run("return window.gyro.figures.get('accuracy').plot.layout.yaxis.ticktext")
        order = [name.split(">")[1].split("<")[0] if "<" in name else name for name in order]
        self.assertEqual(order[0], self.document["variants"][0]["name"])
        rows = {(r["task"], r["variant"], r["quantity"]): r for r in self.rows("accuracy")}
        for c in self.document["cells"]:
            i = order.index(c["variant"])
            self.assertAlmostEqual(drawn[c["task"]][i], c["accuracy"]["mean"])
            self.assertAlmostEqual(drawn[c["task"]][i + 0.27], c["accuracy_flexible"]["mean"])
            for quantity in ("accuracy", "accuracy_flexible"):
                row = rows[c["task"], c["variant"], quantity]
                for head, key in (("value", "mean"), ("low", "low"), ("high", "high")):
                    self.assertAlmostEqual(float(row[head]), c[quantity][key])
            if c["against_first"]:
                row = rows[c["task"], c["variant"], "difference"]
                self.assertAlmostEqual(float(row["value"]), c["against_first"]["difference"])

    def check_matrix(self):
        task = self.document["tasks"][0]["name"]
        heat = self.traces("questions")[0]["z"]
        right = self.document["matrix"][task]["right"]
        rows = self.rows("questions")
        self.assertEqual(len(rows), len(right) * len(right["original"]))
        for row in rows:
            where = self.document["matrix"][task]["ids"].index(row["question"])
            self.assertAlmostEqual(float(row["value"]), right[row["variant"]][where], places=4)
        names = [r["variant"] for r in rows][:: len(right["original"])]
        label = self.hover("questions")
        self.assertIn(f"question {rows[0]['question']}: ", label)
        self.assertIn(names[1] + ": right in ", label)
        # Sorted by the original, then by how many variants answer.
        self.assertEqual(heat[0], sorted(heat[0], reverse=True))
        for line, name in zip(heat, names):
            np.testing.assert_allclose(sorted(line), sorted(right[name]), atol=1e-4)
        answered = [sum(line[q] >= 0.5 for line in heat) for q in range(len(heat[0]))]
        pairs = list(zip(heat[0], answered))
        self.assertEqual(pairs, sorted(pairs, reverse=True))


@unittest.skipIf(os.environ.get("GYRO_INFER") == "OFF", "this build runs no models (GYRO_INFER=OFF)")
class OfAModel(EvaluationTest):
    """Beside a result, in the same folder, whichever came first."""

    @classmethod
    def path(cls):
        models = f"{MODELS}/pico-qwen2"
        cls.out = os.path.join(folder.name, "both")
        pair = ["--base", f"{models}/base", "--post", f"{models}/instruct", "--variants", "paper,controls"]
        subprocess.run([GYRO, "diff", f"{models}/base", f"{models}/instruct", "--out", cls.out, "--quiet"], check=True)
        subprocess.run([GYRO, "eval", *pair, "--task", f"{DATA}/tiny_gsm8k.jsonl", "--limit", "8", "--repeats", "2",
                        "-n", "24", "--out", cls.out, "--quiet"], check=True)
        assert report(cls.out).returncode == 0
        with open(os.path.join(cls.out, "eval.json"), encoding="utf-8") as f:
            cls.document = json.load(f)
        return os.path.join(cls.out, "report.html")

    def test_the_figures_show_the_document(self):
        self.check_page()
        self.check_accuracies()
        self.check_matrix()

    def test_it_stands_after_the_weights(self):
        sections = self.browser.run("return [...document.querySelectorAll('section.part')].map((s) => s.id)")
        self.assertEqual(sections, ["summary", "where", "scaling", "rotation", "amount", "evaluation", "made"])

    def test_lengths_are_those_of_the_samples(self):
        tokens = {}
        with open(os.path.join(self.out, "samples.jsonl"), encoding="utf-8") as f:
            for line in map(json.loads, f):
                tokens.setdefault(line["variant"], []).append(line["tokens"])
        rows = {(r["variant"], r["quantity"]): float(r["value"]) for r in self.rows("lengths")}
        for c in self.document["cells"]:
            self.assertAlmostEqual(rows[c["variant"], "tokens"], c["tokens"])
            self.assertAlmostEqual(rows[c["variant"], "truncated"], c["truncated"])
            own = tokens[c["variant"]]
            for share in (5, 25, 50, 75, 95):
                self.assertEqual(rows[c["variant"], f"tokens_q{share}"], sorted(own)[int(share / 100 * (len(own) - 1) + 0.5)])

    def test_outputs_stand_side_by_side(self):
        with open(os.path.join(self.out, "samples.jsonl"), encoding="utf-8") as f:
            outputs = {(s["id"], s["variant"]): s["output"] for s in map(json.loads, f) if s["repeat"] == 0}
        label = self.browser.run("return document.querySelector('#example').selectedOptions[0].textContent")
        question = label.split()[1].rstrip(":")
        rows = self.browser.run("""return [...document.querySelectorAll('#examples tbody tr')].map((r) => [
            r.querySelector('.name').textContent, r.querySelector('td > .output, details .output ~ .output, details > .output').textContent])""")
        self.assertEqual(len(rows), len(self.document["variants"]))
        for name, text in rows:
            if "⟨" not in text:
                self.assertEqual(text, outputs[question, name] or "(nothing)")

    def test_both_go_on_in_one_folder(self):
        again = subprocess.run([GYRO, "diff", f"{MODELS}/pico-qwen2/base", f"{MODELS}/pico-qwen2/instruct", "--out", self.out],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual((again.returncode, again.stderr), (0, ""))

    def test_exports(self):
        out = os.path.join(folder.name, "exports")
        self.assertEqual(report(self.out, "--export", out, "--format", "csv,tex,svg,png,pdf").returncode, 0)
        names = set(os.listdir(out))
        for stem in ("accuracy", "questions-tiny_gsm8k", "lengths"):
            for kind in ("csv", "svg", "png", "pdf"):
                self.assertIn(f"gyro-base_instruct-{stem}.{kind}", names)
        self.assertTrue({"gyro-base_instruct-accuracies.csv", "gyro-base_instruct-accuracies.tex"} <= names)
        with open(os.path.join(out, "gyro-base_instruct-accuracy.csv"), encoding="utf-8") as f:
            rows = {r["variant"]: r for r in csv.DictReader(f) if r["quantity"] == "accuracy"}
        for c in self.document["cells"]:
            self.assertAlmostEqual(float(rows[c["variant"]]["value"]), c["accuracy"]["mean"])


class Alone(EvaluationTest):
    """A page of an evaluation alone, of two tasks, whose texts are hostile."""

    @classmethod
    def path(cls):
        shares = {"original": [1.0, 1.0, 0.5, 0.0], "<b>odd</b>": [1.0, 0.0, 0.0, 0.0], "ablate-mlp-out": [0.0] * 4,
                  "ablate-mlp-out-fake": [0.0] * 4}
        cls.document = evaluation(shares, {"ablate-mlp-out": 0.01, "ablate-mlp-out-fake": 0.01}, ("sums", "<i>more</i>"))
        cls.document["variants"][1]["name"] = name = "odd-one"
        for c in cls.document["cells"]:
            c["variant"] = name if c["variant"] == "<b>odd</b>" else c["variant"]
        for m in cls.document["matrix"].values():
            m["right"] = {name if k == "<b>odd</b>" else k: v for k, v in m["right"].items()}
        samples = [sample(v["name"], q, HOSTILE, task=t["name"]) for v in cls.document["variants"] for q in range(4)
                   for t in cls.document["tasks"]]
        cls.out = write("alone", cls.document, [*samples, sample("of-another-run", 0), '{"id": "torn'])
        assert report(cls.out).returncode == 0
        return os.path.join(cls.out, "report.html")

    def test_there_is_the_evaluation_and_nothing_else(self):
        sections = self.browser.run("return [...document.querySelectorAll('section.part')].map((s) => s.id)")
        self.assertEqual(sections, ["evaluation"])
        self.assertEqual(set(self.browser.run("return [...window.gyro.figures.keys()]")), FIGURES)
        self.assertEqual(self.browser.run("return document.title"), "base → instruct")
        self.check_page()
        self.choose("questions", "task", "<i>more</i>")
        self.choose("questions", "task", "sums")
        self.check_matrix()

    def test_outputs_are_text(self):
        self.assertEqual(self.browser.run("return document.querySelectorAll('main img, main script').length"), 0)
        self.assertEqual(self.browser.run("return document.querySelectorAll('#examples b, .question b').length"), 0)
        text = self.browser.run("return document.querySelector('#examples details.long > .output').textContent")
        shown = HOSTILE.replace("\u202e", "⟨U+202E⟩").replace("\u0000", "⟨U+0000⟩")
        self.assertEqual(text, shown)
        self.assertIn("<i>more</i>", self.browser.run("return document.getElementById('evaluation-words').textContent"))
        self.assertEqual(self.browser.complaints(), [])

    def test_at_each_width_and_on_paper(self):
        for width, dark in ((1440, True), (390, False)):
            browser = Browser(width, dark=dark)
            self.addCleanup(browser.close)
            browser.requests()
            browser.open(os.path.join(self.out, "report.html"))
            browser.run("window.gyro.drawAll()")
            self.assertEqual(browser.foreign_requests(), [])
            self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"), width)
            browser.command("Page.printToPDF", {"printBackground": True})
            self.assertEqual(browser.complaints(), [])


class Words(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def words(self, shares, p):
        out = write("words", evaluation(shares, p))
        self.assertEqual(report(out).returncode, 0)
        self.browser.open(os.path.join(out, "report.html"))
        self.assertEqual(self.browser.complaints(), [])
        return self.browser.run("return document.getElementById('evaluation-words').textContent").replace("\u202f", " ")

    def test_no_variants(self):
        text = self.words({"original": [1.0, 0.0]}, {})
        self.assertIn("The original alone was asked: 50.0 % of 2 questions right", text)
        self.assertNotIn("differ", text)

    def test_no_controls(self):
        text = self.words({"original": [1.0, 1.0], "replace": [1.0, 0.0]}, {"replace": 0.2})
        self.assertIn("None of 1 variant differs", text)
        self.assertNotIn("largest drop", text)
        self.assertIn("No controls were run", text)

    def test_the_original_collapsed(self):
        text = self.words({"original": [0.0, 0.0], "replace": [1.0, 0.0]}, {"replace": 0.001})
        self.assertIn("The original itself collapsed", text)
        self.assertNotIn("differ", text)

    def test_controls_as_bad_as_the_variants(self):
        low = {"original": [1.0] * 4, "ablate-mlp-out": [0.0] * 4, "ablate-mlp-in": [0.5, 1.0, 1.0, 0.0],
               "ablate-mlp-out-fake": [0.0] * 4, "ablate-mlp-in-fake": [1.0] * 4}
        p = {"ablate-mlp-out": 0.001, "ablate-mlp-out-fake": 0.001, "ablate-mlp-in": 0.01}
        text = self.words(low, p)
        self.assertIn("2 of 2 variants differ from the original (100.0 % of 4 questions) beyond chance (adjusted p < 0.05), all lower; 1 collapsed.", text)
        self.assertIn("The largest drop: ablate-mlp-out, −100.0 points", text)
        self.assertIn("Controls: 1 of 2 controls differs as well: lower; 1 collapsed.", text)
        self.assertIn("A fake base does the same: ablate-mlp-out (−100.0, with the fake −100.0); such a drop says nothing of the base.", text)
        self.assertIn("A fake base does not do it beyond chance: ablate-mlp-in (−37.5, with the fake 0.0).", text)

    def test_a_rise_is_no_drop_and_controls_may_stand_alone(self):
        text = self.words({"original": [0.5, 0.5], "replace": [1.0, 1.0], "noise-mlp": [0.5, 0.0]}, {"replace": 0.01, "noise-mlp": 0.3})
        self.assertIn("1 of 1 variant differs", text)
        self.assertIn(": higher", text)
        self.assertNotIn("largest drop", text)
        self.assertIn("Controls: none of 1 control differs as well.", text)
        text = self.words({"original": [1.0, 1.0], "noise-mlp": [0.5, 0.0]}, {"noise-mlp": 0.01})
        self.assertIn("None of the paper’s variants was asked.", text)
        self.assertIn("Controls: 1 of 1 control differs from the original", text)
        whole = {"original": [1.0, 1.0], "noise": [0.5, 0.0], "replace-noise": [1.0, 1.0], "replace-fake": [1.0, 1.0], "base-all": [1.0, 1.0]}
        text = self.words(whole, {"noise": 0.01})
        self.assertIn("None of the paper’s variants was asked.", text)
        self.assertIn("Controls: 1 of 4 controls differs from the original", text)


class Refused(unittest.TestCase):
    def refused(self, document, what, samples=()):
        out = write("refused", document, samples)
        done = report(out)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertIn(what, done.stderr)
        self.assertFalse(os.path.exists(os.path.join(out, "report.html")))

    def test_what_is_no_evaluation(self):
        good = evaluation({"original": [1.0, 0.0], "replace": [1.0, 1.0]}, {})
        edits = {
            "schema": lambda d: d.update(schema="gyro.eval/2"),
            "cells": lambda d: d["cells"].pop(),
            "twice": lambda d: d["cells"].__setitem__(1, d["cells"][0]),
            "matrix": lambda d: d["matrix"]["sums"]["right"].pop("replace"),
            "share": lambda d: d["matrix"]["sums"]["right"].update(replace=[1.0, 7.0]),
            "ids": lambda d: d["matrix"]["sums"].update(ids=["0", "0"]),
            "settings": lambda d: d.update(settings=[1]),
            "length": lambda d: d["matrix"]["sums"]["right"].update(replace=[1.0]),
            "number": lambda d: d["cells"][0]["accuracy"].update(mean="1"),
            "variants": lambda d: d.update(variants=[]),
        }
        for name, edit in edits.items():
            with self.subTest(name):
                document = json.loads(json.dumps(good))
                edit(document)
                self.refused(document, "eval.json: is not an evaluation of gyro eval")
        for text in ("", "[]", "{", "[" * 100000, '{"schema": "gyro.eval/1"}', '{"schema": "gyro.eval/1", "finished": "yes"}'):
            self.refused(text, "eval.json: is not an evaluation of gyro eval")
        self.refused({**good, "finished": False}, "eval.json: is of an evaluation that has not ended")
        self.refused(good, "samples.jsonl: line 2 is no sample", [sample("original", 0), "{}\n"])

    def test_neither_a_result_nor_an_evaluation(self):
        empty = os.path.join(folder.name, "empty")
        os.makedirs(empty)
        done = report(empty)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)


if __name__ == "__main__":
    unittest.main()
