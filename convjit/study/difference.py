"""How far a result is from the reference: the three figures of the study.

NRMSE = sqrt(mean((y - ref)^2)) / (max(ref) - min(ref)), all in float64, over all elements; where all of the reference are
the same number there is no range, and the root mean square itself is given. The reference is the convolution in float64
of the same f32 tensors (`convjit.reference`): no rounding of its own reaches the figures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Difference:
    """NRMSE, the greatest difference, and the share (0 to 1) of elements that are float32(reference), bit for bit."""

    nrmse: float
    largest: float
    exact: float


def difference(result: NDArray[Any], wanted: NDArray[np.float64]) -> Difference:
    """The figures of a result of any type beside its reference, both of the same shape."""
    gap = result.astype(np.float64) - wanted
    same = result.astype(np.float32) == wanted.astype(np.float32)
    return Difference(_normalised(np.mean(gap**2), wanted), float(np.abs(gap).max(initial=0.0)), float(np.mean(same)))


def nrmse(result: NDArray[Any], wanted: NDArray[np.float64]) -> float:
    """The normalised root mean square error alone."""
    return _normalised(np.mean((result.astype(np.float64) - wanted) ** 2), wanted)


def _normalised(mean_square: Any, wanted: NDArray[np.float64]) -> float:
    span = float(np.ptp(wanted))
    return float(np.sqrt(mean_square)) / span if span else float(np.sqrt(mean_square))
