"""How far a result is from what it should be."""

from __future__ import annotations

import numpy as np

from convjit.front.arithmetic import Array


def nrmse(y: Array, exact: Array) -> float:
    """sqrt(mean((y - exact)^2)) / (max(exact) - min(exact)), over what is finite in both; 0 for equal arrays.

    >>> nrmse(np.array([0.0, 1.0]), np.array([0.0, 2.0]))
    0.3535533905932738
    """
    y, exact = y.astype(np.float64), exact.astype(np.float64)
    both = np.isfinite(y) & np.isfinite(exact)
    gap = np.square(y[both] - exact[both])
    if not gap.any():
        return 0.0
    span = float(np.ptp(exact[both]))
    return float(np.sqrt(gap.mean())) / span if span else float("inf")
