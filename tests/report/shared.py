"""What the tests of the page share: one result, its page, and what figures show of it."""

import json
import math
import os
import subprocess
import tempfile
import unittest

from safetensors.numpy import load_file

from browser import Browser

GYRO, MODELS = os.environ["GYRO"], os.environ["GYRO_MODELS"]
TYPES = ["W_Q", "W_K", "W_V", "W_O", "W_gate", "W_up", "W_down"]
FIGURES = {
    "overview",
    "principal",
    "svsm",
    "turn-map",
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

class Result:
    """A result folder and its page: pico-qwen2's instruct model, and noise of the size of its change."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        base, post = (f"{MODELS}/pico-qwen2/{name}" for name in ("base", "instruct"))
        out = self.path("out")
        subprocess.run([GYRO, "diff", base, post, "--control", "noise", "--out", out, "--quiet"], check=True)
        with open(os.path.join(out, "result.json"), encoding="utf-8") as f:
            self.document = json.load(f)
        self.arrays = load_file(os.path.join(out, "arrays.safetensors"))

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def page(self, name="out"):
        return os.path.join(self.folder.name, name, "report.html")

    def matrices(self, comparison, kind=None):
        return [m for m in self.document["comparisons"][comparison]["matrices"] if kind in (None, m["type"])]

    def valid(self, comparison, kind=None):
        """Those that have a null."""
        return [m for m in self.matrices(comparison, kind) if m["null"]["valid"]]

    def types(self, comparison):
        return {t["type"]: t for t in self.document["comparisons"][comparison]["types"]}


def over_null(matrix, key):
    """A value as a multiple of its null, where that holds."""
    return matrix[key] / matrix["null"][key] if matrix["null"]["valid"] else math.nan


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


class PageTest(unittest.TestCase):
    """A page in a browser that stays open for all tests of a class; `path` is the page's."""

    path = None

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser()
        cls.browser.open(cls.path())
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
