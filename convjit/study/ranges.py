"""The range of a tensor's numbers that its integers are to cover: all of it, or less, where few numbers are far out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Range = tuple[Array, Array]
"""The least and the greatest real number: of the whole tensor, or of each output channel."""


def minmax(values: Array, axis: int | None = None) -> Range:
    """The least and the greatest number; with the `axis` of the output channels, of each of them."""
    rows = by_channel(values, axis)
    return _filled(rows.min(-1), rows.max(-1), values)


def percentile(values: Array, percent: float, symmetric: bool, axis: int | None = None) -> Range:
    """The range that leaves 100 - `percent` per cent of the numbers outside: of the absolute values where it is to be
    symmetric, otherwise at either end. Interpolated between numbers as NumPy does ("linear")."""
    rows = by_channel(values, axis)
    if symmetric:
        reach = np.percentile(np.abs(rows), percent, axis=-1)
        return _filled(np.where(rows.min(-1) < 0, -reach, 0.0), reach, values)
    return _filled(np.percentile(rows, 100 - percent, axis=-1), np.percentile(rows, percent, axis=-1), values)


def by_channel(values: Array, axis: int | None) -> NDArray[np.float64]:
    """All numbers in a row, or a row for each output channel."""
    wide = values.astype(np.float64)
    return wide.ravel() if axis is None else np.moveaxis(wide, axis, 0).reshape(values.shape[axis], -1)


def _filled(low: Array, high: Array, values: Array) -> Range:
    """Where nothing but 0 is inside (a pruned channel, a percentile of sparse data), the range of the whole tensor."""
    empty = (low == 0) & (high == 0)
    return np.where(empty, float(values.min()), low), np.where(empty, float(values.max()), high)
