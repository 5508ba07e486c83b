"""What notebooks show of results. One style for light and dark pages: text and axes take the page's colour, whatever it
is, and the colours of series (Okabe and Ito's, the blue lighter) stand out from white as from black."""

import html
import math

from ._models import short_name

_COLOURS = ("#2a86c8", "#d55e00", "#009e73", "#cc79a7")
_MARKS = ("circle", "square", "up", "down")
_MOST = len(_COLOURS)  # comparisons that are shown
_MANY = 16  # layers, from which on a figure has no room for a mark each
_MUTED = 'style="opacity:.65"'
_STYLE = """<style>
.gyro-result {font-size: 13px; line-height: 1.45; max-width: 60em}
.gyro-result table {border-collapse: collapse; margin: .4em 0; font-size: 12px; font-variant-numeric: tabular-nums}
.gyro-result td, .gyro-result th {text-align: right; padding: .15em .6em; white-space: nowrap; background: transparent}
.gyro-result tr {background: transparent}
.gyro-result th {border-bottom: 1px solid; font-weight: 600}
.gyro-result td:first-child, .gyro-result th:first-child {text-align: left; padding-left: 0}
.gyro-result summary {cursor: pointer; overflow-wrap: anywhere}
.gyro-result ul {margin: .3em 0; padding-left: 1.5em; list-style: none}
.gyro-result li {margin: .2em 0; text-indent: -1.3em; overflow-wrap: anywhere}
.gyro-result li b {display: inline-block; width: 1.3em; text-indent: 0}
</style>"""
_VERDICT_MARKS = {
    "yes": "✓",
    "counter": "✓",
    "some_types": "✓",
    "slight": "≈",
    "rounding": "≈",
    "unclear": "≈",
    "no": "○",
    "as_chance": "○",
}


def result_html(result):
    """A DiffResult: figure, and of each comparison a table by type and the findings. Of many the first four."""
    shown = result.comparisons[:_MOST]
    base = result.data["base"]
    parts = [
        _STYLE,
        '<div class="gyro-result">',
        f"<div><b>{_text(short_name(base['id']))}</b> ({_text(', '.join(filter(None, [base['model_type'], '%d layers' % base['layers']])))}) and "
        f"{', '.join(f'<b>{_text(comparison.name)}</b>' for comparison in shown)}"
        f"{_more(len(result.comparisons) - len(shown))}</div>",
        _figure(shown),
    ]
    for i, comparison in enumerate(shown):
        parts.append(
            f"<details{' open' if i == 0 else ''}><summary>{comparison.role.capitalize()} "
            f"<b>{_text(comparison.name)}</b></summary>{_types(comparison)}{_findings(comparison)}</details>"
        )
    return "".join([*parts, "</div>"])


def evaluation_html(evaluation):
    """An Evaluation: its scores."""
    head = ("variant", "accuracy", "95 %", "in any form", "cut", "tokens", "difference", "p (Holm)")
    parts = [_STYLE, '<div class="gyro-result">']
    for task in evaluation.tasks:
        scores = [score for score in evaluation.scores if score["task"] == task]
        rows = [
            (
                _text(score["variant"]),
                "-" if score["collapsed"] else _percent(score["accuracy"]),
                f"{_percent(score['low'])} to {_percent(score['high'])}",
                _percent(score["accuracy_flexible"]),
                _percent(score["truncated"]),
                _number(score["tokens"], ".1f"),
                _percent(score["difference"], "+"),
                _number(score["p_adjusted"], ".2g"),
            )
            for score in scores
        ]
        counts = f"{scores[0]['questions']} questions, {scores[0]['repeats']} repeats" if scores else ""
        parts.append(f"<div><b>{_text(task)}</b> {counts}</div>{_table(head, rows)}")
    return "".join([*parts, "</div>"])


def probe_html(probe):
    """A Probe, in words."""
    lines = "".join(f"<li><b></b>{_text(sentence)}</li>" for sentence in probe.sentences)
    return f'{_STYLE}<div class="gyro-result"><div><b>{_text(probe.kind)}</b></div><ul>{lines}</ul></div>'


def _types(comparison):
    head = ("type", "matrices", "α mean ± std", "null", "NF", "null", "rel. change", "scaling", "co-rotation")
    rows = []
    for row in comparison.types.values():
        null = row["null"]
        rows.append(
            (
                row["type"],
                row["layers"],
                _spread(row["alpha_mean"], row["alpha_std"]),
                _spread(null["alpha_mean"], null["alpha_std"]),
                _number(row["nf_mean"]),
                _number(null["nf_mean"]),
                _percent(row["relative_change_mean"]),
                *(_word(row["verdicts"][about]) for about in ("uniform_scaling", "co_rotation")),
            )
        )
    return _table(head, rows)


def _findings(comparison):
    lines = [
        f"<li><b>{_VERDICT_MARKS.get(finding['verdict'], '–')}</b>{_text(finding['text'])}</li>"
        for finding in comparison.findings.values()
    ]
    return f"<ul>{''.join(dict.fromkeys(lines))}</ul>"  # several may not be asked for the same reason


def _table(head, rows):
    """Cells are HTML; a column of a null is muted."""
    muted = [_MUTED if name == "null" else "" for name in head]
    lines = ["".join(f"<th {style}>{name}</th>" for name, style in zip(head, muted))]
    lines += ["".join(f"<td {style}>{cell}</td>" for cell, style in zip(row, muted)) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>".replace("<td >", "<td>").replace(
        "<th >", "<th>"
    )


def _text(value):
    return html.escape(str(value).encode("utf-8", "replace").decode())


def _more(count):
    return f" and {count} more, by <code>result[{_MOST}]</code>" if count > 0 else ""


def _number(value, form=".4f"):
    return "–" if value is None else format(value, form).replace("-", "−")


def _spread(mean, std):
    return "–" if mean is None or std is None else f"{_number(mean)} ± {_number(std)}"


def _percent(share, sign=""):
    if share is None:
        return "–"
    percent = 100 * share
    digits = 1 if abs(percent) >= 10 or percent == 0 else 2 if abs(percent) >= 0.1 else 4
    return f"{_number(percent, f'{sign}.{digits}f')} %"


def _word(verdict):
    return _text(verdict.replace("_", " "))


# The figure: of each type a panel, of each layer α's mean, with the same under the null. Of one comparison the standard
# deviations too, since whether α is uniform is whether they are chance's.

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP_X, _GAP_Y, _COLUMNS = 132, 84, 42, 18, 14, 34, 4  # of a panel; around it


def _figure(comparisons):
    series = [_points(comparison) for comparison in comparisons]
    types = list(dict.fromkeys(kind for points in series for kind in points))
    values = [
        value
        for points in series
        for layers in points.values()
        for point in layers
        for value in _ends(point, len(series) == 1)
    ]
    if not values:
        return ""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.01
    low, high = low - room, high + room
    lines = -(-len(types) // _COLUMNS)
    width = _LEFT + min(_COLUMNS, len(types)) * (_WIDTH + _GAP_X)
    width, height = max(width, 460), lines * (_HEIGHT + _GAP_Y) + 22 + 15 * (len(series) > 1)
    layers = sorted({point[0] for points in series for found in points.values() for point in found})
    panels = []
    for i, kind in enumerate(types):
        column, line = i % _COLUMNS, i // _COLUMNS
        x, y = _LEFT + column * (_WIDTH + _GAP_X), line * (_HEIGHT + _GAP_Y) + _TOP
        panels.append(
            f'<g transform="translate({x},{y})">{_axes(kind, low, high, column == 0)}'
            f"{_panel([points.get(kind, []) for points in series], layers[0], layers[-1], low, high)}</g>"
        )
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" style="max-width:100%;height:auto" role="img" '
        f'font-family="system-ui,sans-serif" font-size="10" fill="currentColor">'
        f"<title>α by layer and type, beside its null</title>{''.join(panels)}"
        f"{_legend(comparisons, lines * (_HEIGHT + _GAP_Y) + 12)}</svg>"
    )


def _points(comparison):
    """{type: [(layer, mean, std, null's mean, its std)]}, experts averaged; None where nothing is defined."""
    rows = {}
    for row in comparison.matrices:
        if not row.get("fused"):
            null = row["null"]
            rows.setdefault(row["type"], {}).setdefault(row["layer"], []).append(
                (row["alpha_mean"], row["alpha_std"], null["alpha_mean"], null["alpha_std"])
            )
    return {
        kind: [(layer, *map(_mean, zip(*found))) for layer, found in sorted(layers.items())]
        for kind, layers in rows.items()
    }


def _mean(values):
    defined = [value for value in values if value is not None and math.isfinite(value)]
    return sum(defined) / len(defined) if defined else None


def _ends(point, spread):
    """The values that the axis has to reach."""
    _, mean, std, null, null_std = point
    for value, around in ((mean, std), (null, null_std)):
        if value is not None:
            yield from (value - (around or 0), value + (around or 0)) if spread else (value,)


def _panel(series, first, last, low, high):
    scale, alone, parts = _HEIGHT / (high - low), len(series) == 1, []

    def placed(layer, mean, std):
        x = _WIDTH / 2 if first == last else 6 + (_WIDTH - 12) * (layer - first) / (last - first)
        return x, scale * (high - mean), scale * (std or 0)

    for layer in dict.fromkeys((first, last)):
        x = placed(layer, 1, 0)[0]
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT + 11}" text-anchor="middle">{layer}</text>')
    for i, points in enumerate(series):
        nulls = [placed(layer, null, std) for layer, _, _, null, std in points if null is not None]
        means = [placed(layer, mean, std) for layer, mean, std, _, _ in points if mean is not None]
        if alone:
            parts += [_null_band(nulls), _spreads(means)]
        else:
            parts.append(
                f'<path d="{_path(nulls)}" fill="none" stroke="{_COLOURS[i]}" stroke-dasharray="3 2" opacity=".6"/>'
            )
        if not alone or len(means) > _MANY:
            parts.append(f'<path d="{_path(means)}" fill="none" stroke="{_COLOURS[i]}" stroke-width="1.2"/>')
        few = means if len(means) <= _MANY else [] if alone else means[i :: len(means) // 6]  # marks would be a blot
        marks = "".join(_mark(_MARKS[i], x, y, 2.5) for x, y, _ in few)
        parts.append(f'<path d="{marks}" fill="{_COLOURS[i]}"/>')
    return "".join(parts)


def _null_band(points):
    """Mean and band of the null; of one layer a piece of it."""
    if len(points) == 1:
        points = [(x, y, std) for x, y, std in points for x in (x - 9, x + 9)]
    edges = [(x, y - std) for x, y, std in points] + [(x, y + std) for x, y, std in reversed(points)]
    return (
        f'<path d="{_path(edges)}" opacity=".2"/>'
        f'<path d="{_path(points)}" fill="none" stroke="currentColor" stroke-dasharray="3 2" opacity=".6"/>'
    )


def _spreads(points):
    """Standard deviations: bars, or lines where bars would touch."""
    if len(points) > _MANY:
        edges = _path([(x, y - std) for x, y, std in points]) + _path([(x, y + std) for x, y, std in points])
        return f'<path d="{edges}" fill="none" stroke="{_COLOURS[0]}" opacity=".75"/>'
    bars = "".join(f"M{x:.1f} {y - std:.1f}V{y + std:.1f}" for x, y, std in points)
    return f'<path d="{bars}" stroke="{_COLOURS[0]}" stroke-width="1.6"/>'


def _path(points):
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y, *_ in points) if points else ""


def _mark(kind, x, y, r):
    if kind == "circle":
        return f"M{x - r:.1f} {y:.1f}a{r:.1f} {r:.1f} 0 1 0 {2 * r:.1f} 0a{r:.1f} {r:.1f} 0 1 0 {-2 * r:.1f} 0"
    if kind == "square":
        return f"M{x - r:.1f} {y - r:.1f}h{2 * r:.1f}v{2 * r:.1f}h{-2 * r:.1f}z"
    to = r if kind == "up" else -r
    return f"M{x - r:.1f} {y + to:.1f}h{2 * r:.1f}L{x:.1f} {y - to:.1f}z"


def _axes(kind, low, high, labelled):
    parts = [
        f'<text x="0" y="-5" font-weight="600">{_text(kind)}</text>',
        f'<path d="M0 0V{_HEIGHT}H{_WIDTH}" fill="none" stroke="currentColor" opacity=".45"/>',
    ]
    for tick, label in _ticks(low, high):
        y = _HEIGHT * (high - tick) / (high - low)
        parts.append(f'<path d="M0 {y:.1f}H{_WIDTH}" stroke="currentColor" opacity="{".4" if tick == 1 else ".12"}"/>')
        if labelled:
            parts.append(f'<text x="-4" y="{y + 3.5:.1f}" text-anchor="end">{label}</text>')
    return "".join(parts)


def _ticks(low, high):
    """Two to five round values, with their texts."""
    power = math.floor(math.log10(high - low))
    step = next(
        step
        for step in (m * 10.0 ** (power - 1 + e) for e in range(3) for m in (1, 2, 5))
        if (high - low) / step <= 4.5
    )
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = [round(i * step, 12) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
    return [(tick, f"{tick:.{digits}f}".replace("-", "−")) for tick in ticks]


def _legend(comparisons, y):
    if len(comparisons) == 1:
        return (
            f'<g transform="translate({_LEFT},{y})"><path d="M4 -9V1" stroke="{_COLOURS[0]}" stroke-width="1.6"/>'
            f'<path d="{_mark("circle", 4, -4, 2.6)}" fill="{_COLOURS[0]}"/>'
            f'<text x="14">α by layer, mean ± std over singular values</text>'
            f'<rect x="250" y="-9" width="16" height="10" opacity=".16"/>'
            f'<path d="M250 -4H266" stroke="currentColor" stroke-dasharray="3 2" opacity=".6"/>'
            f'<text x="271">the same by chance</text></g>'
        )
    parts, x = [], 0
    for i, comparison in enumerate(comparisons):
        name = comparison.name if len(comparison.name) <= 22 else comparison.name[:10] + "…" + comparison.name[-10:]
        parts.append(
            f'<path d="M{x} -4H{x + 16}" stroke="{_COLOURS[i]}" stroke-width="1.2"/>'
            f'<path d="{_mark(_MARKS[i], x + 8, -4, 3)}" fill="{_COLOURS[i]}"/><text x="{x + 21}">{_text(name)}</text>'
        )
        x += 40 + 6 * len(name)
    return (
        f'<g transform="translate({_LEFT},{y})">{"".join(parts)}<text y="15">α by layer, mean over singular values; '
        f"dashed: the same by chance</text></g>"
    )
