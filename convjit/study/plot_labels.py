"""Texts beside points, placed so that they cover neither each other nor a point.

Greedy: each text takes the first free of some places around its point, nearest first; a text that is moved away is tied
to its point by a thin line. Equal plots get equal places.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convjit.study.plot_data import INK

Box = tuple[float, float, float, float]
"""Left, bottom, right, top, in pixels."""

AROUND = ((1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0.5), (-1, 0.5), (1, -0.5), (-1, -0.5))
DISTANCES = (7, 14, 24, 38, 56, 78, 104)
"""Points (1/72 inch) between a point and its text."""
RADIUS = 4.0
NEAR = 14


def place_labels(
    axes: Any,
    labelled: Sequence[tuple[float, float, str]],
    points: Sequence[tuple[float, float]],
    lines: Sequence[Sequence[tuple[float, float]]] = (),
) -> None:
    """Write the text of every (x, y, text) into the axes, clear of all `points` and of `lines` whose parts are upright
    or level. The axes' limits must be final."""
    figure = axes.figure
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    to_pixels = axes.transData.transform
    frame = axes.get_window_extent()
    room = (frame.x0, frame.y0, frame.x1, frame.y1)
    r = RADIUS * scale
    taken = [(x - r, y - r, x + r, y + r) for x, y in map(to_pixels, points)]
    for line in ([to_pixels(corner) for corner in corners] for corners in lines):
        taken += [(*map(min, a, b), *map(max, a, b)) for a, b in zip(line, line[1:], strict=False)]
    taken = [(a - 1, b - 1, c + 1, d + 1) for a, b, c, d in taken]
    for x, y, text in labelled:
        note = axes.annotate(
            text, (x, y), (0, 0), textcoords="offset points", fontsize=8, color=INK, ha="center", va="center"
        )
        extent = note.get_window_extent()
        size = (extent.width, extent.height)
        offset, box = _free(to_pixels((x, y)), size, taken, room, scale)
        taken.append(box)
        note.set_position(offset)
        if max(abs(offset[0]) - size[0] / 2 / scale, abs(offset[1]) - size[1] / 2 / scale) > NEAR:
            _tie(axes, (x, y), offset, size, scale)


def stairs(points: Sequence[tuple[float, float]], where: str) -> list[tuple[float, float]]:
    """The corners of the steps through points, as matplotlib draws them: "post" keeps y until the next x, "pre" changes it at
    once."""
    found = list(points[:1])
    for (x0, y0), (x1, y1) in zip(points, points[1:], strict=False):
        found += [(x1, y0) if where == "post" else (x0, y1), (x1, y1)]
    return found


def _free(
    point: Sequence[float], size: tuple[float, float], taken: list[Box], room: Box, scale: float
) -> tuple[tuple[float, float], Box]:
    """An offset in points for the middle of the text, and its box: the first place that is free, or the least covered."""
    places = [_beside(point, size, way, d * scale) for d in DISTANCES for way in AROUND]
    inside = [b for b in places if room[0] <= b[0] and room[1] <= b[1] and b[2] <= room[2] and b[3] <= room[3]]
    box = min(inside or places, key=lambda b: sum(_overlap(b, t) for t in taken))
    middle = ((box[0] + box[2]) / 2 - point[0], (box[1] + box[3]) / 2 - point[1])
    return (middle[0] / scale, middle[1] / scale), box


def _beside(point: Sequence[float], size: tuple[float, float], way: tuple[float, float], distance: float) -> Box:
    x = point[0] + way[0] * (distance + size[0] / 2)
    y = point[1] + way[1] * (distance + size[1] / 2)
    return x - size[0] / 2, y - size[1] / 2, x + size[0] / 2, y + size[1] / 2


def _overlap(a: Box, b: Box) -> float:
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def _tie(
    axes: Any, point: tuple[float, float], offset: tuple[float, float], size: tuple[float, float], scale: float
) -> None:
    """A thin line from the point to the nearest edge of its text."""
    half = size[0] / 2 / scale, size[1] / 2 / scale
    end = tuple(o - max(-h, min(h, o)) for o, h in zip(offset, half, strict=True))
    style = {"arrowstyle": "-", "color": INK, "linewidth": 0.6, "alpha": 0.6, "shrinkA": 0, "shrinkB": 3}
    axes.annotate("", point, end, textcoords="offset points", arrowprops=style)
