"""Plots from plain data: curves, scatters with their Pareto front, bars, rooflines. Needs the extra `convjit[plot]`.

Figures are matplotlib's, drawn without its global state. `svg` makes a drawing for a page, whose colours follow the
page's light and dark; `png` a file. Equal data gives equal drawings.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from convjit.errors import Unavailable
from convjit.study.inline_svg import plain
from convjit.study.plot_axes import dress, new, plotted, rug
from convjit.study.plot_data import (
    DASHES,
    GRID,
    HATCHES,
    INK,
    MARKERS,
    PALETTE,
    PAPER,
    Axis,
    Series,
    front,
)
from convjit.study.plot_labels import place_labels, stairs
from convjit.study.publish import publish

__all__ = ["Axis", "Series", "bars", "front", "lines", "png", "roofline", "scatter", "svg"]

RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "convjit", "hatch.linewidth": 0.6}
CLOSE = 2.0
"""Peaks of a roofline that differ by less have their names beside each other."""
UNDATED = {"Date": None, "Creator": None, "Format": None, "Type": None}


def lines(series: Sequence[Series], x: Axis, y: Axis, title: str = "", bounds: Mapping[str, float] | None = None) -> Any:
    """Curves through the points in the order of x; marked points get a ring. `bounds` are upright lines at x, by name.

    Points without a place on a logarithmic axis are not dropped: a zero of y stands at its lower edge as a hollow triangle,
    and the legend says so. `Unavailable` without matplotlib.
    """
    figure, axes = new()
    for i, s in enumerate(series):
        points = sorted(plotted(s.points, x, y))
        style = {"color": _colour(i), "linestyle": DASHES[i // len(MARKERS) % len(DASHES)]}
        axes.plot(*_columns(points), marker=MARKERS[i % len(MARKERS)], markersize=4.5, linewidth=1.6, label=s.name, **style)
        _rings(axes, plotted([s.points[m] for m in s.marks], x, y), _colour(i))
    for name, at in (bounds or {}).items():
        axes.axvline(at, color=INK, linewidth=0.9, linestyle=(0, (2, 2)))
        axes.annotate(
            name, (at, 0.98), (-3, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
            fontsize=8, color=INK, rotation=90, ha="right", va="top", zorder=5,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.8, "alpha": 0.85},
        )  # fmt: skip
    dress(axes, x, y, title)
    rug(axes, series, x, y, _colour)
    _legend(axes, len(series) > 1 or any(s.marks for s in series))
    return figure


def scatter(
    series: Sequence[Series], x: Axis, y: Axis, title: str = "", better: tuple[str, str] | None = ("low", "low")
) -> Any:
    """Points with their labels beside them. The Pareto front of all points is a line, where `better` says for x and y
    whether less is better ("low") or more ("high"); None draws none. `Unavailable` without matplotlib."""
    figure, axes = new()
    where = "post" if better is None or better[0] == "low" else "pre"
    for i, s in enumerate(series):
        points = plotted(s.points, x, y)
        style = {"color": _colour(i), "marker": MARKERS[i % len(MARKERS)], "edgecolors": PAPER, "linewidths": 0.6}
        axes.scatter(*_columns(points), s=42, label=s.name, zorder=3, **style)
        _rings(axes, plotted([s.points[m] for m in s.marks], x, y), _colour(i))
    every = [p for s in series for p in plotted(s.points, x, y)]
    best = [every[i] for i in front(every, better)] if better else []
    if best and better:
        axes.step(*_columns(best), where=where, color=INK, linewidth=1, alpha=0.75, label="Pareto front", zorder=2)
    dress(axes, x, y, title)
    rug(axes, series, x, y, _colour)
    axes.margins(0.12)
    _legend(axes, len(series) > 1 or bool(better))
    there = [(p, t) for s in series for p, t in zip(s.points, s.labels, strict=bool(s.labels)) if t]
    corners = stairs(best, where) if best else []
    place_labels(axes, [(*p, t) for p, t in there if x.holds(p[0]) and y.holds(p[1])], every, [corners])
    return figure


def bars(
    categories: Sequence[str], values: Mapping[str, Sequence[float]], x: str, y: Axis, title: str = "", stacked: bool = False
) -> Any:
    """A bar for each category and name in `values` (as many values as categories), beside each other, or one upon the other.
    `x` says what the categories are. A value that is no number has no bar. `Unavailable` without matplotlib."""
    for name, column in values.items():
        if len(column) != len(categories):
            raise ValueError(f"'{name}' has {len(column)} values for {len(categories)} categories.")
    figure, axes = new(width=max(5.2, 0.45 * len(categories) * (1 if stacked else len(values)) + 1.5))
    width = 0.75 if stacked else 0.8 / max(1, len(values))
    bottom = [0.0] * len(categories)
    for i, (name, column) in enumerate(values.items()):
        heights = [v if y.holds(v) else 0.0 for v in column]
        shift = 0.0 if stacked else (i - (len(values) - 1) / 2) * width
        style = {"color": _colour(i), "edgecolor": PAPER, "linewidth": 0.7, "hatch": HATCHES[i % len(HATCHES)]}
        places = [c + shift for c in range(len(categories))]
        axes.bar(places, heights, width, bottom=bottom if stacked else None, label=name, **style)
        bottom = [b + h for b, h in zip(bottom, heights, strict=True)] if stacked else bottom
    long = max((len(c) for c in categories), default=0) * len(categories) > 60
    turned = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if long else {}
    dress(axes, Axis(x, ""), y, title)
    axes.set_xticks(range(len(categories)), list(categories), **turned)
    axes.grid(False, axis="x")
    _legend(axes, len(values) > 1)
    return figure


def roofline(
    peaks: Mapping[str, float], bandwidths: Mapping[str, float], kernels: Sequence[Series], x: Axis, y: Axis, title: str = ""
) -> Any:
    """A roofline (Williams, Waterman, Patterson, CACM 2009): operations per second over operations per byte, on logarithmic
    axes. `peaks` are in the unit of y, `bandwidths` in that of y per that of x, both by name; the highest of each meet in
    the ridge. Points of `kernels` are (intensity, performance). `Unavailable` without matplotlib."""
    figure, axes = new()
    if not peaks or not bandwidths:
        raise ValueError("A roofline needs a peak and a bandwidth.")
    x, y = replace(x, scale="log"), replace(y, scale="log")
    there = [p for s in kernels for p in plotted(s.points, x, y)]
    ridges = [peak / bandwidth for peak in peaks.values() for bandwidth in bandwidths.values()]
    left = x.low or min([r / 8 for r in ridges] + [p[0] / 2 for p in there])
    right = x.high or max([r * 8 for r in ridges] + [p[0] * 6 for p in there])
    top = max(peaks.values())
    for i, (name, bandwidth) in enumerate(bandwidths.items()):
        ends = [left, top / bandwidth]
        axes.plot(ends, [bandwidth * e for e in ends], color=INK, linewidth=1.2, linestyle=DASHES[i % len(DASHES)], label=name)
    below, place = 0.0, 0
    for i, (name, peak) in enumerate(sorted(peaks.items(), key=lambda item: item[1])):
        start = peak / max(bandwidths.values())
        axes.plot([start, right], [peak, peak], color=INK, linewidth=1.2, linestyle=DASHES[i % len(DASHES)])
        place = place + 1 if peak < CLOSE * below else 0  # beside the name of the peak below, not upon it
        axes.annotate(name, (right, peak), (-2 - 48 * place, 2), textcoords="offset points", fontsize=8, color=INK, ha="right")
        below = peak
    for i, s in enumerate(kernels):
        style = {"color": _colour(i), "marker": MARKERS[i % len(MARKERS)], "edgecolors": PAPER, "linewidths": 0.6}
        axes.scatter(*_columns(plotted(s.points, x, y)), s=42, label=s.name, zorder=3, **style)
    dress(axes, x, y, title)
    axes.set_xlim(left, right)
    if y.high is None:
        axes.set_ylim(top=top * 3)
    _legend(axes, True)
    labelled = [(*p, t) for s in kernels for p, t in zip(s.points, s.labels, strict=bool(s.labels)) if t]
    roofs = [[(left, peak), (right, peak)] for peak in peaks.values()]
    place_labels(axes, [(a, b, t) for a, b, t in labelled if a > 0 and b > 0], there, roofs)
    return figure


def svg(figure: Any) -> str:
    """The figure as an SVG element without a background, whose colours are the page's (and stand alone without one)."""
    with _settings():
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=UNDATED, transparent=True)
    drawn = plain(text.getvalue())
    drawn = drawn.replace(INK, "currentColor").replace(GRID, f"var(--grid, {GRID})")
    drawn = drawn.replace(PAPER, f"var(--paper, {PAPER})")
    for i, colour in enumerate(PALETTE, 1):
        drawn = drawn.replace(colour, f"var(--series-{i}, {colour})")
    drawn = re.sub(r"font-family: [^;\"]*", "font-family: sans-serif", drawn)
    return drawn.replace("<svg", '<svg stroke-linejoin="round"', 1)


def png(figure: Any, path: str | Path, dpi: int = 160) -> None:
    """Write the figure as a PNG file on paper's white; it appears whole or not at all. `ConvError` where it cannot be."""
    with _settings():
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    publish(path, data.getvalue())


@contextmanager
def _settings() -> Iterator[None]:
    try:
        import matplotlib
    except ImportError:
        raise Unavailable.of("Plots need matplotlib.", hint="`pip install convjit[plot]` brings it.") from None
    with matplotlib.rc_context(RC):
        yield


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [p[0] for p in points], [p[1] for p in points]


def _rings(axes: Any, points: Sequence[tuple[float, float]], colour: str) -> None:
    """A ring around each of the points."""
    style = {"facecolors": "none", "edgecolors": colour, "linewidths": 1.8, "zorder": 4}
    axes.scatter(*_columns(points), s=130, **style)


def _legend(axes: Any, wanted: bool) -> None:
    if wanted and axes.get_legend_handles_labels()[0]:
        columns = 2 if len(axes.get_legend_handles_labels()[0]) > 3 else 3
        axes.figure.legend(loc="outside lower center", ncols=columns, fontsize=9, frameon=False, labelcolor=INK)
