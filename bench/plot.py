"""Plots: how we compare with each library on each layer, and how near to the peak we are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import summary
from bench.result import Result
from convjit.bench.libraries import OURS

COLOURS = {"torch": "#d95f02", "onnxruntime": "#1b6ca8", "openvino": "#4a9a3f"}
MARKERS = {"torch": "s", "onnxruntime": "o", "openvino": "^"}
ROW = 0.2
"""Inches of height for a layer."""


def draw(results: Sequence[Result], libraries: Sequence[str], title: str, path: Path) -> list[Path]:
    """PNG and SVG beside `path`; none where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("Agg")
    from matplotlib import pyplot

    ordered = [r for group in summary.by_kind(results).values() for r in group if r.ours]
    if not ordered:
        return []
    height = 1.6 + ROW * (len(ordered) + len(summary.by_kind(ordered)))
    figure, (left, right) = pyplot.subplots(
        1, 2, sharey=True, figsize=(12, max(3.5, height)), width_ratios=(3, 1.4), layout="constrained"
    )
    places = _places(ordered)
    _ratios(left, ordered, places, [name for name in libraries if name != OURS])
    _peaks(right, ordered, places)
    left.set_yticks(places, [r.layer.shape for r in ordered], fontsize=7)
    left.set_ylim(places[-1] + 1, -1.5)
    figure.suptitle(title, fontsize=11)
    written = [path.with_suffix(ending) for ending in (".png", ".svg")]
    for file in written:
        figure.savefig(file, dpi=140)
    pyplot.close(figure)
    return written


def _places(results: Sequence[Result]) -> list[float]:
    """The height of every layer; a gap between kinds."""
    places: list[float] = []
    for i, result in enumerate(results):
        gap = 1 if i and result.layer.kind != results[i - 1].layer.kind else 0
        places.append(places[-1] + 1 + gap if places else 0)
    return places


def _ratios(axes: Any, results: Sequence[Result], places: Sequence[float], libraries: Sequence[str]) -> None:
    for library in libraries:
        points = []
        for result, place in zip(results, places, strict=True):
            row = summary.best(result, library=library)
            if row and result.ours:
                points.append((row.seconds / result.ours.seconds, place))
        if points:
            x, y = zip(*points, strict=True)
            style = {"color": COLOURS.get(library, "black"), "marker": MARKERS.get(library, "x")}
            axes.scatter(x, y, s=20, label=library, alpha=0.85, **style)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log", base=2)
    ticks = [0.5, 0.7, 1, 1.4, 2, 3, 4, 6, 8]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("time of the library / time of convjit (log scale; above 1 convjit is faster)")
    axes.grid(axis="both", linewidth=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper right", fontsize=8, title="best of its plain layouts", title_fontsize=8)
    for kind, group in summary.by_kind(results).items():
        top = places[results.index(group[0])]
        axes.annotate(kind, (0.005, top - 0.75), xycoords=("axes fraction", "data"), fontsize=8, weight="bold")


def _peaks(axes: Any, results: Sequence[Result], places: Sequence[float]) -> None:
    shares = [100 * (summary.of_peak(result) or 0) for result in results]
    axes.barh(places, shares, height=0.7, color="#888888")
    axes.axvline(100, color="black", linewidth=0.8)
    axes.set_xlabel("convjit, % of the measured peak")
    axes.grid(axis="x", linewidth=0.3)
