#!/usr/bin/env python3
"""Probes in the report: the figures' values are the documents', what is missing is no 0, words follow from the numbers,
texts are text; a page of probes alone and one beside a result; exports; and `gyro report` of what is no probe."""

import csv
import io
import json
import os
import re
import subprocess
import tempfile
import unittest

import numpy as np
from safetensors.numpy import save_file

import export_test
from browser import Browser
from shared import GYRO, MODELS, PageTest

FIGURES = {"entropy", "attention-maps", "temperature", "cka", "cka-diagonal", "drift", "carry"}
HOSTILE = "</script><img src=x onerror=\"document.title='hit'\"><b>bold</b> \u202egnorw {{data}} &lt; %{y} " + "long " * 100
BLOCKS, HEADS, LAYERS, POSITIONS = [0, 2, 3], 4, 4, 12
SUBJECTS = [("original", "original"), ("replace-attention", "variant"), ("noise-attention", "control")]
READINGS = {"position_mean": "mean over positions", "question_mean_unbiased": "unbiased, " + HOSTILE}
folder = tempfile.TemporaryDirectory()
draws = np.random.default_rng(5)


def tearDownModule():
    folder.cleanup()


def head(kind, post="instruct", **more):
    return {"schema": f"gyro.probe.{kind}/1", "gyro": {"version": "0"}, "command": "gyro probe", "fingerprint": "0",
            "options": {"dtype": "f32", "seed": 0, "odd": HOSTILE},
            "models": [{"role": "base", "path": "m/base", "identity": "0"}, {"role": "post", "path": f"m/{post}/", "identity": "1"}],
            "tasks": [{"name": "sums", "path": "p", "sha256": "0", "questions": 2, "system": HOSTILE}],
            "questions": [{"task": "sums", "id": i, "text": HOSTILE, "tokens": POSITIONS} for i in ("0", "<i>1</i>")], **more}


def subjects():
    return [{"name": name, "kind": kind, "description": HOSTILE} for name, kind in SUBJECTS]


def attention():
    """Two questions; the variant lacks a block's entropy of the first."""
    document, list_ = head("attention"), subjects()
    for s, shift in zip(list_, (0, 0.125, 0.5)):
        of = draws.uniform(0.5, 2, (2, len(BLOCKS), HEADS)) if s["kind"] != "original" else np.full((2, len(BLOCKS), HEADS), 1.0)
        s.update(entropy=of.tolist(), entropy_mean=np.full((2, len(BLOCKS)), 1.0 + shift).tolist(),
                 entropy_of_mean=(of.mean(2) + 0.25).tolist())
    list_[1]["entropy_mean"][0][1] = list_[1]["entropy_mean"][1][1] = None
    fits = []
    for name, explained in (("replace-attention", 0.75), ("noise-attention", 0.0625)):
        rows = [{"block": b, "temperature": 1.25, "temperature_se": 0.125, "kl": 0.5, "kl_fitted": 0.5 * (1 - explained),
                 "explained": None if b == 2 else explained, "entropy_difference": 0.5} for b in BLOCKS]
        one = {"temperature": 1.5, "explained": explained, "kl": 0.5}
        fits.append({"subject": name, "reference": "original", "blocks": rows, "heads": [[one] * HEADS for _ in BLOCKS]})
    alpha = [{"block": b, "alpha_q": 0.5, "alpha_k": 0.5, "expected": None if b == 0 else 1.25 if b == 2 else 4.0,
              "why": HOSTILE if b == 0 else "biases" if b == 2 else None} for b in BLOCKS]
    maps = [{"question": q, "block": 2, "head": h, "positions": POSITIONS,
             "arrays": {name: f"{q}.{h}.{name}" for name, _ in SUBJECTS}} for q, h in ((0, 1), (1, "mean"))]
    maps[0]["tokens"] = [HOSTILE] * POSITIONS
    arrays = {}
    for name in (n for m in maps for n in m["arrays"].values()):
        weights = np.tri(POSITIONS) * draws.uniform(0.1, 1, (POSITIONS, POSITIONS))
        arrays[name] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    document.update(words=["Entropy is moved by 0.125 nats; 1/(α_Q α_K) is 1.25."], layers=LAYERS, heads=HEADS, blocks=BLOCKS, log_keys=[[float(np.log(POSITIONS))] * len(BLOCKS)] * 2,
                    subjects=list_, comparisons=fits, alpha=alpha, maps=maps)
    return document, arrays


def cka():
    document, list_ = head("cka"), subjects()
    for s, off in zip(list_, (0.0, 0.25, 0.125)):
        matrix = np.exp(-np.abs(np.subtract.outer(range(LAYERS), range(LAYERS)))) * (1 - off)
        s["cka"] = {name: matrix.tolist() for name in READINGS}
        s["distance"] = {name: off for name in READINGS}
        s["diagonal"] = {name: 1 - off for name in READINGS}
    list_[2]["cka"]["question_mean_unbiased"] = list_[2]["distance"]["question_mean_unbiased"] = None
    list_[1]["cka"]["question_mean_unbiased"][1][1] = None
    document.update(layers=LAYERS, tokens_cut=POSITIONS, batch=0, readings=READINGS, subjects=list_, sentences=["Kept."])
    return document


def drift():
    def values(scale):
        return {"cosine": {"mean": 1 - scale / 8, "sd": 0.125}, "norm_ratio": 1 + scale, "relative_difference": scale,
                "lens_kl": {"mean": scale / 2, "se": 0.0625}, "lens_top1_agreement": 1 - scale / 4}
    blocks = [{"block": b, **values((b + 1) / 8), "noise": values(0.25), "weights": {
        "nf_over_null": None if b == 1 else 1.5, "alpha_mean": 0.75, "relative_change": 0.125}} for b in range(LAYERS)]
    return head("drift", sentences=["They part."], blocks=blocks, next_token={"kl_mean": 0.375, "kl_se": 0.125, "top1_agreement": 0.75})


def rotation():
    """Two pairs of posts; a layer of one lacks a value, and it says "<b>"."""
    def row(kind, layer, scale):
        shared = {"distance": 0.25 * scale, "turn_correlation": 0.5, "carry_error": 0.75 * scale, "explained": 0.4375}
        null = {f"{key}_null": value / 2 for key, value in shared.items()}
        return {"type": kind, "layer": layer, "flags": [], "identity_distance": 0.125, "other_identity_distance": 0.375,
                "change_correlation": 0.625, "carry_error_kept": 0.875, "explained_by_chance": 0.0625, **shared, **null}
    pairs = []
    for other, scale in (("m/reasoning", 1), ("m/rl", 0.5)):
        rows = [row(t, layer, scale) for t in ("W_Q", "W_down") for layer in range(3)]
        rows[1]["carry_error"] = None
        types = [{**row(t, 0, scale), "matrices": 3} for t in ("W_Q", "W_down")]
        pairs.append({"post": "m/instruct/", "other": other, "matrices": rows, "types": types, "sentences": ["x"]})
    models = [{"role": role, "path": f"m/{name}", "identity": "0"} for role, name in (("base", "base"), ("post", "instruct"), ("other", "reasoning"))]
    document = head("rotation", models=models, pairs=pairs, sentences=["Turns in W_Q are shared. " + HOSTILE])
    for key in ("tasks", "questions"):
        del document[key]
    return document


VERDICTS = ("supported", "as its control", "not supported", "unclear", "not tested", "of a later version")


def claims():
    """Of two posts, one of a hostile name; each verdict, the last one unknown; what was not tested has no figures."""
    def claim(i, verdict):
        tested = verdict != "not tested"
        return {"id": f"claim_{i}", "claim": f"W_O turns {i}: 1/(α_Q α_K). " + HOSTILE, "where": "§4.1", "evidence": HOSTILE,
                "figure": "α is 0.5 ± 0.125 of W_V, 37 % " + HOSTILE if tested else "", "control": "-0.25" if tested else "",
                "verdict": verdict, "why": "less than 50 %"}
    models = [{"role": role, "path": f"m/{name}"} for role, name in (("base", "base"), ("post", "instruct"), ("post", "<b>rl</b>"))]
    return {"schema": "gyro.claims/1", "gyro": {"version": "0"}, "models": models,
            "posts": [{"post": post, "claims": [claim(i, v) for i, v in enumerate(VERDICTS)]} for post in ("instruct", "<b>rl</b>")]}


def write(name, documents, arrays=None):
    out = os.path.join(folder.name, name)
    os.makedirs(out, exist_ok=True)
    for kind, document in documents.items():
        with open(os.path.join(out, f"{kind}.json"), "w", encoding="utf-8") as f:
            f.write(document if isinstance(document, str) else json.dumps(document))
    if arrays:
        save_file(arrays, os.path.join(out, "attention.safetensors"), metadata={"fingerprint": "0"})
    return out


def report(*arguments):
    return subprocess.run([GYRO, "report", *arguments, "--quiet"], stderr=subprocess.PIPE, text=True, check=False)


class ProbesTest(PageTest):
    def rows(self, figure):
        text = self.browser.run("return window.gyro.figureCsv(window.gyro.figures.get(arguments[0]))", figure)
        return list(csv.DictReader(io.StringIO(text)))

    def same(self, text, value, where=None):
        if value is None:
            self.assertEqual(text, "", where)
        else:
            np.testing.assert_allclose(float(text), value, rtol=2e-6, err_msg=str(where))

    def words(self, kind):
        return self.browser.run("return document.getElementById(arguments[0]).textContent", f"{kind}-words").replace("\u202f", " ")


class Alone(ProbesTest):
    """A page of all kinds of probes, whose texts are hostile."""

    @classmethod
    def path(cls):
        cls.attention, cls.arrays = attention()
        cls.cka, cls.drift, cls.rotation = cka(), drift(), rotation()
        cls.claims = claims()
        cls.out = write("alone", {"attention": cls.attention, "cka": cls.cka, "drift": cls.drift, "rotation": cls.rotation,
                                  "claims": cls.claims}, cls.arrays)
        done = report(cls.out)
        assert done.returncode == 0, done.stderr
        return os.path.join(cls.out, "report.html")

    def test_there_are_the_probes_in_the_papers_order(self):
        sections = self.browser.run("return [...document.querySelectorAll('section.part')].map((s) => s.id)")
        self.assertEqual(sections, ["claims", "attention", "representations", "drifting", "shared"])
        first = self.browser.run("return [...document.querySelectorAll('#contents [data-place]')].map((a) => a.dataset.place)")
        self.assertEqual(first[:3], ["claims", "claims-table", "attention"])
        self.assertEqual(set(self.browser.run("return [...window.gyro.figures.keys()]")), FIGURES)
        self.assertEqual(self.browser.run("return document.title"), "base → instruct")
        links = set(self.browser.run("return [...document.querySelectorAll('[data-place]')].map((a) => a.dataset.place)"))
        self.assertTrue(FIGURES <= links, FIGURES - links)
        self.assertEqual(self.browser.complaints(), [])

    def test_entropies(self):
        rows = {(r["question"], r["subject"], r["block"], r["head"], r["quantity"]): r for r in self.rows("entropy")}
        original = self.attention["subjects"][0]
        for q, question in enumerate(("0", "<i>1</i>")):
            for s in self.attention["subjects"]:
                for b, block in enumerate(BLOCKS):
                    at = (question, s["name"], str(block))
                    for key in ("entropy_mean", "entropy_of_mean"):
                        row = rows[*at, "", key]
                        self.same(row["value"], s[key][q][b], at)
                        self.same(row["original"], original[key][q][b], at)
                    for h in range(HEADS):
                        self.same(rows[*at, str(h), "entropy"]["value"], s["entropy"][q][b][h], at)
        drawn = {t["name"]: t for t in self.traces("entropy", "entropy")}
        self.assertEqual(drawn["replace-attention"]["x"], BLOCKS)
        self.assertEqual(drawn["replace-attention"]["y"], [1.125, None, 1.125])
        np.testing.assert_allclose(drawn["ln n, the most there can be"]["y"], [np.log(POSITIONS)] * 3, rtol=1e-6)
        rest = {t["name"]: t for t in self.traces("entropy", "original’s")}
        self.assertEqual(rest["noise-attention"]["y"], [0.5] * 3)
        self.assertNotIn("original", rest)
        for question in ("sums <i>1</i>", "mean of all"):
            self.choose("entropy", "question", question)
            for shown in ("heads", "of_mean", "mean"):
                self.choose("entropy", "shown", shown)
                self.assertGreater(len(self.traces("entropy")), 2)
        self.assertEqual(self.browser.complaints(), [])

    def test_maps(self):
        for label, key in (("sums 0, block 2, head 1", "0.1"), ("sums <i>1</i>, block 2, mean of heads", "1.mean")):
            self.choose("attention-maps", "map", label)
            for other in ("noise-attention", "replace-attention"):
                self.choose("attention-maps", "subject", other)
                own, replaced = self.arrays[f"{key}.original"], self.arrays[f"{key}.{other}"]
                panels = [np.array(t["z"], dtype=float) for t in self.traces("attention-maps")]
                self.assertEqual(len(panels), 3)
                low = np.tri(POSITIONS) > 0
                for panel, of in zip(panels, (own, replaced)):
                    self.assertTrue(np.isnan(panel[~low]).all())
                    np.testing.assert_allclose(10 ** panel[low], of[low], rtol=1e-5)
                np.testing.assert_allclose(panels[2][low], (replaced - own)[low], rtol=1e-4, atol=1e-7)
                bar = self.browser.run("const {coloraxis2: c} = window.gyro.figures.get('attention-maps').plot.layout; return [c.cmin, c.cmax]")
                self.assertEqual(bar[0], -bar[1])
        rows = [r for r in self.rows("attention-maps") if r["subject"] == "replace-attention"]
        self.assertEqual(len(rows), POSITIONS * (POSITIONS + 1) // 2)
        self.same(rows[-1]["value"], self.arrays["1.mean.replace-attention"][-1, -1])
        self.assertEqual(self.browser.complaints(), [])

    def test_temperatures(self):
        rows = {(r["subject"], r["block"], r["head"], r["quantity"]): r for r in self.rows("temperature")}
        for fit in self.attention["comparisons"]:
            for row in fit["blocks"]:
                for key in ("temperature", "temperature_se", "kl", "kl_fitted", "explained"):
                    self.same(rows[fit["subject"], str(row["block"]), "", key]["value"], row[key])
            self.same(rows[fit["subject"], "0", "3", "temperature"]["value"], 1.5)
        self.same(rows["replace-attention", "2", "", "temperature"]["expected"], 1.25)
        self.same(rows["replace-attention", "0", "", "temperature"]["expected"], None)
        drawn = {t["name"]: t["y"] for t in self.traces("temperature", "explained by it")}
        self.assertEqual(drawn["replace-attention"], [0.75, None, 0.75])
        note = self.browser.run("return document.querySelector('#temperature .note').textContent")
        self.assertIn("What T should be: not defined in 1 block (0): </script>", note)
        self.assertIn("What T should be: biases.", note)
        self.assertEqual(self.words("attention"), "Entropy is moved by 0.125 nats; 1/(αQ αK) is 1.25.")
        table = self.browser.run("return [...document.querySelectorAll('#attention-table tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))")
        self.assertEqual([c.replace("\u202f", " ") for c in table[0]],
                         ["replace-attention", "+0.13", "0.13", "1.25", "0.500", "0.125", "75.0 %"])
        self.assertEqual(table[1][0], "noise-attentioncontrol")

    def test_cka(self):
        for reading in READINGS:
            self.choose("cka", "reading", reading)
            self.choose("cka-diagonal", "reading", reading)
            found = {(r["subject"], r["block"], r["of subject"]): r for r in self.rows("cka")}
            heat = self.traces("cka")
            self.assertEqual(len(heat), len(SUBJECTS))
            for s, trace in zip(self.cka["subjects"], heat):
                matrix = s["cka"][reading]
                if matrix is None:
                    self.assertTrue(all(z is None for row in trace["z"] for z in row))
                    self.assertNotIn((s["name"], "0", "0"), found)
                    continue
                for i, line in enumerate(matrix):
                    for j, value in enumerate(line):
                        self.same(found[s["name"], str(i), str(j)]["value"], value)
                        shown = trace["z"][i][j]
                        self.assertEqual(shown is None, value is None)
            ranges = self.browser.run("const {coloraxis: c} = window.gyro.figures.get('cka').plot.layout; return [c.cmin, c.cmax]")
            self.assertEqual(ranges[1], 1)
        diagonal = {t["name"]: t["y"] for t in self.traces("cka-diagonal")}
        self.assertEqual(diagonal["replace-attention"], [0.75, None, 0.75, 0.75])
        self.assertEqual(diagonal["noise-attention"], [None] * LAYERS)
        self.choose("cka", "values", "difference")
        self.assertEqual(len(self.traces("cka")), len(SUBJECTS) - 1)
        self.choose("cka", "values", "cka")
        table = self.browser.run("return document.getElementById('cka-table').textContent")
        self.assertIn("–", table)
        self.assertEqual(self.words("cka"), "Kept.")
        self.assertEqual(self.browser.complaints(), [])

    def test_drift(self):
        rows = {(r["block"], r["quantity"]): r for r in self.rows("drift")}
        for block in self.drift["blocks"]:
            at = str(block["block"])
            self.same(rows[at, "relative_difference"]["value"], block["relative_difference"])
            self.same(rows[at, "relative_difference"]["noise control"], 0.25)
            self.same(rows[at, "lens_kl.mean"]["spread"], 0.0625)
            self.same(rows[at, "weights.nf_over_null"]["value"], block["weights"]["nf_over_null"])
        [line] = self.traces("drift", "NF / null")
        self.assertEqual(line["y"], [1.5, None, 1.5, 1.5])
        self.assertEqual(self.words("drift"), "They part.")
        self.assertEqual(self.browser.complaints(), [])

    def test_rotations(self):
        for pair in self.rotation["pairs"]:
            self.choose("carry", "pair", f"instruct → {pair['other'][2:]}")
            for key in ("distance", "turn_correlation", "explained", "carry_error"):
                self.choose("carry", "quantity", key)
                lines = {t["group"]: t["y"] for t in self.traces("carry", "WQ")}
                for name in (key, f"{key}_null"):
                    self.assertEqual(lines[name], [m[name] for m in pair["matrices"] if m["type"] == "W_Q"])
                self.assertEqual(len(lines), 3)
            rows = {(r["type"], r["layer"], r["quantity"]): r for r in self.rows("carry")}
            for m in pair["matrices"]:
                row = rows[m["type"], str(m["layer"]), "carry_error"]
                self.same(row["value"], m["carry_error"])
                self.same(row["null"], m["carry_error_null"])
        self.choose("carry", "pair", "instruct → reasoning")
        table = self.browser.run("return [...document.querySelectorAll('#rotation-table tbody tr')].map((r) => [...r.cells].map((c) => c.textContent))")
        self.assertEqual(table[0][:4], ["instruct → reasoning", "WQ", "0.250", "0.125"])
        self.assertEqual(len(table), 4)
        self.assertTrue(self.words("rotation").startswith("Turns in WQ are shared. </script>"))
        self.assertEqual(self.browser.complaints(), [])

    def test_claims(self):
        ids = ["claims-instruct", "claims--b-rl-b-"]
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('.claims section')].map((s) => s.id)"), ids)
        for id_, post in zip(ids, self.claims["posts"]):
            self.assertEqual(self.browser.run("return document.querySelector(`#${arguments[0]} h3`).textContent", id_), post["post"])
            rows = self.browser.run("return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map((r) => [...r.cells].map((c) => c.innerText))", id_)
            for row, claim in zip(rows, post["claims"], strict=True):
                self.assertIn(claim["claim"][:10].replace("_", ""), row[0])
                self.assertIn("</script><img src=x", row[0])
                self.assertIn(claim["verdict"] + "\n" + claim["why"], row[1])
                self.assertEqual(row[3], claim["control"] or "–")
                self.assertEqual(row[2] == "–", not claim["figure"])
        self.assertEqual(self.browser.complaints(), [])

    def test_badges_can_be_read(self):
        """Contrast of each badge on what is behind it, by WCAG 2 at least 4.5, in both themes."""
        for theme in ("light", "dark"):
            self.browser.run("document.documentElement.dataset.theme = arguments[0]", theme)
            badges = self.browser.run("""
                const seen = (node) => { for (; ; node = node.parentElement) {
                  const {backgroundColor} = getComputedStyle(node);
                  if (!/, 0\\)$|transparent/.test(backgroundColor)) return backgroundColor; } };
                return [...document.querySelectorAll('.claims .badge')].map(
                    (b) => [b.textContent, b.className, getComputedStyle(b).color, seen(b)])""")
            self.assertEqual(len(badges), 2 * len(VERDICTS))
            self.assertGreaterEqual(len({name for _, name, _, _ in badges}), 4)
            for text, name, ink, ground in badges:
                def light(color):
                    parts = np.array([float(v) for v in re.findall(r"[\d.]+", color)[:3]]) / 255
                    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]
                low, high = sorted((light(ink), light(ground)))
                self.assertGreaterEqual((high + 0.05) / (low + 0.05), 4.5, (theme, text, name, ink, ground))
        self.browser.run("delete document.documentElement.dataset.theme")

    def test_claims_go_out_as_tables(self):
        out = os.path.join(folder.name, "claims")
        done = report(self.out, "--export", out, "--format", "csv,tex")
        self.assertEqual(done.returncode, 0, done.stderr)
        for id_, post in zip(("claims-instruct", "claims--b-rl-b-"), self.claims["posts"]):
            with open(os.path.join(out, f"gyro-families-{id_}.csv"), encoding="utf-8") as f:
                rows = list(csv.DictReader(f))
            for row, claim in zip(rows, post["claims"], strict=True):
                self.assertEqual((row["id"], row["where"], row["verdict"], row["why"]),
                                 tuple(claim[key] for key in ("id", "where", "verdict", "why")))
                self.assertEqual(row["control"], "'" + claim["control"] if claim["control"] else "")  # no formula
                self.assertTrue(row["claim"].startswith(claim["claim"][:20]))
            with open(os.path.join(out, f"gyro-families-{id_}.tex"), encoding="utf-8") as f:
                text = f.read()
            self.assertEqual(text.count("\\\\\n"), len(VERDICTS) + 1)
            self.assertIn(r"$W_{\mathrm{O}}$ turns 0: 1/($\alpha_{\mathrm{Q}}$ $\alpha_{\mathrm{K}}$)", text)
            self.assertIn(r"$\alpha$ is 0.5 $\pm$ 0.125 of $W_{\mathrm{V}}$, 37 \%", text)
            self.assertIn(r"\begin{tabular}{p{0.26\linewidth}", text)

    def test_texts_are_text(self):
        self.assertEqual(self.browser.run("return document.querySelectorAll('main img, main script, main b, main i').length"), 0)
        asked = self.browser.run("return document.getElementById('attention-asked').textContent")
        self.assertIn("</script><img", asked)
        self.assertIn("⟨U+202E⟩", asked)

    def test_at_each_width_and_on_paper(self):
        for width, dark in ((1440, True), (390, False)):
            browser = Browser(width, dark=dark)
            self.addCleanup(browser.close)
            browser.requests()
            browser.open(os.path.join(self.out, "report.html"))
            browser.run("window.gyro.drawAll()")
            self.assertEqual(browser.foreign_requests(), [])
            self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"), width)
            shown = browser.run("return document.querySelector('#claims-instruct tbody tr').innerText")
            self.assertEqual("Its control" in shown, width < 900, shown)  # where columns have no heads
            over = browser.run("return [...document.querySelectorAll('.claims .scroll')].filter((s) => s.scrollWidth > s.clientWidth).length")
            self.assertEqual(over, 0)
            browser.command("Page.printToPDF", {"printBackground": True})
            self.assertEqual(browser.complaints(), [])

    measure, check = export_test.Images.measure, export_test.Images.check

    def test_nothing_lies_on_anything(self):
        for figure in sorted(FIGURES):
            for size in export_test.SIZES:
                with self.subTest(figure=figure, size=size):
                    self.check(figure, size)


class BesideAResult(ProbesTest):
    """A study's folders: the diff above, what its posts were asked below."""

    @classmethod
    def path(cls):
        cls.out = os.path.join(folder.name, "study")
        models = [f"{MODELS}/pico-qwen2/{name}" for name in ("base", "instruct")]
        subprocess.run([GYRO, "diff", *models, "--control", "noise", "--out", cls.out, "--quiet"], check=True)
        cls.attention, cls.arrays = attention()
        other = json.loads(json.dumps(cls.attention))
        other["models"][1]["path"] = "m/reasoning"
        other["subjects"][1]["entropy_mean"][0][0] = 0.5
        del other["maps"]
        posts = [write("study/instruct", {"attention": cls.attention, "cka": cka(), "drift": drift()}, cls.arrays),
                 write("study/reasoning", {"attention": other})]
        cls.folders = [cls.out, *posts]
        page = os.path.join(folder.name, "study.html")
        done = report(*cls.folders, "--out", page)
        assert done.returncode == 0, done.stderr
        return page

    def test_sections_follow_the_paper(self):
        sections = self.browser.run("return [...document.querySelectorAll('section.part')].map((s) => s.id)")
        self.assertEqual(sections, ["summary", "where", "scaling", "rotation", "amount", "attention", "representations",
                                    "drifting", "made"])
        self.assertEqual(self.browser.run("return document.querySelectorAll('#result').length"), 0)  # one result, nothing beside it

    def test_claims_stand_first_and_go_out_once(self):
        write("study", {"claims": claims()})
        self.addCleanup(os.remove, os.path.join(self.out, "claims.json"))
        page, out = os.path.join(folder.name, "claimed.html"), os.path.join(folder.name, "claimed")
        for options in (("--out", page), ("--export", out, "--format", "csv")):
            done = report(*self.folders, *options)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([n for n in sorted(os.listdir(out)) if "claims" in n],
                         ["gyro-base-claims--b-rl-b-.csv", "gyro-base-claims-instruct.csv"])
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(page)
        sections = browser.run("return [...document.querySelectorAll('section.part')].map((s) => s.id)")
        self.assertEqual(sections[:3], ["claims", "summary", "where"])
        self.assertEqual(browser.run("return document.querySelector('#contents [data-place]').dataset.place"), "claims")
        self.assertEqual(browser.complaints(), [])

    def test_each_post_has_its_own(self):
        def first():
            return next(t for t in self.traces("entropy", "entropy") if t["name"] == "replace-attention")["y"][0]

        self.assertEqual(first(), 1.125)
        self.choose("choices", "probe", "1")
        self.assertEqual(first(), (0.5 + 1.125) / 2)
        about = self.browser.run("return document.querySelector('#entropy .about').textContent")
        self.assertIn("base → reasoning", about)
        about = self.browser.run("return document.querySelector('#cka .about').textContent")
        self.assertIn("base → instruct", about)  # the only one that has it
        self.assertEqual(self.browser.complaints(), [])
        self.choose("choices", "probe", "0")

    def test_exports(self):
        out = os.path.join(folder.name, "exports")
        done = report(*self.folders, "--export", out, "--format", "csv,tex,svg")
        self.assertEqual(done.returncode, 0, done.stderr)
        names = set(os.listdir(out))
        for stem in ("entropy-mean_of_2_questions", "entropy-sums_0", "temperature", "drift", "cka-diagonal-position_mean",
                     "cka-position_mean", "cka-position_mean-difference", "cka-question_mean_unbiased",
                     "attention-maps-sums_0_block_2_head_1_replace-attention",
                     "attention-maps-sums_0_block_2_head_1_noise-attention"):
            for kind in ("csv", "svg"):
                self.assertIn(f"gyro-base_instruct-{stem}.{kind}", names)
        self.assertIn("gyro-base_reasoning-entropy-sums_0.svg", names)
        self.assertIn("gyro-base-nf.svg", names)
        for table in ("attention-table", "cka-table"):
            for kind in ("csv", "tex"):
                self.assertIn(f"gyro-base_instruct-{table}.{kind}", names)
        # A table of each folder, each with its own numbers.
        first = []
        for post in ("instruct", "reasoning"):
            with open(os.path.join(out, f"gyro-base_{post}-attention-table.csv"), encoding="utf-8") as f:
                first.append(float(list(csv.reader(f))[1][1]))
        np.testing.assert_allclose(first, [0.125, (0.125 + (0.5 + 1.125) / 2 - 1) / 2], rtol=1e-6)
        with open(os.path.join(out, "gyro-base_instruct-temperature.csv"), encoding="utf-8") as f:
            rows = [r for r in csv.DictReader(f) if r["quantity"] == "explained" and r["head"] == ""]
        self.assertEqual([r["value"] for r in rows], ["0.75", "", "0.75", "0.0625", "", "0.0625"])


class Refused(unittest.TestCase):
    def test_what_is_no_probe(self):
        documents = {"attention": attention()[0], "cka": cka(), "drift": drift(), "rotation": rotation(), "claims": claims()}
        for kind, good in documents.items():
            texts = ["", "[]", "{", "[" * 100000, json.dumps({**good, "schema": "gyro.probe.x/1"}), json.dumps({**good, "models": 7})]
            for text in texts:
                out = write(f"refused-{kind}", {kind: text})
                done = report(out)
                self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
                command = "gyro study" if kind == "claims" else f"gyro probe {kind}"
                self.assertIn(f"{kind}.json: is not a document of {command}", done.stderr)
                self.assertFalse(os.path.exists(os.path.join(out, "report.html")))

    def test_maps_of_another_run(self):
        document, arrays = attention()
        arrays.pop("0.1.original")
        out = write("maps", {"attention": document}, arrays)
        done = report(out)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (1, 1), done.stderr)
        self.assertIn("attention.safetensors: lacks the array 0.1.original", done.stderr)


if __name__ == "__main__":
    unittest.main()
