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
    "size",
    "change",
    "cosine",
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
        self.browser.run(
            "const s = document.querySelector(`#${arguments[0]} select[data-choice=${arguments[1]}]`);"
            "s.value = arguments[2]; s.dispatchEvent(new Event('change'))",
            figure,
            key,
            value,
        )

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
            self.assertTrue(figure["label"].startswith(figure["title"]), name)

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
        for figure, key in (("nf", "nf"), ("change", "relative_change"), ("bandwidth", "alpha_mean")):
            for kind, panel in zip(TYPES, ("WQ", "WK", "WV", "WO", "Wgate", "Wup", "Wdown")):
                name = "mean ± std" if figure == "bandwidth" else "instruct"
                found = self.traces(figure, panel, name)
                if figure == "bandwidth":
                    found = found[:1]
                self.assertEqual(len(found), 1, (figure, kind))
                self.assertEqual(found[0]["x"], [m["layer"] for m in matrices(0, kind)])
                np.testing.assert_allclose(found[0]["y"], [m[key] for m in matrices(0, kind)], rtol=1e-6)

    def test_chance_and_null_of_nf(self):
        row = matrices(0, "W_gate")[0]
        chance = self.traces("nf", "Wgate", "chance level")[0]
        np.testing.assert_allclose(chance["y"], row["nf_chance"], rtol=1e-6)
        nulls = [t["y"] for t in self.traces("nf", "Wgate", "null")]
        self.assertTrue(any(np.allclose(y, [m["null"]["nf"] for m in matrices(0, "W_gate")], rtol=1e-6) for y in nulls))

    def test_counter_over_co(self):
        found = self.traces("counter", "WV", "instruct")[0]
        np.testing.assert_allclose(found["y"], [m["energy"]["counter_over_co"] for m in matrices(0, "W_V")], rtol=1e-6)

    def test_energy_shares_and_chance(self):
        parts = {t["name"]: t for t in self.traces("energy", "Wdown") if t["type"] == "bar"}
        self.assertEqual(set(parts), {"scaling", "co-rotation", "counter-rotation", "leakage"})
        rows = matrices(0, "W_down")
        np.testing.assert_allclose(parts["co-rotation"]["y"], [m["energy"]["co_rotation"] for m in rows], rtol=1e-6)
        np.testing.assert_allclose(np.sum([t["y"] for t in parts.values()], axis=0), 1, rtol=1e-5)
        m, n = max(rows[0]["d_in"], rows[0]["d_out"]), rows[0]["n"]
        levels = [t["y"][0] for t in self.traces("energy", "Wdown", "chance") if t["y"][0] is not None]
        np.testing.assert_allclose(levels[0], n * (n - 1) / 2 / (m * n - 1), rtol=1e-9)

    def test_heatmap_of_scaling_factors(self):
        found = self.traces("svsm", "WO", "instruct")[0]
        z = np.array(found["z"], dtype=float)
        for column, row in enumerate(matrices(0, "W_O")):
            where = f"{row['layer']}.W_O.sigma"
            alpha = arrays["0." + where] / arrays["base." + where]
            np.testing.assert_allclose(z[:, column], alpha, rtol=1e-5)
        self.assertEqual(found["y"], list(range(1, row["n"] + 1)))

    def test_spectra(self):
        found = {t["name"]: t for t in self.traces("spectra", "WK")}
        np.testing.assert_allclose(found["base"]["y"], arrays["base.0.W_K.sigma"], rtol=1e-6)
        np.testing.assert_allclose(found["instruct"]["y"], arrays["0.0.W_K.sigma"], rtol=1e-6)

    def test_turn_and_its_null(self):
        self.choose("turn", "detail", "all")
        found = {t["group"]: t for t in self.traces("turn", "WK")}
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
        found = self.traces("corner")
        self.assertEqual(len(found), 8)
        self.choose("corner", "type", "W_Q")
        found = self.traces("corner")
        for trace, key in zip(found[:4], ("sim_u", "sim_v", "sim_diff", "i_orth")):
            np.testing.assert_allclose(trace["z"], arrays[f"0.0.W_Q.{key}"], atol=1e-6)
        residual = self.traces("residual")
        np.testing.assert_allclose(residual[0]["z"], arrays["0.0.W_O.delta_q1"] - np.eye(25), atol=1e-6)

    def test_overview_and_size(self):
        types = {t["type"]: t for t in result["comparisons"][0]["types"]}
        first = self.traces("overview", "counter-rotation / co-rotation")[TYPES.index("W_V")]
        self.assertAlmostEqual(first["x"][0], types["W_V"]["counter_over_co"], places=6)
        marks = self.traces("size", "robust NF", "instruct")[0]
        rows = result["comparisons"][0]["matrices"]
        np.testing.assert_allclose(marks["x"], [m["relative_change"] for m in rows], rtol=1e-6)
        np.testing.assert_allclose(marks["y"], [m["nf_robust"] for m in rows], rtol=1e-6)

    def test_verdicts_and_findings_are_told(self):
        text = self.browser.run("return document.getElementById('summary').innerText.replace(/\\s+/g, ' ')")
        for finding in result["comparisons"][0]["findings"]:
            if finding["id"] in ("unrelated", "low_rank_update", "sparse_update"):
                self.assertIn(finding["text"].replace("W_", "W"), text)
        for question in ("scale uniformly?", "turn together beyond chance?", "stand out"):
            self.assertIn(question, text)

    def test_table_sorts_from_the_keyboard(self):
        def column():
            return [c.text for c in self.browser.driver.find_elements(By.CSS_SELECTOR, "#types tbody td:nth-child(7)")]

        self.assertEqual(len(column()), 14)
        head = self.browser.driver.find_element(By.CSS_SELECTOR, "#types thead th:nth-child(7)")
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
                self.assertIn("\\begin{tabular}", text)
                self.assertIn("\\pm", text)

    def test_every_matrix(self):
        self.browser.driver.find_element(By.CSS_SELECTOR, "#every-matrix summary").send_keys(Keys.ENTER)
        rows = self.browser.run(
            """return new Promise((done) =>
                setTimeout(() => done(document.querySelectorAll('#matrices tbody tr').length), 200))"""
        )
        self.assertEqual(rows, 21)

    def test_images(self):
        size = self.browser.run("""
            const f = window.gyro.figures.get('nf');
            return Plotly.toImage(f.plot, {format: 'png', width: 900, height: 500}).then((url) => url.length)""")
        self.assertGreater(size, 10000)

    def test_choices_redraw_without_complaint(self):
        self.browser.complaints()
        self.browser.run("""
            for (const select of document.querySelectorAll('.figure select')) {
              const before = select.value;
              for (const option of select.options) {
                select.value = option.value;
                select.dispatchEvent(new Event('change'));
              }
              select.value = before;
              select.dispatchEvent(new Event('change'));
            }""")
        self.assertEqual(self.browser.complaints(), [])


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
            comparison["findings"][0]["text"] = HOSTILE[4]
            comparison["findings"][1]["verdict"] = HOSTILE[3]
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
        browser.run("window.gyro.drawAll(); document.getElementById('every-matrix').open = true")
        self.assertIsNone(
            browser.run("return new Promise((done) => setTimeout(() => done(window.hacked ?? null), 300))")
        )
        self.assertEqual(browser.complaints(), [])
        self.assertEqual(browser.foreign_requests(), [])
        self.assertEqual(browser.driver.title, HOSTILE[0] + HOSTILE[4])
        ids = browser.run(
            "return [...document.querySelectorAll('#models tbody td:nth-child(3)')].map((td) => td.textContent)"
        )
        self.assertEqual(ids, HOSTILE[:3])
        self.assertEqual(
            browser.run(
                "return document.querySelectorAll('main img, main script, main b > b, main svg[onload]').length"
            ),
            0,
        )
        drawn = browser.run("return document.getElementById('svsm').textContent")
        self.assertIn("<img src=x", browser.run("return document.querySelector('.comparison .name').textContent"))
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
        names = "return [...document.querySelectorAll('.comparison .name')].map((n) => n.textContent)"
        self.assertEqual(len(browser.run(names)), 3)
        browser.run("const s = document.getElementById('result'); s.value = 1; s.dispatchEvent(new Event('change'))")
        self.assertEqual(browser.run(names), ["instruct"])
        browser.run("window.gyro.drawAll()")
        self.assertTrue(browser.run("return [...window.gyro.figures.values()].every((f) => f.drawn)"))
        self.assertEqual(browser.complaints(), [])


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

    def of(self, layer, key):
        return [m[key] for m in self.rows if m["layer"] == layer and m["type"] == "W_gate"]

    def test_lines_by_layer(self):
        for figure, key in (("nf", "nf"), ("change", "relative_change")):
            found = self.traces(figure, "Wgate", "instruct")[0]
            self.assertEqual(found["x"], [0, 1, 2])
            np.testing.assert_allclose(found["y"], [np.median(self.of(layer, key)) for layer in range(3)], rtol=1e-6)
        self.assertEqual(len(self.of(0, "nf")), 1)
        self.assertEqual(len(self.of(1, "nf")), 8)

    def test_heatmap_of_layers_of_different_sizes(self):
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
            "[...tr.querySelectorAll('th, td')].slice(0, 2).map((td) => td.textContent))"
        )
        expected = [[str(m["layer"]), str(m.get("expert", "–"))] for m in self.rows]
        self.assertEqual([[layer, expert.replace("—", "–")] for layer, expert in cells], expected)
        self.assertIn("median over a layer’s experts", self.browser.run("return document.body.textContent"))
        self.assertEqual(self.browser.complaints(), [])

    def test_the_first_expert_has_rotation_matrices(self):
        kinds = {(name.split(".")[1], name.split(".")[3]) for name in self.arrays if ".W_up." in name and name.endswith("sim_u")}
        self.assertEqual(kinds, {("0", "sim_u"), ("2", "0")})


if __name__ == "__main__":
    unittest.main()
