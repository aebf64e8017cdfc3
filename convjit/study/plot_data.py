"""What a plot is made of: series of points, axes with their units, and the colours that tell series apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PALETTE = ("#0072b2", "#c44e00", "#00805a", "#a8477e", "#8a6400", "#3a86b8", "#5b50b5", "#5c6166")
"""After Okabe and Ito, "Color Universal Design" (2008), darkened until each has a contrast of 3 to 1 or more with white
paper (WCAG 2.1, 1.4.11). A page has lighter ones for the dark."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
DASHES = ("solid", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
HATCHES = ("", "///", "\\\\\\", "xxx", "---", "|||", "+++", "//")
INK, GRID, PAPER = "#1d2226", "#d9dde0", "#fdfdfc"

SCALES = ("linear", "log", "log2")


@dataclass(frozen=True)
class Axis:
    """What an axis shows, in which unit ("" where there is none, and only there), on which scale: "linear", "log" (powers
    of ten) or "log2" (powers of two). `low` and `high` are its ends, chosen from the points where they are None."""

    label: str
    unit: str
    scale: str = "linear"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError("An axis needs a label.")
        if self.scale not in SCALES:
            raise ValueError(f"The scale of an axis is one of {', '.join(SCALES)}, not '{self.scale}'.")

    def __str__(self) -> str:
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def holds(self, value: float) -> bool:
        """Whether the axis has a place for the value."""
        return math.isfinite(value) and (self.scale == "linear" or value > 0)


@dataclass(frozen=True)
class Series:
    """Points (x, y) under one name. `marks` are indices of points to be pointed out, `labels` a text beside each point
    (all of them or none; "" for no text)."""

    name: str
    points: Sequence[tuple[float, float]]
    marks: Sequence[int] = ()
    labels: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.labels and len(self.labels) != len(self.points):
            raise ValueError(f"'{self.name}' has {len(self.points)} points and {len(self.labels)} labels.")
        wrong = [i for i in self.marks if not 0 <= i < len(self.points)]
        if wrong:
            raise ValueError(f"'{self.name}' has {len(self.points)} points; there is none with the index {wrong[0]}.")


def front(points: Sequence[tuple[float, float]], better: tuple[str, str] = ("low", "low")) -> tuple[int, ...]:
    """Indices of the points that no other point beats (Pareto), by x. `better` says for x and y whether less is better
    ("low") or more ("high"). Of equal points the first stands for all; points that are not numbers take no part."""
    signs = [1 if b == "low" else -1 for b in better]
    keys = [(signs[0] * x, signs[1] * y, i) for i, (x, y) in enumerate(points) if not math.isnan(x + y)]
    best, found = math.inf, []
    for _, y, i in sorted(keys):
        if y < best:
            best = y
            found.append(i)
    return tuple(sorted(found, key=lambda i: points[i][0]))
