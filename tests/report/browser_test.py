#!/usr/bin/env python3
"""The report in Chromium: nothing comes from a network, no complaints, every figure drawn with the values of
result.json and arrays.safetensors, tables that sort from the keyboard, hostile names as text, paper."""

import base64
import json
import math
import os
import shutil
import subprocess
import tempfile
import time
import unittest

import numpy as np
from safetensors.numpy import load_file
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import Browser

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
TYPES = ["W_Q", "W_K", "W_V", "W_O", "W_gate", "W_up", "W_down"]
FIGURES = {
    "overview",
    "svsm",
    "bandwidth",
    "spectra",
    "energy",
    "counter",
    "nf",
    "turn",
    "corner",
    "residual",
    "composite",
    "size",
    "change",
}
MEGABYTE = 1_000_000

folder = None
result = None
arrays = None


def setUpModule():
    global folder, result, arrays
    folder = tempfile.TemporaryDirectory()
    out = os.path.join(folder.name, "out")
    subprocess.run(
        [
            GYRO,
            "diff",
            f"{MODELS}/pico-qwen2/base",
            f"{MODELS}/pico-qwen2/instruct",
            "--control",
            "noise",
            "--out",
            out,
            "--quiet",
        ],
        check=True,
    )
    with open(os.path.join(out, "result.json"), encoding="utf-8") as f:
        result = json.load(f)
    arrays = load_file(os.path.join(out, "arrays.safetensors"))


def tearDownModule():
    folder.cleanup()


def page(name="out"):
    return os.path.join(folder.name, name, "report.html")


def over_null(matrix, key):
    """A value as a multiple of its null, where that holds."""
    return matrix[key] / matrix["null"][key] if matrix["null"]["valid"] else math.nan


def valid(comparison, kind=None):
    rows = result["comparisons"][comparison]["matrices"]
    return [m for m in rows if m["null"]["valid"] and kind in (None, m["type"])]


def matrices(comparison, kind):
    return [m for m in result["comparisons"][comparison]["matrices"] if m["type"] == kind]


# The traces of a figure that carry values, by name and panel.
TRACES = """
const figure = window.gyro.figures.get(arguments[0]);
const plain = (values) => Array.from(values, (v) => (v !== null && typeof v === "object" ? Array.from(v) : v));
const panels = figure.plot.layout.meta.panels;
return figure.plot.data.filter((t) => !t.meta?.helper).map((t) => ({
  name: t.name, type: t.type, group: t.legendgroup, x: plain(t.x), y: plain(t.y),
  z: t.z ? t.z.map((row) => Array.from(row)) : null,
  panel: panels[Number((t.xaxis ?? "x").slice(1) || 1) - 1]}));
"""


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.browser.open(page())
        cls.browser.run("window.gyro.drawAll()")

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def traces(self, figure, panel=None, name=None):
        found = self.browser.run(TRACES, figure)
        return [
            t for t in found if (panel is None or t["panel"].endswith(panel)) and (name is None or t["name"] == name)
        ]

    def choose(self, figure, key, value):
        """A choice of a figure, or of the page ("choices")."""
        self.browser.run(
            "const s = document.querySelector(`#${arguments[0]} select[data-choice=${arguments[1]}]`);"
            "s.value = arguments[2]; s.dispatchEvent(new Event('change'))",
            figure,
            key,
            value,
        )

    def tidy(self, figure):
        """The values that a figure shows, by their heads."""
        heads = ("model", "role", "type", "layer", "index", "quantity", "value", "null", "unit")
        rows = self.browser.run("return window.gyro.tidyRows(window.gyro.figures.get(arguments[0]))", figure)
        return [dict(zip(heads, row)) for row in rows]

    def test_all_figures_have_drawn_marks(self):
        drawn = self.browser.run("""
            return Object.fromEntries([...window.gyro.figures.values()].map((f) => [f.id, {
              traces: f.plot.data.filter((t) => !t.meta?.helper).length,
              marks: f.plot.querySelectorAll(
                '.scatterlayer path, .scatterlayer .point, .barlayer .point, .heatmaplayer image').length,
              title: f.root.querySelector('h3').textContent, read: f.root.querySelector('.read').textContent,
              label: f.plot.getAttribute('aria-label')}]))""")
        self.assertEqual(set(drawn), FIGURES)
        for name, figure in drawn.items():
            self.assertGreaterEqual(figure["traces"], 3, name)
            self.assertGreaterEqual(figure["marks"], 3, name)
            self.assertGreater(len(figure["read"]), 60, name)
            self.assertTrue(figure["title"].startswith(figure["label"].split(". ")[0].split("? ")[0]), name)

    def test_axes_have_titles(self):
        bare = self.browser.run("""
            const bare = [];
            for (const f of window.gyro.figures.values()) {
              for (const letter of 'xy') {
                const axes = Object.keys(f.plot.layout).filter((k) => k.startsWith(letter + 'axis'));
                const titles = axes.map((k) => f.plot.layout[k].title?.text);
                if (!titles.some(Boolean) && !(f.id === 'overview' && letter === 'y')) bare.push(f.id + ' ' + letter);
              }
            }
            return bare""")
        self.assertEqual(bare, [])

    def test_values_per_layer(self):
        for figure, measure, key in (
            ("nf", {"scale": "log", "measure": "nf"}, "nf"),
            ("change", {"measure": "relative_change"}, "relative_change"),
            ("bandwidth", {"axis": "free"}, "alpha_mean"),
        ):
            before = {}
            for choice, value in measure.items():
                before[choice] = self.browser.run(
                    "return document.querySelector(`#${arguments[0]} select[data-choice=${arguments[1]}]`).value",
                    figure,
                    choice,
                )
                self.choose(figure, choice, value)
            for kind, panel in zip(TYPES, ("WQ", "WK", "WV", "WO", "Wgate", "Wup", "Wdown")):
                name = "mean ± std" if figure == "bandwidth" else "instruct"
                found = self.traces(figure, panel, name)
                self.assertEqual(len(found), 1, (figure, kind))
                self.assertEqual(found[0]["x"], [m["layer"] for m in matrices(0, kind)])
                np.testing.assert_allclose(found[0]["y"], [m[key] for m in matrices(0, kind)], rtol=1e-6)
            for choice, value in before.items():
                self.choose(figure, choice, value)

    def test_nf_over_its_null(self):
        rows = matrices(0, "W_gate")
        found = self.traces("nf", "Wgate", "instruct")[0]
        ratios = [over_null(m, "nf_robust") for m in rows]
        np.testing.assert_allclose(np.array(found["y"], float), ratios, rtol=1e-5)

    def test_bandwidth_in_percent_of_the_mean(self):
        kind = next(t for t in result["comparisons"][0]["types"] if t["type"] == "W_O")
        found = self.traces("bandwidth", "WO", "mean ± std")[0]
        expected = [100 * (m["alpha_mean"] / kind["alpha_mean"] - 1) for m in matrices(0, "W_O")]
        np.testing.assert_allclose(found["y"], expected, rtol=1e-4, atol=1e-5)

    def test_every_figure_has_its_null(self):
        """Beside each value of a post stands what chance gives: in the value's line, or as noise in the same figure."""
        without = set()
        for figure in FIGURES:
            rows = self.tidy(figure)
            noise = {row["quantity"] for row in rows if row["model"].startswith("noise")}
            bare = {row["quantity"] for row in rows if row["role"] == "post" and row["null"] is None}
            without |= {(figure, quantity) for quantity in bare - noise}
        # What has the size of a change has no null: noise has the same by construction. The null of a turn is a line.
        allowed = {("change", "relative_change"), ("turn", "turn_u"), ("turn", "turn_v"), ("turn", "null of turn_u"),
                   ("turn", "null of turn_v"), ("residual", "delta_q1 - I"), ("residual", "delta_q2 - I"),
                   # Their nulls stand above the panels: test_composite.
                   ("composite", "i_orth - I"), ("composite", "alpha/mean - 1")}
        self.assertEqual(without - allowed, set())
        quantities = {row["quantity"] for row in self.tidy("turn")}
        self.assertTrue({"null of turn_u", "turn_u"} <= quantities)
        text = self.browser.run("return document.querySelector('#svsm .plot').textContent")
        kind = next(t for t in result["comparisons"][0]["types"] if t["type"] == "W_K")
        spread = 100 * kind["null"]["alpha_std"] / kind["null"]["alpha_mean"]
        self.assertIn(f"null ± {float(format(spread, '.2g')):g}", text)

    def test_values_are_tidy(self):
        rows = [r for r in self.tidy("nf") if r["model"] == "instruct" and r["type"] == "W_Q"]
        self.assertEqual([r["layer"] for r in rows], [m["layer"] for m in valid(0, "W_Q")])
        self.assertEqual({r["quantity"] for r in rows}, {"nf_robust over null"})
        rows = [r for r in self.tidy("bandwidth") if r["type"] == "W_V" and r["quantity"] == "alpha_std"]
        kind = next(t for t in result["comparisons"][0]["types"] if t["type"] == "W_V")
        for row, matrix in zip(rows, matrices(0, "W_V")):
            self.assertAlmostEqual(row["value"], 100 * matrix["alpha_std"] / kind["alpha_mean"], places=4)
            self.assertAlmostEqual(row["null"], 100 * matrix["null"]["alpha_std"] / kind["alpha_mean"], places=4)

    def test_counter_over_co(self):
        if self.browser.run("return document.querySelector('#counter select[data-choice=measure]') !== null"):
            self.choose("counter", "measure", "ratio")
        found = self.traces("counter", "WV", "instruct")[0]
        np.testing.assert_allclose(found["y"], [m["energy"]["counter_over_co"] for m in matrices(0, "W_V")], rtol=1e-6)

    def test_energy_shares_and_chance(self):
        rows = matrices(0, "W_down")
        m, n = max(rows[0]["d_in"], rows[0]["d_out"]), rows[0]["n"]
        chance = n * (n - 1) / 2 / (m * n - 1)
        bars = {t["group"]: t for t in self.traces("energy", "Wdown") if t["type"] == "bar"}
        np.testing.assert_allclose(bars["co_rotation"]["y"], [m["energy"]["co_rotation"] for m in rows], rtol=1e-6)
        np.testing.assert_allclose(
            bars["counter_rotation"]["y"], [-m["energy"]["counter_rotation"] for m in rows], rtol=1e-6
        )
        levels = sorted(t["y"][0] for t in self.traces("energy", "Wdown", "chance"))
        np.testing.assert_allclose(levels, [-chance, chance], rtol=1e-9)
        self.choose("energy", "view", "shares")
        parts = {t["name"]: t for t in self.traces("energy", "Wdown") if t["type"] == "bar"}
        self.assertEqual(set(parts), {"scaling", "co-rotation", "counter-rotation", "leakage"})
        np.testing.assert_allclose(np.sum([t["y"] for t in parts.values()], axis=0), 1, rtol=1e-5)
        levels = [t["y"][0] for t in self.traces("energy", "Wdown", "chance") if t["y"][0] is not None]
        np.testing.assert_allclose(levels[0], chance, rtol=1e-9)
        self.choose("energy", "view", "split")

    def test_heatmap_of_scaling_factors(self):
        self.choose("svsm", "values", "alpha")
        found = self.traces("svsm", "WO", "instruct")[0]
        z = np.array(found["z"], dtype=float)
        for column, row in enumerate(matrices(0, "W_O")):
            where = f"{row['layer']}.W_O.sigma"
            alpha = arrays["0." + where] / arrays["base." + where]
            np.testing.assert_allclose(z[:, column], alpha, rtol=1e-5)
        self.assertEqual(found["y"], list(range(1, row["n"] + 1)))
        self.choose("svsm", "values", "relative")
        kind = next(t for t in result["comparisons"][0]["types"] if t["type"] == "W_O")
        relative = np.array(self.traces("svsm", "WO", "instruct")[0]["z"], dtype=float)
        np.testing.assert_allclose(relative, 100 * (z / kind["alpha_mean"] - 1), atol=1e-4)

    def test_no_panel_of_the_heatmaps_is_saturated(self):
        """Of each model, noise and control at most one cell in thirty is beyond the colours."""
        beyond = self.browser.run("""
            const {plot} = window.gyro.figures.get('svsm'), models = {};
            for (const {name, z, coloraxis} of plot.data) {
              const {cmin, cmax} = plot.layout[coloraxis], all = z.flat().filter(Number.isFinite);
              models[name] ??= [0, 0];
              models[name][0] += all.filter((v) => v < cmin || v > cmax).length;
              models[name][1] += all.length;
            }
            return Object.values(models).map(([some, all]) => some / all)""")
        self.assertEqual(len(beyond), 2)
        self.assertLess(max(beyond), 1 / 30)

    def test_spectra(self):
        self.choose("spectra", "measure", "sigma")
        found = {t["name"]: t for t in self.traces("spectra", "WK")}
        np.testing.assert_allclose(found["base"]["y"], arrays["base.0.W_K.sigma"], rtol=1e-6)
        np.testing.assert_allclose(found["instruct"]["y"], arrays["0.0.W_K.sigma"], rtol=1e-6)
        self.choose("spectra", "measure", "alpha")
        found = {t["name"]: t for t in self.traces("spectra", "WK")}
        alpha = arrays["0.0.W_K.sigma"] / arrays["base.0.W_K.sigma"]
        np.testing.assert_allclose(found["instruct"]["y"], alpha, rtol=1e-5)

    def test_turn_and_its_null(self):
        self.choose("turn", "detail", "all")
        found = {t["group"]: t for t in self.traces("turn", "instruct WK")}
        np.testing.assert_allclose(np.array(found["u"]["y"], float), arrays["0.0.W_K.turn_u"], rtol=1e-5)
        row = matrices(0, "W_K")[0]
        sigma = arrays["base.0.W_K.sigma"]
        m, n = max(row["d_in"], row["d_out"]), row["n"]
        s2 = row["energy"]["total"] / (m * n) / row["scale"] ** 2
        gap = (sigma[:, None] ** 2 - sigma**2) ** 2
        np.fill_diagonal(gap, math.inf)
        f = s2 * (sigma[:, None] ** 2 + sigma**2) / gap
        expected = np.minimum(1, (f / (1 + 2 * f)).sum(axis=1))
        nulls = [np.array(t["y"], float) for t in self.traces("turn", "WK") if t["group"] == "null"]
        short = min(nulls, key=lambda y: y.sum())
        np.testing.assert_allclose(short, expected, rtol=1e-3)
        self.choose("turn", "detail", "pooled")
        pooled = {t["group"]: t for t in self.traces("turn", "WK")}
        self.assertLessEqual(len(pooled["u"]["x"]), 41)

    def test_rotation_corners(self):
        # Two layers of the post, each with noise of its size beside it.
        self.assertEqual([t["panel"].split(":")[0] for t in self.traces("corner")][::4], ["instruct", "noise (instruct)"] * 2)
        self.choose("choices", "type", "W_Q")
        self.choose("corner", "scale", "paper")
        found = self.traces("corner")
        for trace, key in zip(found[:4], ("sim_u", "sim_v", "sim_diff", "i_orth")):
            np.testing.assert_allclose(trace["z"], arrays[f"0.0.W_Q.{key}"], atol=1e-6)
        residual = self.traces("residual")
        np.testing.assert_allclose(residual[0]["z"], arrays["0.0.W_Q.delta_q1"] - np.eye(25), atol=1e-6)
        noise = np.degrees(np.arccos(np.diag(arrays["1.0.W_Q.delta_q1"].astype(float))))
        angles = [r for r in self.tidy("residual") if r["unit"] == "degrees" and r["layer"] == 0]
        np.testing.assert_allclose([r["null"] for r in angles], noise, atol=0.05)
        self.choose("choices", "type", "all")
        self.choose("corner", "scale", "fitted")

    def test_grids_of_corners(self):
        last = max(m["layer"] for m in matrices(0, "W_Q"))
        for rows, count in (("types", 7 * 2 * 2 * 4), ("models", 2 * 2 * 4), ("grid", 2 * 7)):
            self.choose("corner", "rows", rows)
            self.assertEqual(len(self.traces("corner")), count, rows)
        self.choose("corner", "block", str(last))
        found = self.traces("corner", "instruct WV")
        np.testing.assert_allclose(found[0]["z"], arrays[f"0.{last}.W_V.i_orth"] - np.eye(25), atol=1e-6)
        self.choose("corner", "block", "both")
        self.choose("corner", "rows", "one")

    def test_composite(self):
        self.assertEqual(len([t for t in self.traces("composite") if t["type"] == "heatmap"]), 7 * 3)
        found = self.traces("composite", "(b) robust NF over its null WQ", "instruct")[0]
        np.testing.assert_allclose(
            np.array(found["y"], float), [over_null(m, "nf_robust") for m in matrices(0, "W_Q")], rtol=1e-5
        )
        text = self.browser.run("return document.querySelector('#composite .plot').textContent")
        self.assertEqual(text.count("noise: max"), 7 * 2)

    def test_overview_and_size(self):
        types = {t["type"]: t for t in result["comparisons"][0]["types"]}
        marks = [r for r in self.tidy("overview") if r["model"] == "instruct"]
        for row in marks:
            if row["quantity"] in ("alpha_std_over_null", "nf_robust_mean_over_null", "counter_over_co"):
                self.assertAlmostEqual(row["value"], types[row["type"]][row["quantity"]], places=5)
        self.assertGreaterEqual(len(marks), 3 * len(TYPES) - 2)  # NF of small square matrices has no null
        drawn = self.traces("size", "robust NF / its null", "instruct")[0]
        rows = sorted(valid(0), key=lambda m: TYPES.index(m["type"]))
        norms = [np.linalg.norm(arrays[f"base.{m['layer']}.{m['type']}.sigma"]) for m in rows]
        sizes = [math.sqrt(m["energy"]["total"]) / (m["scale"] * norm) for m, norm in zip(rows, norms)]
        np.testing.assert_allclose(drawn["x"], sizes, rtol=1e-5)
        np.testing.assert_allclose(drawn["y"], [m["nf_robust"] / m["null"]["nf_robust"] for m in rows], rtol=1e-5)

    def test_noise_lies_on_the_null(self):
        """Whatever its size: structure against size has a null for each matrix."""
        rows = [r for r in self.tidy("size") if r["model"].startswith("noise")]
        for quantity in {r["quantity"] for r in rows}:
            values = [r["value"] for r in rows if r["quantity"] == quantity]
            self.assertEqual(len(values), len(valid(1)))
            # α's spread has one draw of a few small matrices.
            self.assertAlmostEqual(float(np.median(values)), 1, delta=0.05 if quantity.startswith("nf") else 0.15)

    def test_filled_marks_are_verdicts(self):
        """A mark of the overview is filled exactly where the result gives a verdict beyond chance."""
        marks = self.browser.run("""
            return window.gyro.figures.get('overview').plot.data.filter((t) => !t.meta?.helper)
              .map((t) => [t.name, t.legendgroup, t.marker.symbol, t.xaxis])""")
        told = {}
        for comparison, name in zip(result["comparisons"], ("instruct", "noise (instruct)")):
            for kind in comparison["types"]:
                for claim, axis in (("uniform_scaling", "x"), ("co_rotation", "x3")):
                    finding = next(f for f in comparison["findings"] if f["id"] == claim)
                    beyond = finding["verdict"] in ("yes", "some_types", "slight", "counter")
                    verdict = kind.get("verdicts", {}).get(claim)
                    told[name, kind["type"], axis] = (
                        verdict in ("yes", "some_types", "slight", "counter")
                        if verdict
                        else beyond and kind["type"] in finding["types"]
                    )
        for name, kind, symbol, axis in marks:
            filled = not symbol.endswith("-open")
            self.assertEqual(filled, told.get((name, kind, axis), False), (name, kind, axis))

    def test_verdicts_and_findings_are_told(self):
        self.browser.run("document.getElementById('findings').open = true")
        text = self.browser.run("return document.getElementById('summary').innerText.replace(/\\s+/g, ' ')")
        for finding in result["comparisons"][0]["findings"]:
            self.assertIn(" ".join(finding["text"].replace("W_", "W").split()), text)
        for question in ("scale uniformly?", "turn together?", "stand out?", "sparse update?"):
            self.assertIn(question, text)
        self.assertIn("instruct: base ×", text)

    def test_table_sorts_from_the_keyboard(self):
        self.browser.run("document.getElementById('types').open = true")

        def column():
            return [c.text for c in self.browser.driver.find_elements(By.CSS_SELECTOR, "#types tbody td:nth-child(4)")]

        self.assertEqual(len(column()), 14)
        head = self.browser.driver.find_element(By.CSS_SELECTOR, "#types thead th:nth-child(4)")
        button = head.find_element(By.TAG_NAME, "button")
        unsorted = column()
        for order in ("ascending", "descending"):
            button.send_keys(Keys.ENTER)
            self.assertEqual(head.get_attribute("aria-sort"), order)
            values = [float(v) for v in column()]
            self.assertEqual(values, sorted(values, reverse=order == "descending"))
        button.send_keys(Keys.SPACE)
        self.assertEqual(head.get_attribute("aria-sort"), "none")
        self.assertEqual(column(), unsorted)

    def test_tables_are_tables(self):
        bad = self.browser.run(
            """
            return [...document.querySelectorAll('table')].filter((t) =>
              !t.closest('[role=region][aria-labelledby]') || !t.querySelector('thead th[scope=col]') ||
              !t.querySelector('tbody th[scope=row]')).length"""
        )
        self.assertEqual(bad, 0)

    def test_copies_csv_and_latex(self):
        self.browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
        for kind in ("csv", "latex"):
            self.browser.driver.find_element(By.CSS_SELECTOR, f"#table3 [data-copy={kind}]").send_keys(Keys.ENTER)
            text = self.browser.run("return window.copied")
            if kind == "csv":
                head, first = (line.split(",") for line in text.splitlines()[:2])
                value = float(first[head.index("W_V mean")])
                expected = next(t for t in result["comparisons"][0]["types"] if t["type"] == "W_V")["alpha_mean"]
                self.assertAlmostEqual(value, expected, places=6)
            else:
                for part in ("\\begin{tabular}", "\\pm", "\\toprule", "\\midrule", "\\bottomrule", "\\caption"):
                    self.assertIn(part, text)
                self.assertNotIn("hline", text)

    def test_every_matrix(self):
        self.browser.driver.find_element(By.CSS_SELECTOR, "#every-matrix summary").send_keys(Keys.ENTER)
        rows = self.browser.run(
            """return new Promise((done) =>
                setTimeout(() => done(document.querySelectorAll('#matrices tbody tr').length), 200))"""
        )
        self.assertEqual(rows, 2 * 21)
        self.choose("choices", "model", "instruct")
        self.assertEqual(self.browser.run("return document.querySelectorAll('#matrices tbody tr').length"), 21)
        self.browser.run(
            "const f = document.querySelector('#matrices input');"
            "f.value = 'w_v'; f.dispatchEvent(new Event('input'))"
        )
        self.assertEqual(self.browser.run("return document.querySelectorAll('#matrices tbody tr').length"), 3)
        self.choose("choices", "model", "all")

    def test_images(self):
        size = self.browser.run("""
            const f = window.gyro.figures.get('nf');
            return Plotly.toImage(f.plot, {format: 'png', width: 900, height: 500}).then((url) => url.length)""")
        self.assertGreater(size, 10000)

    def test_choices_redraw_without_complaint(self):
        self.browser.complaints()
        self.browser.run("""
            for (const select of document.querySelectorAll('.figure select, #choices select[data-choice]')) {
              const before = select.value;
              for (const option of [...select.options].map((o) => o.value)) {
                select.value = option;
                select.dispatchEvent(new Event('change'));
              }
              select.value = before;
              select.dispatchEvent(new Event('change'));
            }""")
        self.assertEqual(self.browser.complaints(), [])

    def test_the_page_s_choices_are_everywhere(self):
        self.choose("choices", "model", "instruct")
        self.choose("choices", "type", "W_V")
        self.choose("choices", "layer", "1")
        for figure in ("nf", "energy", "bandwidth", "counter", "change", "turn", "spectra"):
            self.assertEqual({t["panel"].split()[-1] for t in self.traces(figure)}, {"WV"}, figure)
            about = self.browser.run("return document.querySelector(`#${arguments[0]} .about`).textContent", figure)
            self.assertIn("instruct against base, W_V", about)
        found = {t["name"]: t for t in self.traces("spectra", "WV")}
        alpha = arrays["0.1.W_V.sigma"] / arrays["base.1.W_V.sigma"]
        np.testing.assert_allclose(found["instruct"]["y"], alpha, rtol=1e-5)
        for key, value in (("model", "all"), ("type", "all"), ("layer", "0")):
            self.choose("choices", key, value)

    def test_arrow_keys_read_values(self):
        plot = self.browser.driver.find_element(By.ID, "plot-change")
        self.browser.run("document.getElementById('plot-change').focus()")
        said = []
        for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN):
            plot.send_keys(key)
            time.sleep(0.3)
            said.append(self.browser.run("return document.getElementById('status').textContent"))
        self.assertIn("layer 0", said[0])
        self.assertIn("layer 1", said[1])
        self.assertTrue(said[0].startswith("WQ:") and said[2].startswith("WK:"), said)
        self.assertIn("relative change", said[2])

    def test_values_as_a_table(self):
        self.browser.run("document.querySelector('#nf .values').open = true")
        rows = self.browser.run(
            """return new Promise((done) =>
                setTimeout(() => done(document.querySelectorAll('#nf .values tbody tr').length), 200))"""
        )
        self.assertEqual(rows, len(valid(0)) + len(valid(1)))
        self.browser.run("document.querySelector('#nf .values').open = false")


class Opening(unittest.TestCase):
    def test_nothing_from_a_network_and_no_complaints(self):
        for width, dark in ((1440, False), (800, True), (390, False), (390, True)):
            browser = Browser(width, dark=dark)
            self.addCleanup(browser.close)
            browser.requests()
            browser.open(page())
            browser.run("window.gyro.drawAll()")
            self.assertEqual(browser.foreign_requests(), [])
            self.assertEqual(browser.complaints(), [])
            self.assertLessEqual(browser.run("return document.documentElement.scrollWidth"), width)
            outside = browser.run("""
                return [...window.gyro.figures.values()].filter((f) => {
                  const svg = f.plot.querySelector('.main-svg').getBoundingClientRect();
                  return svg.width > f.plot.getBoundingClientRect().width + 1;
                }).map((f) => f.id)""")
            self.assertEqual(outside, [])

    def test_the_overview_is_in_the_first_window(self):
        browser = Browser(1440, 900)
        self.addCleanup(browser.close)
        browser.open(page())
        place = browser.run("""
            return new Promise((done) => setTimeout(() => {
              const box = document.querySelector('#plot-overview .main-svg').getBoundingClientRect();
              done([box.top, box.bottom]);
            }, 500))""")
        self.assertGreater(place[0], 0)
        self.assertLess(place[1], 900)

    def test_the_address_keeps_the_choices(self):
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(page())
        browser.run("""
            for (const [where, value] of [['#choices select[data-choice=model]', 'instruct'],
                                          ['#choices select[data-choice=type]', 'W_down'],
                                          ['#nf select[data-choice=scale]', 'log']]) {
              const select = document.querySelector(where);
              select.value = value;
              select.dispatchEvent(new Event('change'));
            }
            document.querySelector('[data-place=nf]').click()""")
        address = browser.run("return location.hash")
        self.assertEqual(address, "#nf;model=instruct;type=W_down;nf.scale=log")
        browser.driver.get("about:blank")
        browser.driver.get("file://" + page() + address)
        state = browser.run("""
            return new Promise((done) => setTimeout(() => done([
              document.querySelector('#choices select[data-choice=type]').value,
              document.querySelector('#nf select[data-choice=scale]').value,
              document.querySelector('#nf .about').textContent,
              document.getElementById('nf').getBoundingClientRect().top]), 1200))""")
        self.assertEqual(state[:3], ["W_down", "log", "instruct against base, W_down"])
        self.assertLess(abs(state[3]), 200)
        self.assertEqual(browser.complaints(), [])

    def test_an_address_of_nonsense_is_ignored(self):
        browser = Browser()
        self.addCleanup(browser.close)
        browser.driver.get("file://" + page() + "#%E0%A4;model=nobody;type;nf.scale=<b>;;=1")
        browser.run("window.gyro.drawAll()")
        self.assertEqual(browser.run("return document.querySelector('#choices select[data-choice=model]').value"), "all")
        self.assertEqual(browser.complaints(), [])

    def test_text_stands_before_plotly_and_size(self):
        self.assertLess(os.path.getsize(page()), 12 * MEGABYTE)
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(page())
        paint = browser.run("""
            return new Promise((done) => new PerformanceObserver(
              (list) => done(list.getEntriesByName('first-contentful-paint')[0].startTime))
              .observe({type: 'paint', buffered: true}))""")
        self.assertLess(paint, 2000)
        drawn = browser.run("return [...window.gyro.figures.values()].filter((f) => f.drawn).length")
        self.assertLess(drawn, len(FIGURES), "figures far below the window should wait")

    def test_plotly_beside_the_page(self):
        out = os.path.join(folder.name, "beside.html")
        subprocess.run(
            [GYRO, "report", os.path.join(folder.name, "out"), "--out", out, "--plotly", "directory", "--quiet"],
            check=True,
        )
        self.assertLess(os.path.getsize(out), MEGABYTE)
        browser = Browser()
        self.addCleanup(browser.close)
        browser.requests()
        browser.open(out)
        browser.run("window.gyro.drawAll()")
        requested = [url for url in browser.requests() if url.startswith("file:")]
        self.assertEqual([os.path.basename(url) for url in requested], ["beside.html", "plotly.min.js"])
        self.assertEqual(browser.complaints(), [])
        self.assertTrue(browser.run("return [...window.gyro.figures.values()].every((f) => f.drawn)"))

    def test_paper(self):
        browser = Browser(dark=True)
        self.addCleanup(browser.close)
        browser.open(page())
        pdf = base64.b64decode(browser.command("Page.printToPDF", {"printBackground": True})["data"])
        self.assertTrue(pdf.startswith(b"%PDF"))
        self.assertTrue(browser.run("return [...window.gyro.figures.values()].every((f) => f.drawn)"))
        self.assertGreater(len(pdf), 200_000)
        self.assertEqual(browser.complaints(), [])


HOSTILE = [
    "</script><script>window.hacked=1</script>",
    "\"><img src=x onerror='window.hacked=1'>",
    "a\nb\t%{x} <b>bold</b> &lt;i&gt; $x$ '\"",
    "=1+1<svg onload=window.hacked=1>",
    "{{data}} {{style}}",
]


class HostileNames(unittest.TestCase):
    def test_shown_as_text(self):
        out = os.path.join(folder.name, "hostile")
        os.mkdir(out)
        shutil.copy(os.path.join(folder.name, "out", "arrays.safetensors"), out)
        document = json.loads(json.dumps(result))
        document["base"]["id"] = HOSTILE[0]
        document["base"]["revision"] = HOSTILE[1]
        document["options"]["layers"] = HOSTILE[1]
        for i, comparison in enumerate(document["comparisons"]):
            comparison["post"]["id"] = HOSTILE[1 + i]
            comparison["post"]["dtypes"] = [HOSTILE[0]]
            comparison["post"]["sha256"] = HOSTILE[3]
            if "noise_of" in comparison:
                comparison["noise_of"] = HOSTILE[1 + i]
            comparison["findings"][0]["text"] = HOSTILE[4]
            comparison["findings"][1]["verdict"] = HOSTILE[3]
            comparison["findings"][1]["types"] = [HOSTILE[0]]
            for matrix in comparison["matrices"]:
                matrix["tensor"] = HOSTILE[0]
                matrix["flags"] = [HOSTILE[1]]
        with open(os.path.join(out, "result.json"), "w", encoding="utf-8") as f:
            json.dump(document, f)
        subprocess.run([GYRO, "report", out, "--title", HOSTILE[0] + HOSTILE[4], "--quiet"], check=True)
        browser = Browser()
        self.addCleanup(browser.close)
        browser.requests()
        browser.open(page("hostile"))
        browser.run("window.gyro.drawAll(); for (const d of document.querySelectorAll('details')) d.open = true")
        self.assertIsNone(
            browser.run("return new Promise((done) => setTimeout(() => done(window.hacked ?? null), 300))")
        )
        self.assertEqual(browser.complaints(), [])
        self.assertEqual(browser.foreign_requests(), [])
        self.assertEqual(browser.driver.title, HOSTILE[0] + HOSTILE[4])
        ids = browser.run(
            "return [...document.querySelectorAll('#models tbody td:nth-child(3)')].map((td) => td.textContent)"
        )
        for shown, hostile in zip(ids, HOSTILE[:3]):
            self.assertTrue(shown == hostile or hostile.endswith(shown.removeprefix("…")), shown)
        self.assertEqual(
            browser.run(
                "return document.querySelectorAll('main img, main script, main b > b, main svg[onload]').length"
            ),
            0,
        )
        drawn = browser.run("return document.getElementById('svsm').textContent")
        self.assertIn("<img src=x", browser.run("return document.querySelector('#verdicts .name').textContent"))
        self.assertIn("<img", drawn)
        self.assertIn("&lt;i&gt;", drawn)


class Joined(unittest.TestCase):
    def test_same_base_is_one_result_and_another_base_is_chosen(self):
        other, second = os.path.join(folder.name, "other"), os.path.join(folder.name, "second")
        subprocess.run(
            [GYRO, "diff", f"{MODELS}/pico-llama/base", f"{MODELS}/pico-llama/instruct", "--control", "none",
             "--out", other, "--quiet"],
            check=True,
        )
        subprocess.run(
            [GYRO, "diff", f"{MODELS}/pico-qwen2/base", f"{MODELS}/pico-qwen2/base", "--control", "none",
             "--out", second, "--quiet"],
            check=True,
        )
        out = os.path.join(folder.name, "joined.html")
        subprocess.run(
            [GYRO, "report", os.path.join(folder.name, "out"), second, other, "--out", out, "--quiet"], check=True
        )
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(out)
        # First all families together: the tables and figures across them, each model under its base.
        self.assertEqual(browser.run("return document.querySelector('#table3 tbody').rows.length"), 4)
        self.assertIn("pico-llama/base", browser.run("return document.querySelector('#table3 tbody').textContent"))
        browser.run("window.gyro.drawAll()")
        panels = browser.run("return window.gyro.figures.get('families-svsm').plot.layout.meta.panels")
        self.assertEqual(len(panels), 3 * 7)
        drawn = browser.run("return [...window.gyro.figures.values()].map((f) => [f.id, f.drawn])")
        self.assertEqual(dict(drawn), {"families-overview": True, "families-svsm": True, "families-nf": True})
        names = "return [...document.querySelectorAll('.comparison .name')].map((n) => n.textContent)"
        pick = "const s = document.getElementById('result'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))"
        browser.run(pick, 1)
        self.assertEqual(len(browser.run(names)), 3)
        browser.run(pick, 2)
        self.assertEqual(browser.run(names), ["instruct"])
        browser.run("window.gyro.drawAll()")
        self.assertTrue(browser.run("return [...window.gyro.figures.values()].every((f) => f.drawn)"))
        self.assertEqual(browser.complaints(), [])
        title = browser.run("return document.title")
        self.assertIn("; pico-llama/base → instruct", title)


class Mixture(unittest.TestCase):
    """Figures by layer show the median over a layer's experts; the table of every matrix has each."""

    @classmethod
    def setUpClass(cls):
        out = os.path.join(folder.name, "mixture")
        models = [f"{MODELS}/pico-qwen3moe/{name}" for name in ("base", "instruct")]
        subprocess.run([GYRO, "diff", *models, "--out", out, "--quiet"], check=True)
        with open(os.path.join(out, "result.json"), encoding="utf-8") as f:
            cls.rows = json.load(f)["comparisons"][0]["matrices"]
        cls.arrays = load_file(os.path.join(out, "arrays.safetensors"))
        cls.browser = Browser()
        cls.browser.open(page("mixture"))
        cls.browser.run("window.gyro.drawAll()")

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    traces = Report.traces
    choose = Report.choose

    def of(self, layer, key):
        return [m[key] for m in self.rows if m["layer"] == layer and m["type"] == "W_gate"]

    def test_lines_by_layer(self):
        self.choose("nf", "scale", "log")
        self.choose("nf", "measure", "nf")
        for figure, key in (("nf", "nf"), ("change", "relative_change")):
            found = self.traces(figure, "Wgate", "instruct")[0]
            self.assertEqual(found["x"], [0, 1, 2])
            np.testing.assert_allclose(found["y"], [np.median(self.of(layer, key)) for layer in range(3)], rtol=1e-6)
        self.assertEqual(len(self.of(0, "nf")), 1)
        self.assertEqual(len(self.of(1, "nf")), 8)

    def test_heatmap_of_layers_of_different_sizes(self):
        self.choose("svsm", "values", "alpha")
        z = np.array(self.traces("svsm", "Wgate", "instruct")[0]["z"], dtype=float)
        self.assertEqual(z.shape, (64, 3))
        ratio = [self.arrays[f"0.1.W_gate.{e}.sigma"] / self.arrays[f"base.1.W_gate.{e}.sigma"] for e in range(8)]
        np.testing.assert_allclose(z[:48, 1], np.median(ratio, axis=0), rtol=1e-5)
        self.assertTrue(np.isnan(z[48:, 1:]).all())
        np.testing.assert_allclose(z[:, 0], self.arrays["0.0.W_gate.sigma"] / self.arrays["base.0.W_gate.sigma"], rtol=1e-5)

    def test_chance_of_each_layers_own_shape(self):
        levels = self.traces("energy", "Wgate", "chance")[0]["y"]
        expected = [n * (n - 1) / 2 / (m * n - 1) for m, n in ((192, 64), (64, 48), (64, 48))]
        np.testing.assert_allclose(levels[1:4], expected, rtol=1e-9)

    def test_every_matrix(self):
        self.browser.run("document.getElementById('every-matrix').open = true")
        self.browser.run("return new Promise((done) => setTimeout(done, 300))")
        cells = self.browser.run(
            "return [...document.querySelectorAll('#matrices tbody tr')].map((tr) => "
            "[...tr.querySelectorAll('th, td')].slice(1, 3).map((td) => td.textContent))"
        )[: len(self.rows)]
        expected = [[str(m["layer"]), str(m.get("expert", "–"))] for m in self.rows]
        self.assertEqual([[layer, expert.replace("—", "–")] for layer, expert in cells], expected)
        self.assertIn("median over a layer’s experts", self.browser.run("return document.body.textContent"))
        self.assertEqual(self.browser.complaints(), [])

    def test_the_first_expert_has_rotation_matrices(self):
        kinds = {(name.split(".")[1], name.split(".")[3]) for name in self.arrays if ".W_up." in name and name.endswith("sim_u")}
        self.assertEqual(kinds, {("0", "sim_u"), ("2", "0")})


if __name__ == "__main__":
    unittest.main()
