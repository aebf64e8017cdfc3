"""Plots: equal for equal data, labelled, clear of each other, in the page's colours."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from convjit.errors import ConvError, Unavailable
from convjit.study import page, plots
from convjit.study.plot_axes import power, tick
from convjit.study.plot_data import PALETTE
from convjit.study.plot_labels import stairs
from convjit.study.plots import Axis, Series, front
from tests.study.html_page import read

SCALE, ERROR = Axis("scale factor", "", "log2"), Axis("NRMSE", "", "log")
TIME = Axis("time", "ms")


@pytest.fixture(autouse=True)
def drawn() -> None:
    pytest.importorskip("matplotlib")


def curve() -> Any:
    """A V with a marked point, a series of zeros, a point that is no number, and a bound."""
    v = Series("i8", [(2.0**n, abs(n - 3) + 0.1) for n in range(8)], marks=(3,))
    zeros = Series("i32", [(1.0, 0.0), (2.0, 0.5), (4.0, math.nan)])
    return plots.lines([v, zeros], SCALE, ERROR, "V", {"clamping": 16.0})


def crowd() -> Any:
    """Points so near to each other that their texts would cover each other."""
    near = [(1 + 0.01 * i, 1 + 0.013 * i) for i in range(8)]
    return plots.scatter([Series("a", near, labels=[f"kernel {i}" for i in range(8)]), Series("b", [(2, 0.5)])], TIME, ERROR)


def piles(stacked: bool) -> Any:
    return plots.bars(["a", "b"], {"L1": [1, 2], "DRAM": [3, math.nan]}, "dataflow", Axis("energy", "µJ"), stacked=stacked)


def roof() -> Any:
    kernels = [Series("f32", [(3, 50)], labels=["res2a"])]
    x, y = Axis("intensity", "operations/byte"), Axis("performance", "Gop/s")
    return plots.roofline({"f32": 100, "i8": 400}, {"DRAM": 20}, kernels, x, y)


@cache
def svg_of(name: str) -> str:
    """The drawing, made once for all tests."""
    return plots.svg(ALL[name]())


ALL: dict[str, Callable[[], Any]] = {"lines": curve, "scatter": crowd, "bars": lambda: piles(False), "stacked": lambda: piles(True), "roofline": roof}


@pytest.mark.parametrize("name", ALL)
def test_equal_data_gives_equal_drawings_in_the_pages_colours(name: str) -> None:
    svg = plots.svg(ALL[name]())
    assert svg == svg_of(name)
    assert "currentColor" in svg and "var(--series-1, #0072b2)" in svg
    assert not [c for c in PALETTE if c in svg.replace(f", {c})", "")]
    assert "#000000" not in svg and "<metadata" not in svg and "<style" not in svg
    reader = read(page.html(page.Page("t", "l", [page.Section("s", [page.Figure(svg, "c", "a"), page.Figure(svg, "c", "a")])])))
    assert [tag for tag, _ in reader.elements].count("svg") == 2


def test_axes_are_labelled_with_units_and_powers() -> None:
    svg = svg_of("lines")
    assert all(text in svg for text in (">scale factor<", ">NRMSE<", ">2³<", ">clamping<", ">i8<", ">V<"))
    assert ">NRMSE: exactly 0<" in svg
    svg = svg_of("bars")
    assert all(text in svg for text in (">energy (µJ)<", ">dataflow<", ">DRAM<"))
    assert all(text in svg_of("roofline") for text in (">intensity (operations/byte)<", ">performance (Gop/s)<", ">res2a<"))


def test_texts_cover_neither_each_other_nor_a_point() -> None:
    figure = crowd()
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts if text.get_text().startswith("kernel")]
    assert len(boxes) == 8
    assert not [1 for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
    points = [axes.transData.transform((1 + 0.01 * i, 1 + 0.013 * i)) for i in range(8)]
    assert not [1 for box in boxes for x, y in points if box.contains(x, y)]


def test_the_front() -> None:
    points = [(1.0, 5.0), (2.0, 3.0), (2.5, 3.0), (3.0, 4.0), (4.0, 1.0), (math.nan, 0.0), (1.0, 5.0)]
    assert front(points) == (0, 1, 4)
    assert front(points, ("high", "low")) == (4,)
    assert front([(1, 1), (2, 2), (0, 3)], ("low", "high")) == (2,)
    assert front([(1, 1), (2, 2), (3, 0)], ("low", "high")) == (0, 1)
    assert front([]) == ()
    assert stairs([(0, 3), (1, 2)], "post") == [(0, 3), (1, 3), (1, 2)]
    assert stairs([(0, 3), (1, 2)], "pre") == [(0, 3), (0, 2), (1, 2)]


def test_powers() -> None:
    assert (power(2, 0.5), power(10, 1000), power(10, 2), power(2, 0)) == ("2⁻¹", "10³", "", "")
    assert (tick(10, 100, True), tick(10, 100, False), tick(10, 1e6, True), tick(2, 4, True)) == ("100", "10²", "10⁶", "2²")


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="^An axis needs a label.$"):
        Axis("", "ms")
    with pytest.raises(ValueError, match="^The scale of an axis is one of linear, log, log2, not 'cubic'.$"):
        Axis("a", "", "cubic")
    with pytest.raises(ValueError, match="^'s' has 1 points and 2 labels.$"):
        Series("s", [(1, 1)], labels=["a", "b"])
    with pytest.raises(ValueError, match="^'s' has 1 points; there is none with the index 1.$"):
        Series("s", [(1, 1)], marks=(1,))
    with pytest.raises(ValueError, match="^'v' has 1 values for 2 categories.$"):
        plots.bars(["a", "b"], {"v": [1]}, "x", TIME)
    with pytest.raises(ValueError, match="^A roofline needs a peak and a bandwidth.$"):
        plots.roofline({}, {"a": 1}, [], TIME, TIME)


def test_no_points_at_all() -> None:
    for figure in (plots.lines([Series("a", [])], SCALE, ERROR), plots.scatter([], TIME, TIME), plots.bars([], {}, "x", TIME)):
        figure.draw_without_rendering()


def test_png(tmp_path: Path) -> None:
    plots.png(curve(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(ConvError, match="cannot be written: there is no folder"):
        plots.png(curve(), tmp_path / "no" / "a.png")


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    figure = curve()
    real = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    for attempt in (curve, lambda: plots.svg(figure)):
        with pytest.raises(Unavailable) as error:
            attempt()
        assert str(error.value) == "error: Plots need matplotlib.\n  hint: `pip install convjit[plot]` brings it."
