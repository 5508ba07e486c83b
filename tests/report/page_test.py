#!/usr/bin/env python3
"""The report as a page in Chromium: nothing comes from a network, no complaints, at each width, light and dark, on
paper; its address, hostile names as text, several results, mixtures of experts."""

import base64
import json
import os
import shutil
import subprocess
import unittest

import numpy as np
from safetensors.numpy import load_file

from browser import Browser
from shared import FIGURES, GYRO, MODELS, PageTest, Result

MEGABYTE = 1_000_000
RESULT = Result()


def tearDownModule():
    RESULT.folder.cleanup()


class Opening(unittest.TestCase):
    def test_nothing_from_a_network_and_no_complaints(self):
        for width, dark in ((1440, False), (800, True), (390, False), (390, True)):
            browser = Browser(width, dark=dark)
            self.addCleanup(browser.close)
            browser.requests()
            browser.open(RESULT.page())
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
        browser.open(RESULT.page())
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
        browser.open(RESULT.page())
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
        browser.driver.get("file://" + RESULT.page() + address)
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
        browser.driver.get("file://" + RESULT.page() + "#%E0%A4;model=nobody;type;nf.scale=<b>;;=1")
        browser.run("window.gyro.drawAll()")
        model = browser.run("return document.querySelector('#choices select[data-choice=model]').value")
        self.assertEqual(model, "all")
        self.assertEqual(browser.complaints(), [])

    def test_text_stands_before_plotly_and_size(self):
        self.assertLess(os.path.getsize(RESULT.page()), 12 * MEGABYTE)
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(RESULT.page())
        paint = browser.run("""
            return new Promise((done) => new PerformanceObserver(
              (list) => done(list.getEntriesByName('first-contentful-paint')[0].startTime))
              .observe({type: 'paint', buffered: true}))""")
        self.assertLess(paint, 2000)
        drawn = browser.run("return [...window.gyro.figures.values()].filter((f) => f.drawn).length")
        self.assertLess(drawn, len(FIGURES), "figures far below the window should wait")

    def test_plotly_beside_the_page(self):
        out = RESULT.path("beside.html")
        subprocess.run(
            [GYRO, "report", RESULT.path("out"), "--out", out, "--plotly", "directory", "--quiet"],
            check=True,
        )
        self.assertLess(os.path.getsize(out), 1.2 * MEGABYTE)
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
        browser.open(RESULT.page())
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
        out = RESULT.path("hostile")
        os.mkdir(out)
        shutil.copy(os.path.join(RESULT.path("out"), "arrays.safetensors"), out)
        document = json.loads(json.dumps(RESULT.document))
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
        browser.open(RESULT.page("hostile"))
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
        other, second = RESULT.path("other"), RESULT.path("second")
        subprocess.run(
            [GYRO, "diff", f"{MODELS}/pico-llama/base", f"{MODELS}/pico-llama/instruct", "--control", "none", "--out", other, "--quiet"],
            check=True,
        )
        subprocess.run(
            [GYRO, "diff", f"{MODELS}/pico-qwen2/base", f"{MODELS}/pico-qwen2/base", "--control", "none", "--out", second, "--quiet"],
            check=True,
        )
        out = RESULT.path("joined.html")
        subprocess.run(
            [GYRO, "report", RESULT.path("out"), second, other, "--out", out, "--quiet"], check=True
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
        pick = (
            "const s = document.getElementById('result');"
            "s.value = arguments[0]; s.dispatchEvent(new Event('change'))"
        )
        browser.run(pick, 1)
        self.assertEqual(len(browser.run(names)), 3)
        browser.run(pick, 2)
        self.assertEqual(browser.run(names), ["instruct"])
        browser.run("window.gyro.drawAll()")
        self.assertTrue(browser.run("return [...window.gyro.figures.values()].every((f) => f.drawn)"))
        self.assertEqual(browser.complaints(), [])
        title = browser.run("return document.title")
        self.assertIn("; pico-llama/base → instruct", title)


class Mixture(PageTest):
    """Figures by layer show the median over a layer's experts; the table of every matrix has each."""

    @classmethod
    def path(cls):
        return RESULT.page("mixture")

    @classmethod
    def setUpClass(cls):
        out = RESULT.path("mixture")
        models = [f"{MODELS}/pico-qwen3moe/{name}" for name in ("base", "instruct")]
        subprocess.run([GYRO, "diff", *models, "--out", out, "--quiet"], check=True)
        with open(os.path.join(out, "result.json"), encoding="utf-8") as f:
            cls.rows = json.load(f)["comparisons"][0]["matrices"]
        cls.arrays = load_file(os.path.join(out, "arrays.safetensors"))
        super().setUpClass()

    def of(self, layer, key):
        return [m[key] for m in self.rows if m["layer"] == layer and m["type"] == "W_gate"]

    def test_lines_by_layer(self):
        self.choose("nf", "scale", "log")
        self.choose("nf", "measure", "nf")
        self.choose("change", "view", "lines")
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
        dense = self.arrays["0.0.W_gate.sigma"] / self.arrays["base.0.W_gate.sigma"]
        np.testing.assert_allclose(z[:, 0], dense, rtol=1e-5)

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
        names = [name.split(".") for name in self.arrays if ".W_up." in name and name.endswith("sim_u")]
        kinds = {(name[1], name[3]) for name in names}
        self.assertEqual(kinds, {("0", "sim_u"), ("2", "0")})


if __name__ == "__main__":
    unittest.main()
