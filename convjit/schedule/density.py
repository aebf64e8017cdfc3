"""How many numbers of a weight are not 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convjit.spec.conv import ConvSpec
from convjit.spec.quantize import to_integers

RUNS = (1, 2, 4)
"""Neighbouring channels that an entry of a list may hold."""


@dataclass(frozen=True)
class Density:
    """Shares, 0..1, of the runs of 1, 2 and 4 neighbouring input channels of a tap that are not all 0."""

    shares: tuple[float, ...]

    def of(self, run: int) -> float:
        """Of runs of so many."""
        return self.shares[RUNS.index(run)]


def of_weight(spec: ConvSpec, array: np.ndarray[Any, Any], zero: Any, scale: Any = None) -> Density:
    """Of a weight as it is multiplied: less its zero point, or as `compute` makes integers of it by a scale (both a number,
    or one for each output channel)."""
    tensor = spec.weight
    order = [tensor.axes.index(a) for a in ("OC", *(a for a in tensor.axes if a not in ("OC", "IC")), "IC")]
    rows = np.asarray(array).transpose(order).reshape(spec.out_channels, -1, spec.ic_per_group)
    clause = spec.compute
    if clause is not None and scale is not None:
        rows = to_integers(rows, np.asarray(scale).reshape(-1, 1, 1), clause.dtype, clause.round or "half_even")
    kept = rows != np.asarray(zero).reshape(-1, 1, 1)
    return Density(tuple(share(kept, run) for run in RUNS))


def share(kept: np.ndarray[Any, Any], run: int) -> float:
    """Of runs with something in them; the last of a tap may be shorter."""
    starts = np.arange(0, kept.shape[-1], run)
    return float(np.logical_or.reduceat(kept, starts, axis=-1).mean())
