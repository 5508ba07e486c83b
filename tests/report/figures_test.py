#!/usr/bin/env python3
"""The report's figures and tables in Chromium: each drawn with the values of result.json and arrays.safetensors and
with its null, its choices, what the keyboard reaches."""

import math
import re
import time
import unittest

import numpy as np
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from shared import FIGURES, TYPES, PageTest, Result, over_null

RESULT = Result()


def tearDownModule():
    RESULT.folder.cleanup()


class Report(PageTest):
    path = RESULT.page

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
            self.assertGreaterEqual(figure["traces"], 1 if name == "change" else 3, name)  # a map a model
            self.assertGreaterEqual(figure["marks"], 1 if name == "change" else 3, name)
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
            ("change", {"measure": "relative_change", "view": "lines"}, "relative_change"),
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
                self.assertEqual(found[0]["x"], [m["layer"] for m in RESULT.matrices(0, kind)])
                np.testing.assert_allclose(found[0]["y"], [m[key] for m in RESULT.matrices(0, kind)], rtol=1e-6)
            for choice, value in before.items():
                self.choose(figure, choice, value)

    def test_nf_over_its_null(self):
        rows = RESULT.matrices(0, "W_gate")
        found = self.traces("nf", "Wgate", "instruct")[0]
        ratios = [over_null(m, "nf_robust") for m in rows]
        np.testing.assert_allclose(np.array(found["y"], float), ratios, rtol=1e-5)

    def test_bandwidth_in_percent_of_the_mean(self):
        kind = RESULT.types(0)["W_O"]
        found = self.traces("bandwidth", "WO", "mean ± std")[0]
        expected = [100 * (m["alpha_mean"] / kind["alpha_mean"] - 1) for m in RESULT.matrices(0, "W_O")]
        np.testing.assert_allclose(found["y"], expected, rtol=1e-4, atol=1e-5)

    def test_panels_of_svsm_say_the_null(self):
        text = self.browser.run("return document.querySelector('#svsm .plot').textContent")
        kind = RESULT.types(0)["W_K"]
        spread = 100 * kind["null"]["alpha_std"] / kind["null"]["alpha_mean"]
        self.assertIn(f"null ± {float(format(spread, '.2g')):g}", text)

    def test_counter_over_co(self):
        if self.browser.run("return document.querySelector('#counter select[data-choice=measure]') !== null"):
            self.choose("counter", "measure", "ratio")
        found = self.traces("counter", "WV", "instruct")[0]
        expected = [m["energy"]["counter_over_co"] for m in RESULT.matrices(0, "W_V")]
        np.testing.assert_allclose(found["y"], expected, rtol=1e-6)

    def test_energy_shares_and_chance(self):
        rows = RESULT.matrices(0, "W_down")
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
        for column, row in enumerate(RESULT.matrices(0, "W_O")):
            where = f"{row['layer']}.W_O.sigma"
            alpha = RESULT.arrays["0." + where] / RESULT.arrays["base." + where]
            np.testing.assert_allclose(z[:, column], alpha, rtol=1e-5)
        self.assertEqual(found["y"], list(range(1, row["n"] + 1)))
        self.choose("svsm", "values", "relative")
        kind = RESULT.types(0)["W_O"]
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
        np.testing.assert_allclose(found["base"]["y"], RESULT.arrays["base.0.W_K.sigma"], rtol=1e-6)
        np.testing.assert_allclose(found["instruct"]["y"], RESULT.arrays["0.0.W_K.sigma"], rtol=1e-6)
        self.choose("spectra", "measure", "alpha")
        found = {t["name"]: t for t in self.traces("spectra", "WK")}
        alpha = RESULT.arrays["0.0.W_K.sigma"] / RESULT.arrays["base.0.W_K.sigma"]
        np.testing.assert_allclose(found["instruct"]["y"], alpha, rtol=1e-5)

    def test_turn_and_its_null(self):
        self.choose("turn", "detail", "all")
        found = {t["group"]: t for t in self.traces("turn", "instruct WK")}
        np.testing.assert_allclose(np.array(found["u"]["y"], float), RESULT.arrays["0.0.W_K.turn_u"], rtol=1e-5)
        row = RESULT.matrices(0, "W_K")[0]
        sigma = RESULT.arrays["base.0.W_K.sigma"]
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

    def test_map_of_layers_and_types(self):
        """A row a type, a column a layer: values as they are, or how many times chance's they are."""
        grid = lambda c, of: [[of(m) for m in RESULT.matrices(c, kind)] for kind in TYPES]
        found = self.traces("change")
        self.assertEqual([t["name"] for t in found], ["instruct"], "noise has its post's size")
        np.testing.assert_allclose(found[0]["z"], grid(0, lambda m: m["relative_change"]), rtol=1e-6)
        self.choose("change", "measure", "share_u")
        for level in ("q01", "q50", "q10"):
            self.choose("change", "level", level)
            found = self.traces("change")
            self.assertEqual([t["name"] for t in found], ["instruct", "noise (instruct)"])
            for c, trace in enumerate(found):
                ratio = grid(c, lambda m: self.ratio(m["quantities"]["principal_share"][level]["u"]))
                np.testing.assert_allclose(np.exp2(np.array(trace["z"], float)), ratio, rtol=1e-5)
        self.choose("change", "measure", "overlap_v")
        z = np.exp2(np.array(self.traces("change")[0]["z"], float))
        for row, kind in enumerate(TYPES):
            for column, m in enumerate(RESULT.matrices(0, kind)):
                overlap = m["quantities"]["subspace_overlap"]["q10"]["v"]
                if overlap["null"] is None:
                    self.assertTrue(math.isnan(z[row][column]))
                else:
                    self.assertAlmostEqual(z[row][column] / ((1 - overlap["value"]) / (1 - overlap["null"])), 1, places=4)
        self.assertIn("chance is not", self.browser.run("return document.querySelector('#change .note').textContent"))
        self.choose("change", "measure", "relative_change")

    @staticmethod
    def ratio(figure):
        return figure["value"] / figure["null"]

    def test_principal_directions(self):
        """The curve at every k, over k / d; at the k of the row it is the row's own."""
        row = RESULT.matrices(0, "W_gate")[0]
        found = {t["group"]: t for t in self.traces("principal", "instruct Wgate")}
        for side, d in (("u", row["d_in"]), ("v", row["d_out"])):
            shares = RESULT.arrays[f"0.0.W_gate.principal_{side}"]
            k = np.arange(1, row["n"] + 1)
            np.testing.assert_allclose(found[side]["x"], k / row["n"], rtol=1e-9)
            np.testing.assert_allclose(found[side]["y"], shares / (k / d), rtol=1e-5)
            q10 = row["quantities"]["principal_share"]["q10"]
            self.assertAlmostEqual(shares[q10["k"] - 1], q10[side]["value"], places=9)
        self.choose("principal", "measure", "share")
        found = {t["group"]: t for t in self.traces("principal", "instruct Wgate")}
        np.testing.assert_allclose(found["u"]["y"], RESULT.arrays["0.0.W_gate.principal_u"], rtol=1e-6)
        self.choose("principal", "measure", "over")

    def test_turn_by_layer_and_index(self):
        self.choose("turn-map", "values", "turn")
        self.choose("turn-map", "detail", "all")
        z = np.array(self.traces("turn-map", "WK", "instruct")[0]["z"], float)
        for column, m in enumerate(RESULT.matrices(0, "W_K")):
            np.testing.assert_allclose(10 ** z[:, column], RESULT.arrays[f"0.{m['layer']}.W_K.turn_u"], rtol=1e-5)
        self.choose("turn-map", "detail", "pooled")
        pooled = self.traces("turn-map", "WK", "instruct")[0]
        edges = np.array(pooled["y"]) - 0.5
        self.assertEqual((edges[0], edges[-1]), (0, RESULT.matrices(0, "W_K")[0]["n"]))
        self.assertLess(len(edges), 41)
        means = [RESULT.arrays["0.0.W_K.turn_u"][int(a) : int(b)].mean() for a, b in zip(edges, edges[1:])]
        np.testing.assert_allclose(10 ** np.array(pooled["z"], float)[:, 0], means, rtol=1e-5)
        self.choose("turn-map", "values", "over")

    def test_table_beside_chance(self):
        text = self.browser.run("return [...document.querySelectorAll('#quantities tbody tr')].map((r) => r.innerText)")
        self.assertEqual(len(text), 14)
        for kind, row in zip(TYPES, text):
            share = RESULT.types(0)[kind]["quantities"]["principal_share"]["q10"]["u"]
            self.assertIn(f"×{share['value'] / share['null']:.2f}", row)
            self.assertIn(f"z {share['z']:.1f}".replace("-", "−"), row)
        bold = self.browser.run("return document.querySelectorAll('#quantities td .far').length")
        heads = ("principal_share.q10.u", "principal_share.q10.v", "principal_share.q10.uv", "subspace_overlap.q10.u",
                 "subspace_overlap.q10.v", "spectrum.nss_c")
        figures = [self.figure(t["quantities"], path) for c in (0, 1) for t in RESULT.types(c).values() for path in heads]
        self.assertEqual(bold, sum(f["z"] is not None and abs(f["z"]) > 4 for f in figures))
        self.assertTrue(all(self.browser.run(
            "return [...document.querySelectorAll('#quantities th span[title]')].map((s) => s.title.length > 10)")))

    @staticmethod
    def figure(quantities, path):
        for name in path.split("."):
            quantities = quantities[name]
        return quantities

    def test_rotation_corners(self):
        # Two layers of the post, each with noise of its size beside it.
        models = [t["panel"].split(":")[0] for t in self.traces("corner")][::4]
        self.assertEqual(models, ["instruct", "noise (instruct)"] * 2)
        self.choose("choices", "type", "W_Q")
        self.choose("corner", "scale", "paper")
        found = self.traces("corner")
        for trace, key in zip(found[:4], ("sim_u", "sim_v", "sim_diff", "i_orth")):
            np.testing.assert_allclose(trace["z"], RESULT.arrays[f"0.0.W_Q.{key}"], atol=1e-6)
        residual = self.traces("residual")
        np.testing.assert_allclose(residual[0]["z"], RESULT.arrays["0.0.W_Q.delta_q1"] - np.eye(25), atol=1e-6)
        noise = np.degrees(np.arccos(np.diag(RESULT.arrays["1.0.W_Q.delta_q1"].astype(float))))
        angles = [r for r in self.tidy("residual") if r["quantity"] == "angle of delta_q1" and r["layer"] == 0]
        np.testing.assert_allclose([r["null"] for r in angles], noise, atol=0.05)
        self.choose("choices", "type", "all")
        self.choose("corner", "scale", "fitted")

    def test_grids_of_corners(self):
        last = max(m["layer"] for m in RESULT.matrices(0, "W_Q"))
        for rows, count in (("types", 7 * 2 * 2 * 4), ("models", 2 * 2 * 4), ("grid", 2 * 7)):
            self.choose("corner", "rows", rows)
            self.assertEqual(len(self.traces("corner")), count, rows)
            shown = self.browser.run("return document.querySelector('#corner select[data-choice=rows]').value")
            self.assertEqual(shown, rows)
        self.choose("corner", "block", str(last))
        found = self.traces("corner", "instruct WV")
        np.testing.assert_allclose(found[0]["z"], RESULT.arrays[f"0.{last}.W_V.i_orth"] - np.eye(25), atol=1e-6)
        self.choose("corner", "block", "both")
        self.choose("corner", "rows", "one")

    def test_composite(self):
        self.assertEqual(len([t for t in self.traces("composite") if t["type"] == "heatmap"]), 7 * 3)
        found = self.traces("composite", "(b) robust NF over its null WQ", "instruct")[0]
        np.testing.assert_allclose(
            np.array(found["y"], float), [over_null(m, "nf_robust") for m in RESULT.matrices(0, "W_Q")], rtol=1e-5
        )
        text = self.browser.run("return document.querySelector('#composite .plot').textContent")
        self.assertEqual(len(re.findall(r"max [\d.]+, NF [\d.]+noise: [\d.]+, [\d.]+", text)), 7 * 2)

    def test_overview_and_size(self):
        types = RESULT.types(0)
        marks = [r for r in self.tidy("overview") if r["model"] == "instruct"]
        for row in marks:
            if row["quantity"] in ("alpha_std_over_null", "nf_robust_mean_over_null", "counter_over_co"):
                self.assertAlmostEqual(row["value"], types[row["type"]][row["quantity"]], places=5)
        self.assertGreaterEqual(len(marks), 3 * len(TYPES) - 2)  # NF of small square matrices has no null
        drawn = self.traces("size", "robust NF / its null", "instruct")[0]
        rows = sorted(RESULT.valid(0), key=lambda m: TYPES.index(m["type"]))
        norms = [np.linalg.norm(RESULT.arrays[f"base.{m['layer']}.{m['type']}.sigma"]) for m in rows]
        sizes = [math.sqrt(m["energy"]["total"]) / (m["scale"] * norm) for m, norm in zip(rows, norms)]
        np.testing.assert_allclose(drawn["x"], sizes, rtol=1e-5)
        np.testing.assert_allclose(drawn["y"], [m["nf_robust"] / m["null"]["nf_robust"] for m in rows], rtol=1e-5)

    def test_noise_lies_on_the_null(self):
        """Whatever its size: structure against size has a null for each matrix."""
        rows = [r for r in self.tidy("size") if r["model"].startswith("noise")]
        for quantity in ("nf_robust", "alpha_std"):
            valid = [(m["type"], m["layer"]) for m in RESULT.valid(1)]
            named = [r for r in rows if r["quantity"] == quantity and (r["type"], r["layer"]) in valid]
            values = [r["value"] / r["null"] for r in named]
            self.assertEqual(len(values), len(RESULT.valid(1)))
            # α's spread has one draw of a few small matrices.
            self.assertAlmostEqual(float(np.median(values)), 1, delta=0.05 if quantity.startswith("nf") else 0.15)

    def test_filled_marks_are_verdicts(self):
        """A mark of the overview is filled exactly where the result gives a verdict beyond chance."""
        marks = self.browser.run("""
            return window.gyro.figures.get('overview').plot.data.filter((t) => !t.meta?.helper)
              .map((t) => [t.name, t.legendgroup, t.marker.symbol, t.xaxis])""")
        told = {}
        for comparison, name in zip(RESULT.document["comparisons"], ("instruct", "noise (instruct)")):
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
        for finding in RESULT.document["comparisons"][0]["findings"]:
            self.assertIn(" ".join(finding["text"].replace("W_", "W").split()), text)
        for question in ("scale uniformly?", "change symmetric?", "stand out?", "sparse update?"):
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
                expected = RESULT.types(0)["W_V"]["alpha_mean"]
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
        self.choose("change", "view", "lines")
        for figure in ("nf", "energy", "bandwidth", "counter", "change", "principal", "turn", "turn-map", "spectra"):
            self.assertEqual({t["panel"].split()[-1] for t in self.traces(figure)}, {"WV"}, figure)
            about = self.browser.run("return document.querySelector(`#${arguments[0]} .about`).textContent", figure)
            self.assertIn("instruct against base, W_V", about)
        found = {t["name"]: t for t in self.traces("spectra", "WV")}
        alpha = RESULT.arrays["0.1.W_V.sigma"] / RESULT.arrays["base.1.W_V.sigma"]
        np.testing.assert_allclose(found["instruct"]["y"], alpha, rtol=1e-5)
        self.choose("change", "view", "map")
        for key, value in (("model", "all"), ("type", "all"), ("layer", "0")):
            self.choose("choices", key, value)

    def test_arrow_keys_read_values(self):
        self.choose("change", "view", "lines")
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
        self.choose("change", "view", "map")

    def test_values_as_a_table(self):
        self.browser.run("document.querySelector('#nf .values').open = true")
        rows = self.browser.run(
            """return new Promise((done) =>
                setTimeout(() => done(document.querySelectorAll('#nf .values tbody tr').length), 200))"""
        )
        self.assertEqual(rows, 5 * (len(RESULT.matrices(0)) + len(RESULT.matrices(1))))  # quantities a matrix
        self.browser.run("document.querySelector('#nf .values').open = false")


if __name__ == "__main__":
    unittest.main()
