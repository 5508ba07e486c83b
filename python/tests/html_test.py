"""What notebooks show."""

import html.parser
import re
import xml.etree.ElementTree

import numpy
import pytest
from conftest import MODELS

import gyro

SVG = "{http://www.w3.org/2000/svg}"


class Page(html.parser.HTMLParser):
    """Its elements, whether they are closed, and the texts of tables' cells by row."""

    VOID = {"br", "img", "path", "rect"}

    def __init__(self, text):
        super().__init__()
        self.names, self.open, self.attributes, self.rows, self.items, self.text = [], [], [], [], [], ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        elif tag == "li":
            self.items.append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data
        elif "li" in self.open:
            self.items[-1] += data


def figure(text):
    """[(title, [(marks' x and y)], y of labelled ticks by value)] of the panels."""
    svg = re.search(r"<svg.*?</svg>", text, re.S).group().replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1)
    panels = []
    for panel in xml.etree.ElementTree.fromstring(svg).findall(f"{SVG}g"):
        title = panel.find(f"{SVG}text[@font-weight]")
        if title is None:  # the legend
            continue
        texts = [(float(t.get("y")), t.text) for t in panel.findall(f"{SVG}text[@text-anchor='end']")]
        filled = [path.get("d") for path in panel.findall(f"{SVG}path") if path.get("fill", "").startswith("#")]
        marks = [[tuple(map(float, xy)) for xy in re.findall(r"M([-\d.]+) ([-\d.]+)a", d)] for d in filled]
        panels.append((title.text, marks, {float(label.replace("−", "-")): y - 3.5 for y, label in texts}))
    return panels


@pytest.fixture
def many_layers():
    """Of 48 layers, small otherwise."""
    generator = numpy.random.default_rng(0)
    sizes = {"self_attn.q_proj": (24, 24), "self_attn.k_proj": (12, 24), "self_attn.v_proj": (12, 24)}
    sizes |= {
        "self_attn.o_proj": (24, 24),
        "mlp.gate_proj": (36, 24),
        "mlp.up_proj": (36, 24),
        "mlp.down_proj": (24, 36),
    }
    base = {
        f"model.layers.{layer}.{name}.weight": generator.standard_normal(size)
        for layer in range(48)
        for name, size in sizes.items()
    }
    return base, {
        f"post {i}": {name: w + 0.02 * i * generator.standard_normal(w.shape) for name, w in base.items()}
        for i in range(1, 6)
    }


def test_table_and_findings_are_the_results(base, post):
    result = gyro.diff(base, post)
    text = result._repr_html_()
    page = Page(text)
    assert len(text.encode()) < 20_000
    types = result.types
    assert [row[0] for row in page.rows[1:]] == list(types)
    for row in page.rows[1:]:
        of = types[row[0]]
        assert row[2] == f"{of['alpha_mean']:.4f} ± {of['alpha_std']:.4f}"
        assert row[3] == f"{of['null']['alpha_mean']:.4f} ± {of['null']['alpha_std']:.4f}"
        assert row[4] == f"{of['nf_mean']:.4f}"
        assert row[5] == ("–" if of["null"]["nf_mean"] is None else f"{of['null']['nf_mean']:.4f}")
        assert float(row[6].removesuffix(" %")) == pytest.approx(100 * of["relative_change_mean"], rel=0.01)
        assert row[7] == of["verdicts"]["uniform_scaling"].replace("_", " ")
        assert row[8] == of["verdicts"]["co_rotation"].replace("_", " ")
    assert [item[1:] for item in page.items] == [finding["text"] for finding in result.findings.values()]
    assert "qwen2, 3 layers" in page.text and "instruct" in page.text


def test_marks_are_where_the_axis_says(base, post):
    result = gyro.diff(base, post)
    panels = figure(result._repr_html_())
    ticks = panels[0][2]  # of all
    low, high = min(ticks), max(ticks)
    for title, (marks,), _ in panels:
        assert len({round(x) for x, _ in marks}) == 3
        values = [low + (ticks[low] - y) / (ticks[low] - ticks[high]) * (high - low) for _, y in marks]
        numpy.testing.assert_allclose(values, result.alpha(title), atol=0.002)
    assert [title for title, *_ in panels] == list(result.types)


def test_loads_and_runs_nothing(base, post):
    page = Page(gyro.diff(base, post, control="noise")._repr_html_())
    assert not {"script", "iframe", "img", "link", "object", "foreignobject", "use"} & set(page.names)
    assert not [(tag, name) for tag, name, value in page.attributes if name.startswith("on") or "://" in (value or "")]


HOSTILE = "</b></svg><i><script>alert(1)\"'&amp; \x00\u202e" + 400 * "x"


def test_names_are_only_text(base, post):
    for given in ({HOSTILE: post}, {HOSTILE: post, "other": post}):
        text = gyro.diff(base, given)._repr_html_()
        page = Page(text)
        assert "script" not in page.names and "alert(1)" in page.text
        assert len(figure(text)) == 7
        assert len(text) < 40_000


def test_a_mixture_of_experts(moe):
    result = gyro.diff(*moe)
    text = result._repr_html_()
    panels = {title: marks for title, (marks,), _ in figure(text)}
    assert list(panels) == list(result.types) and "W_router" in panels
    assert {title: len(marks) for title, marks in panels.items()} == {
        title: 2 if title == "W_router" else 3 for title in panels
    }
    rows = {row[0]: row for row in Page(text).rows[1:]}
    assert rows["W_gate"][1] == "17"  # matrices: one and two times eight


def test_of_many_the_first_four(base, post, many_layers):
    base, posts = many_layers
    result = gyro.diff(base, posts)
    text = result._repr_html_()
    page = Page(text)
    assert page.names.count("details") == page.names.count("table") == 4
    assert "post 4" in page.text and "post 5" not in page.text and "1 more" in page.text
    assert len(text.encode()) < 60_000
    assert all(len(marks) == 4 for _, marks, _ in figure(text))


def test_stays_small(many_layers):
    base, posts = many_layers
    text = gyro.diff(base, posts["post 1"])._repr_html_()
    assert len(text.encode()) < 60_000
    Page(text)
    assert len(figure(text)) == 7


def test_what_is_not_defined_is_a_dash(base):
    zeros = {name: tensor for name, tensor in gyro.open(base).state_dict().items()}
    query = "model.layers.1.self_attn.q_proj.weight"
    zeros[query] = numpy.zeros_like(zeros[query])
    for models in ((base, zeros), (zeros, base), (zeros, zeros), (base, base + "/.")):
        result = gyro.diff(*models)
        text = result._repr_html_()
        assert not {"nan", "inf", "None"} & {
            cell for row in Page(text).rows for cell in re.split("[ ±%]+", " ".join(row))
        }
        assert not re.search("nan|inf|None", re.search("<svg.*?</svg>", text).group())
        figure(text)
    assert gyro.diff(base, zeros, types=["W_Q"], layers=[1])._repr_html_().count("–") > 2


def test_one_layer_and_type(base, post):
    text = gyro.diff(base, post, layers=[1], types=["W_K"])._repr_html_()
    ((title, (marks,), _),) = figure(text)
    assert title == "W_K" and len(marks) == 1


def test_evaluations_and_probes(base, post):
    sums = MODELS.parent / "data" / "tiny_gsm8k.jsonl"
    found = gyro.evaluate(
        base=base, post=post, variants="replace", tasks=f"<i>=a={sums}".replace("a=", ""), limit=2, max_tokens=4
    )
    page = Page(found._repr_html_())
    assert (
        [row[0] for row in page.rows] == ["variant", "original", "replace"]
        and "<i>" in page.text
        and "i" not in page.names
    )
    assert page.rows[1][1] == "-" and page.rows[1][6] == "–" and page.rows[2][7] == "1"
    asked = gyro.probe("drift", base, post, questions="What is <b>2</b> and 3?")
    assert Page(asked._repr_html_()).items == asked.sentences
