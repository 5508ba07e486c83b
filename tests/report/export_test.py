#!/usr/bin/env python3
"""What leaves the page: images at their sizes, values beside their nulls, LaTeX, paper; and `gyro report --export`."""

import base64
import csv
import io
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as ET
import zlib

import numpy as np

from browser import Browser
from shared import FIGURES, GYRO, MODELS, PageTest, Result, TYPES

SIZES = {"column": 3.3, "page": 7, "slide": 12.3}
TALLEST_SLIDE, SMALLEST_LETTERS = 7, 6.5
SVG = "{http://www.w3.org/2000/svg}"
result = None

# Everything that could lie on something else, in inches from the image's corner.
BOXES = """
const [id, size, done] = arguments;
const figure = window.gyro.figures.get(id);
window.gyro.figureImage(figure, size).then(({svg, width, height}) => {
  const holder = document.createElement('div');
  holder.style = 'position:absolute;left:0;top:0;z-index:99';
  holder.innerHTML = svg;
  document.body.append(holder);
  const root = holder.firstElementChild.getBoundingClientRect(), scale = width / root.width;
  const box = (node) => {
    const b = node.getBoundingClientRect();
    return [b.left - root.left, b.top - root.top, b.right - root.left, b.bottom - root.top].map((x) => x * scale);
  };
  const all = (selector) => [...holder.querySelectorAll(selector)].filter((n) => n.getBoundingClientRect().width > 0);
  const letters = (node) => {
    const {a, b} = node.getCTM();
    return parseFloat(getComputedStyle(node).fontSize) * Math.hypot(a, b) * 72 / 96;
  };
  // What lies outside a panel is clipped; its axes are not.
  const panel = (subplot) => {
    const lines = [...subplot.querySelectorAll('[class*="lines-"]')].map(box)
      .filter((b) => b[2] > b[0] || b[3] > b[1]);
    return [0, 1, 2, 3].map((i) => (i < 2 ? Math.min : Math.max)(...lines.map((b) => b[i])));
  };
  done({
    width, height, head: all('text.head').map(box), text: all('text.head').map((n) => n.textContent).join(' '),
    legend: all('g.legend').map(box), panels: [...holder.querySelectorAll('g.subplot')].map(panel).filter((b) => b[2] > b[0]),
    bars: all('.cbfills').map(box), barTexts: all('.colorbar text').map(box),
    captions: all('g.annotation').map(box), texts: all('text').map((n) => [n.textContent, ...box(n)]),
    smallest: Math.min(...all('text').map(letters)), dark: getComputedStyle(all('rect')[0]).fill
  });
  holder.remove();
}).catch((error) => done({error: String(error.stack)}));
"""


def overlap(a, b, slack=0.01):
    return min(a[2], b[2]) - max(a[0], b[0]) > slack and min(a[3], b[3]) - max(a[1], b[1]) > slack


def setUpModule():
    global result
    result = Result()
    # As a result of `gyro diff` that tells how it was made.
    path = os.path.join(result.path("out"), "result.json")
    result.document["run"] = {
        "command": "gyro diff base instruct --control noise --out out",
        "date": "2026-11-27T07:20:55Z",
        "seconds": 8.383,
        "commit": "2e5cabf",
    }
    with open(path, "w", encoding="utf-8") as f:
        json.dump(result.document, f)
    subprocess.run([GYRO, "report", result.path("out"), "--quiet"], check=True)


def tearDownModule():
    result.folder.cleanup()


def member(row, name):
    for part in name.split("."):
        row = row[part]
    return row


class Images(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.browser = Browser(dark=True)
        cls.browser.open(result.page())

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()

    def measure(self, figure, size):
        found = self.browser.driver.execute_async_script(BOXES, figure, size)
        self.assertNotIn("error", found, (figure, size))
        return found

    def check(self, figure, size):
        found, where = self.measure(figure, size), (figure, size)
        if size == "slide":
            self.assertLessEqual(found["height"], TALLEST_SLIDE + 0.01, where)
            self.assertLessEqual(found["width"], SIZES[size], where)
        else:
            self.assertEqual(found["width"], SIZES[size], where)
            self.assertGreaterEqual(found["smallest"], SMALLEST_LETTERS, where)
        self.assertEqual(found["dark"], "rgb(255, 255, 255)", where)
        self.assertIn("base → instruct", found["text"], where)
        self.assertGreater(len(found["panels"]), 0, where)
        for name, *box in found["texts"]:
            self.assertTrue(
                -0.01 <= box[0] and -0.01 <= box[1] and box[2] <= found["width"] + 0.01
                and box[3] <= found["height"] + 0.01,
                (*where, name, box, found["width"], found["height"]),
            )
        for one, others in (
            ("head", ("legend", "panels", "captions")),
            ("legend", ("panels", "captions")),
            ("bars", ("barTexts", "panels")),
        ):
            for other in others:
                lying = [(a, b) for a in found[one] for b in found[other] if overlap(a, b)]
                self.assertEqual(lying, [], (*where, one, other))

    def test_nothing_lies_on_anything(self):
        self.assertEqual(set(self.browser.run("return [...window.gyro.figures.keys()]")), FIGURES)
        for figure in sorted(FIGURES):
            for size in SIZES:
                with self.subTest(figure=figure, size=size):
                    self.check(figure, size)
        self.assertEqual(self.browser.complaints(), [])

    def test_names_say_what_is_shown(self):
        def name(figure):
            return self.browser.run("return window.gyro.fileName(arguments[0])", figure)

        self.assertEqual(name("nf"), "gyro-base-nf")
        self.assertEqual(name("spectra"), "gyro-base-spectra-0")
        self.assertEqual(name("residual"), "gyro-base-instruct-residual-W_O")
        self.browser.run("""for (const [key, value] of [['model', 'noise (instruct)'], ['type', 'W_V'], ['layer', '1']]) {
              const s = document.querySelector(`#choices select[data-choice=${key}]`);
              s.value = value; s.dispatchEvent(new Event('change'));
            }""")
        self.assertEqual(name("nf"), "gyro-base-noise_instruct-nf-W_V")
        self.assertEqual(name("spectra"), "gyro-base-noise_instruct-spectra-W_V-1")
        self.assertIn("base → noise (instruct) · W_V · layer 1", self.measure("turn", "page")["text"])
        self.assertEqual(len({name(figure) for figure in FIGURES}), len(FIGURES))
        self.browser.run("location.hash = '#'")


class Values(PageTest):
    path = classmethod(lambda cls: result.page())

    def rows(self, figure):
        text = self.browser.run("return window.gyro.figureCsv(window.gyro.figures.get(arguments[0]))", figure)
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual(
            list(rows[0]), ["model", "role", "type", "layer", "index", "quantity", "value", "null", "unit"]
        )
        return rows

    def same(self, text, number, where, rtol=2e-6):
        if number is None:
            self.assertEqual(text, "", where)
        else:
            np.testing.assert_allclose(float(text), number, rtol=rtol, atol=1e-12, err_msg=str(where))

    def check_matrices(self, figure, rows):
        """Lines of a matrix hold result.json's numbers, and its nulls."""
        nulls = {
            "alpha_mean": "null.alpha_mean",
            "alpha_std": "null.alpha_std",
            "nf": "null.nf",
            "nf_robust": "null.nf_robust",
            "energy.symmetric_share": "energy.symmetric_null",
        }
        own = {"size", "energy.counter_over_co_sd"}
        seen = 0
        for c, name in enumerate(("instruct", "noise (instruct)")):
            found = {(r["type"], int(r["layer"]), r["quantity"]): r for r in rows if r["model"] == name and not r["index"]}
            for (kind, layer, quantity), row in found.items():
                if quantity in own:
                    continue
                matrix = next(m for m in result.matrices(c, kind) if m["layer"] == layer)
                where = (figure, name, kind, layer, quantity)
                self.same(row["value"], member(matrix, quantity), where)
                if quantity.startswith("quantities.") and quantity.endswith(".value"):
                    self.same(row["null"], member(matrix, quantity[: -len("value")] + "null"), where)
                if quantity in nulls:
                    valid = matrix["null"]["valid"] or not quantity.startswith("nf")
                    self.same(row["null"], member(matrix, nulls[quantity]) if valid else None, where)
                self.assertTrue(row["unit"], where)
                seen += 1
        return seen

    def test_matrices_hold_the_results_numbers(self):
        per_model = 2 * len(result.matrices(0))
        for figure, quantities in (
            ("bandwidth", 2), ("nf", 3), ("energy", 6), ("counter", 2), ("change", 25), ("size", 2), ("svsm", 2)
        ):
            seen = self.check_matrices(figure, self.rows(figure))
            self.assertGreaterEqual(seen, quantities * per_model * 0.9, figure)

    def test_types_hold_the_results_numbers(self):
        types = result.types(0)
        rows = [r for r in self.rows("overview") if r["model"] == "instruct"]
        self.assertEqual({r["type"] for r in rows}, set(TYPES))
        for row in rows:
            self.same(row["value"], types[row["type"]][row["quantity"]], row)
        std = next(r for r in rows if (r["type"], r["quantity"]) == ("W_V", "alpha_std"))
        self.same(std["null"], types["W_V"]["null"]["alpha_std"], std)

    def test_shares_of_energy_stand_beside_chance(self):
        m = result.matrices(0, "W_down")[0]
        long, n = max(m["d_in"], m["d_out"]), m["n"]
        rows = [r for r in self.rows("energy") if r["type"] == "W_down" and r["quantity"] == "energy.co_rotation"]
        for row in rows:
            self.same(row["null"], n * (n - 1) / 2 / (long * n - 1), row)

    def test_arrays(self):
        arrays = result.arrays

        def curve(figure, quantity, model="instruct", kind="W_K"):
            rows = [
                r for r in self.rows(figure)
                if (r["model"], r["type"], r["quantity"], r["layer"]) == (model, kind, quantity, "0") and r["index"]
            ]
            return [float(r["value"]) for r in rows], rows

        post, base = arrays["0.0.W_K.sigma"], arrays["base.0.W_K.sigma"]
        np.testing.assert_allclose(curve("spectra", "sigma")[0], post, rtol=1e-6)
        np.testing.assert_allclose(curve("spectra", "sigma", "base")[0], base, rtol=1e-6)
        alpha, rows = curve("svsm", "alpha")
        np.testing.assert_allclose(alpha, post / base, rtol=1e-6)
        self.assertEqual([int(r["index"]) for r in rows], list(range(1, len(base) + 1)))
        matrix = result.matrices(0, "W_K")[0]
        self.same(rows[0]["null"], matrix["null"]["alpha_mean"], rows[0])
        self.assertEqual([r["null"] != "" for r in rows].count(True), matrix["k"])
        turn, rows = curve("turn", "turn_u")
        np.testing.assert_allclose(turn, arrays["0.0.W_K.turn_u"], rtol=1e-5)
        self.assertTrue(all(r["null"] for r in rows))
        shares, rows = curve("principal", "principal_v")
        np.testing.assert_allclose(shares, arrays["0.0.W_K.principal_v"], rtol=1e-6)
        self.same(rows[2]["null"], 3 / matrix["d_out"], rows[2])
        orth, rows = curve("corner", "i_orth", kind="W_O")
        np.testing.assert_allclose(orth, arrays["0.0.W_O.i_orth"].ravel(), rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose([float(r["null"]) for r in rows], arrays["1.0.W_O.i_orth"].ravel(), rtol=1e-6, atol=1e-9)
        self.assertEqual(rows[26]["index"], "2:2")

    def test_every_figure_has_its_null(self):
        for figure in FIGURES:
            rows = [r for r in self.rows(figure) if r["role"] == "post"]
            without = {r["quantity"] for r in rows} - {r["quantity"] for r in rows if r["null"]}
            # Standard deviations and levels of chance belong to the null; noise has the size of its post's change.
            allowed = {"null.nf_robust_sd", "nf_chance", "nf_robust_chance", "energy.counter_over_co_sd", "size",
                       "counter_over_co_sd", "relative_change", "sigma", "symmetric_sd", "energy.symmetric_sd",
                       "update_rank", "unchanged"}
            self.assertEqual(without - allowed, set(), figure)
            self.assertTrue(any(r["null"] for r in rows), figure)

    def test_what_is_drawn_does_not_matter(self):
        usual = self.rows("nf")
        self.choose("nf", "scale", "log")
        self.choose("nf", "measure", "nf")
        self.assertEqual(self.rows("nf"), usual)

    def test_latex_is_the_papers(self):
        self.browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
        for form, nulls in (("latex", 0), ("latex-nulls", 4)):
            self.browser.run("document.querySelector(`#table3 [data-copy=${arguments[0]}]`).click()", form)
            text = self.browser.run("return window.copied")
            self.assertEqual(text.count("\\quad null"), nulls)
            self.assertEqual(text.count("\\mathcal{M}_{\\text{instruct}}"), 2)
            self.assertNotIn("hline", text)
            for kind, (mean, std) in {t: (v["alpha_mean"], v["alpha_std"]) for t, v in result.types(0).items()}.items():
                self.assertIn(f"${mean:.4f} \\pm {std:.4f}$", text, kind)
            lines = [line for line in text.splitlines() if line.endswith("\\\\")]
            self.assertEqual({line.count("&") for line in lines}, {5})  # all rows of one width
            self.assertEqual(text.count("{"), text.count("}"))

    def test_where_it_is_from(self):
        self.browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; };")
        text = self.browser.run("return document.getElementById('cite').innerText")
        for part in ("2026-11-27 07:20:55 UTC", "8.4 s", "2e5cabf", "arXiv", "He, Xinyu and Cao, Xianghui"):
            self.assertIn(part, text)
        copied = []
        for i in range(3):
            self.browser.run("document.querySelectorAll('#cite button')[arguments[0]].click()", i)
            copied.append(self.browser.run("return window.copied"))
        self.assertEqual(copied[0], result.document["run"]["command"])
        self.assertTrue(copied[1].startswith("@software{gyro") and copied[2].startswith("@misc{"))


class Paper(unittest.TestCase):
    def setUp(self):
        self.browser = Browser(dark=True)
        self.addCleanup(self.browser.close)
        self.browser.open(result.page())

    def test_figures_are_cut_between_their_rows(self):
        self.browser.run("window.dispatchEvent(new Event('beforeprint'))")
        self.browser.resize(688)
        self.browser.command("Emulation.setEmulatedMedia", {"media": "print"})
        cut = self.browser.run("""
            return [...window.gyro.figures.values()].map((f) => {
              const slices = [...f.root.querySelectorAll('.slice')], letters = [];
              for (const slice of slices) {
                const box = slice.getBoundingClientRect();
                for (const text of slice.querySelectorAll('.main-svg text')) {
                  const {top, bottom, width} = text.getBoundingClientRect();
                  if (width > 0 && top < box.bottom - 0.5 && bottom > box.top + 0.5 &&
                      (top < box.top - 0.5 || bottom > box.bottom + 0.5)) letters.push(text.textContent);
                }
              }
              const rows = new Set(Object.entries(f.plot.layout).filter(([k, v]) => k.startsWith('yaxis') && v.domain)
                                     .map(([k, v]) => v.domain[1]));
              const height = slices.reduce((sum, s) => sum + parseFloat(s.style.height), 0);
              return {id: f.id, slices: slices.length, rows: rows.size, letters, missing: f.plot._fullLayout.height - height,
                      chosen: f.root.querySelector('.chosen').textContent, choices: f.choices.length,
                      light: f.plot.layout.paper_bgcolor, plot: f.plot.getBoundingClientRect().height};
            })""")
        self.assertEqual({f["id"] for f in cut}, FIGURES)
        for figure in cut:
            self.assertEqual(figure["slices"], figure["rows"], figure)
            self.assertEqual(figure["letters"], [], figure)
            self.assertLess(abs(figure["missing"]), 0.01, figure)
            self.assertEqual(figure["chosen"].count(": ") >= figure["choices"], True, figure)
            self.assertEqual((figure["light"], figure["plot"]), ("#ffffff", 0), figure)
        self.assertIn("Axis: NF / null; Measure: robust NF", next(f for f in cut if f["id"] == "nf")["chosen"])
        # Nothing is wider than the paper, or browsers shrink the whole page.
        self.assertLessEqual(self.browser.run("return document.documentElement.scrollWidth"), 690)
        shown = self.browser.run("""
            const open = (id) => document.getElementById(id).closest('details').open;
            return [open('models'), open('every-matrix'),
                    document.querySelector('#table3 thead button').getBoundingClientRect().height]""")
        self.assertEqual(shown, [True, False, 0])

    def test_the_page_is_as_before(self):
        self.browser.run("window.gyro.drawAll()")
        state = """return [document.querySelectorAll('.on-paper, .sliced').length,
                           [...document.querySelectorAll('details')].filter((d) => d.open).length,
                           [...window.gyro.figures.values()].map((f) => [f.plot.layout.width, f.plot.layout.paper_bgcolor])]"""
        before = self.browser.run(state)
        self.browser.command("Page.printToPDF", {"printBackground": True})
        self.assertEqual(self.browser.run(state), before)
        self.assertEqual(self.browser.complaints(), [])

    def test_one_figure_alone(self):
        self.browser.run("""window.print = () => { window.printed = document.getElementById('sheet').innerHTML.length; };
                            [...document.querySelectorAll('#nf .tools button')].find((b) => b.textContent === 'PDF').click()""")
        self.browser.driver.execute_async_script("""const done = arguments[0], wait = setInterval(() => {
              if (window.printed) { clearInterval(wait); done(); } }, 50)""")
        pdf = base64.b64decode(self.browser.command("Page.printToPDF", {"preferCSSPageSize": True})["data"])
        self.assertEqual(pages(pdf), 1)
        self.assertAlmostEqual(page_width(pdf), 7 * 72, delta=1)
        self.assertEqual(self.browser.run("return document.getElementById('sheet')"), None)


def pages(pdf):
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


def page_width(pdf):
    return float(re.search(rb"/MediaBox\s*\[\s*\S+\s+\S+\s+(\S+)", pdf)[1])


def texts_drawn(pdf):
    """How many runs of text a PDF draws."""
    count = 0
    for stream in re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.S):
        try:
            count += zlib.decompress(stream).count(b" Tf")
        except zlib.error:
            pass
    return count


def run(*arguments, **environment):
    return subprocess.run(
        [GYRO, "report", *arguments], capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )


class Export(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = os.path.join(self.folder.name, "deep", "figures")

    def export(self, *arguments, source="out", **environment):
        done = run(result.path(source), "--export", self.out, *arguments, **environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return set(os.listdir(self.out))

    def read(self, name):
        with open(os.path.join(self.out, name), "rb") as f:
            return f.read()

    def test_all_formats(self):
        names = self.export()
        for figure in FIGURES:
            ends = {os.path.splitext(n)[1] for n in names if f"-{figure}" in n}
            self.assertEqual(ends, {".pdf", ".svg", ".png", ".csv"}, figure)
        for name in names:
            content = self.read(name)
            self.assertRegex(name, r"^gyro-base-[\w.-]+$")
            if name.endswith(".pdf"):
                self.assertEqual(pages(content), 1, name)
                self.assertAlmostEqual(page_width(content), 7 * 72, delta=1)
                self.assertGreater(texts_drawn(content), 15, name)
            elif name.endswith(".svg"):
                root = ET.fromstring(content)
                self.assertEqual((root.tag, root.get("width")), (SVG + "svg", "7in"))
                self.assertIn("Gyro", root.find(SVG + "desc").text)
            elif name.endswith(".png"):
                self.assertEqual(struct.unpack(">I", content[16:20])[0], 2100, name)
                self.assertEqual(content[37:41], b"pHYs")
                self.assertEqual(zlib.crc32(content[37:50]), struct.unpack(">I", content[50:54])[0])
            elif name.endswith(".csv"):
                self.assertGreater(len(list(csv.reader(io.StringIO(content.decode())))), 1, name)
            else:
                self.assertIn(b"\\toprule", content, name)
        self.assertTrue({"gyro-base-table3.tex", "gyro-base-table3-nulls.tex", "gyro-base-table3.csv"} <= names)

    def test_widths_and_choices(self):
        names = self.export("--format", "pdf,csv", "--width", "column,slide", "--choices",
                            "model=instruct;type=W_V;layer=1;nf.scale=log")
        self.assertIn("gyro-base-instruct-nf-W_V-column.pdf", names)
        self.assertIn("gyro-base-instruct-turn-W_V-1-slide.pdf", names)
        self.assertAlmostEqual(page_width(self.read("gyro-base-instruct-nf-W_V-column.pdf")), 3.3 * 72, delta=1)
        rows = list(csv.DictReader(io.StringIO(self.read("gyro-base-instruct-nf-W_V.csv").decode())))
        self.assertEqual({r["type"] for r in rows}, {"W_V"})

    def test_files_are_the_pages(self):
        self.export("--format", "csv")
        browser = Browser()
        self.addCleanup(browser.close)
        browser.open(result.page())
        text = browser.run("return window.gyro.figureCsv(window.gyro.figures.get('nf'))")
        self.assertEqual(self.read("gyro-base-nf.csv").decode(), text)

    def test_several_results(self):
        for name, post in (("second", "pico-qwen2/base"), ("llama", "pico-llama/instruct")):
            base = f"{MODELS}/{post.split('/')[0]}/base"
            subprocess.run([GYRO, "diff", base, f"{MODELS}/{post}", "--out", result.path(name), "--quiet"], check=True)
        done = run(result.path("out"), result.path("llama"), "--export", self.out, "--format", "csv,tex,svg")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        names = os.listdir(self.out)
        self.assertIn(f"Wrote {len(names)} files", done.stdout)
        for name in ("gyro-families-table3.tex", "gyro-families-svsm.svg", "gyro-families-nf.csv"):
            self.assertIn(name, names)
        self.assertIn(b"pico-qwen2/base, pico-llama/base", self.read("gyro-families-nf.svg"))
        self.assertIn("gyro-base-nf.csv", names)
        self.assertIn("gyro-base-nf-2.csv", names)  # both bases are called "base"

    def test_experts(self):
        base, post = (f"{MODELS}/pico-qwen3moe/{name}" for name in ("base", "instruct"))
        subprocess.run([GYRO, "diff", base, post, "--out", result.path("moe"), "--quiet"], check=True)
        self.export("--format", "csv", source="moe")
        rows = list(csv.DictReader(io.StringIO(self.read("gyro-base-nf.csv").decode())))
        with open(os.path.join(result.path("moe"), "result.json"), encoding="utf-8") as f:
            matrices = json.load(f)["comparisons"][0]["matrices"]
        found = {(r["type"], r["layer"], r["expert"]): r["value"] for r in rows if r["quantity"] == "nf" and r["role"] == "post"}
        expert = next(m for m in matrices if m.get("expert") is not None and m["nf"] is not None)
        value = found[(expert["type"], str(expert["layer"]), str(expert["expert"]))]
        np.testing.assert_allclose(float(value), expert["nf"], rtol=1e-6)

    def test_hostile_names(self):
        source = result.path("hostile")
        shutil.copytree(result.path("out"), source)
        document = json.loads(json.dumps(result.document))
        document["base"]["id"] = "../../etc/<script>x</script>"
        document["comparisons"][0]["post"]["id"] = ".\n..%2e/&\"'"
        document["run"]["command"] = "</pre><img src=x onerror=alert(1)>"
        with open(os.path.join(source, "result.json"), "w", encoding="utf-8") as f:
            json.dump(document, f)
        for name in self.export("--format", "svg,tex", source="hostile"):
            self.assertRegex(name, r"^gyro-[\w.-]+$")
            if name.endswith(".svg"):
                ET.fromstring(self.read(name))

    def refused(self, message, **environment):
        done = run(result.path("out"), "--export", self.out, **environment)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, f"^gyro: error: {message}\n$")
        self.assertFalse(os.path.exists(self.out))

    def test_without_a_browser(self):
        self.refused("browser: figures are drawn by Chromium or Chrome, which is not on PATH; GYRO_BROWSER may name it",
                     PATH="/nonexistent", GYRO_BROWSER="")
        self.refused("/nonexistent/browser: GYRO_BROWSER names no program", GYRO_BROWSER="/nonexistent/browser")
        self.refused("browser: ended", GYRO_BROWSER="/bin/false")
        talker = os.path.join(self.folder.name, "talker")
        with open(talker, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\necho 'No usable sandbox!' >&2\nexit 1\n")
        os.chmod(talker, 0o755)
        self.refused("browser: ended; it last said: No usable sandbox!", GYRO_BROWSER=talker)

    def test_nothing_is_left_behind(self):
        folder = os.path.join(self.folder.name, "tmp")
        os.mkdir(folder)
        self.export("--format", "tex", TMPDIR=folder)
        self.assertEqual(os.listdir(folder), [])


if __name__ == "__main__":
    unittest.main()
