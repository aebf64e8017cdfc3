"""Axes as every plot has them: labels with units, ticks as powers, a light grid, no frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from convjit.errors import Unavailable
from convjit.study.plot_data import GRID, INK, MARKERS, Axis, Series

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
BASES = {"log": 10, "log2": 2}


def new(width: float = 5.2, height: float = 3.9) -> tuple[Any, Any]:
    """A figure of that size in inches, and its axes. `Unavailable` without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise Unavailable.of("Plots need matplotlib.", hint="`pip install convjit[plot]` brings it.") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def plotted(points: Sequence[tuple[float, float]], x: Axis, y: Axis) -> list[tuple[float, float]]:
    """The points that have a place on both axes."""
    return [p for p in points if x.holds(p[0]) and y.holds(p[1])]


def dress(axes: Any, x: Axis, y: Axis, title: str) -> None:
    """Scales, limits, labels, ticks, grid and title."""
    _scale(axes.xaxis, x)
    _scale(axes.yaxis, y)
    positive = axes.dataLim.minposx, axes.dataLim.minposy
    for limit, given, least in zip((axes.set_xlim, axes.set_ylim), (x, y), positive, strict=True):
        if given.low is not None or given.high is not None:
            limit(given.low, given.high)
        elif given.scale != "linear" and not math.isfinite(least):
            limit(1, 10)  # there is nothing to choose ends from
    axes.set_xlabel(str(x), color=INK)
    axes.set_ylabel(str(y), color=INK)
    if title:
        axes.set_title(title, color=INK, fontsize=10.5, loc="left")
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, which="both", labelsize=9)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)


def rug(axes: Any, series: Sequence[Series], x: Axis, y: Axis, colour: Callable[[int], str]) -> None:
    """What a logarithmic y axis has no place for: zeros, as hollow triangles at its lower edge."""
    if y.scale == "linear":
        return
    label = f"{y.label}: exactly 0"
    for i, s in enumerate(series):
        at = [p[0] for p in s.points if x.holds(p[0]) and p[1] == 0]
        if at:
            style = {"marker": MARKERS[4], "markerfacecolor": "none", "markeredgecolor": colour(i), "linestyle": "none"}
            axes.plot(at, [0.0] * len(at), transform=axes.get_xaxis_transform(), clip_on=False, label=label, **style)
            label = "_again"


def power(base: int, value: float) -> str:
    """The value as a power of the base, where it is a whole one.

    >>> power(2, 8.0), power(10, 0.001), power(10, 2.0)
    ('2³', '10⁻³', '')
    """
    exponent = round(math.log(value, base)) if value > 0 else 0
    return f"{base}{str(exponent).translate(SUPERSCRIPTS)}" if math.isclose(float(base) ** exponent, value) else ""


def _scale(axis: Any, meant: Axis) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    if meant.scale == "linear":
        return
    base = BASES[meant.scale]
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(base=base, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(base, value, short(axis))))
    axis.set_minor_locator(NullLocator() if base == 2 else LogLocator(base=10, subs=(2.0, 5.0), numticks=12))
    axis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}" if short(axis) else ""))


def short(axis: Any) -> bool:
    """Whether a logarithmic axis is so short that powers of ten alone would leave it bare."""
    low, high = sorted(axis.get_view_interval())
    return bool(low > 0 and high / low < 60)


def tick(base: int, value: float, plain: bool) -> str:
    """A number as it is where the axis is short and the number neither tiny nor huge, else a power."""
    return f"{value:g}" if plain and base == 10 and 1e-3 <= value <= 1e4 else power(base, value)
