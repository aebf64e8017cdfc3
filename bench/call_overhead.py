"""Nanoseconds of a call on tiny arrays beside NumPy's, and microseconds of a fork and join of the worker pool.

    python bench/call_overhead.py

Every line is the median of rounds that are interleaved with those of the other lines. The kernel multiplies 8 floats
by a factor, so that what is measured is the call: arguments, checks, the GIL, the output.
"""

from __future__ import annotations

import statistics
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[1])]

from tests.runtime import kernels

ROUNDS, CALLS = 15, 20_000


def interleaved(lines: dict[str, Callable[[], object]], calls: int = CALLS) -> dict[str, float]:
    """Nanoseconds of each call, without those of an empty one."""
    times: dict[str, list[float]] = {name: [] for name in lines}
    for _ in range(ROUNDS):
        empty = timeit.timeit(lambda: None, number=calls)
        for name, call in lines.items():
            times[name].append((timeit.timeit(call, number=calls) - empty) / calls * 1e9)
    return {name: statistics.median(values) for name, values in times.items()}


def after_sleep(call: Callable[[], object], seconds: float, rounds: int = 60) -> float:
    """Microseconds of a call after doing nothing for that long."""
    times = []
    for _ in range(rounds):
        time.sleep(seconds)
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times)


def main() -> None:
    a, b, c = (np.ones(8, np.float32) for _ in range(3))
    x, w, y = np.ones((1, 8), np.float32), np.ones(1, np.float32), np.empty((1, 8), np.float32)
    kernel = kernels.scale()
    bound, shared = kernel.bind(w), kernels.scale(threads=2).bind(w)
    function = bound.function
    lines: dict[str, Callable[[], object]] = {
        "np.add(a, b, out=c)": lambda: np.add(a, b, out=c),
        "np.add(a, b)": lambda: np.add(a, b),
        "bound(x, out=y)": lambda: bound(x, out=y),
        "bound(x)": lambda: bound(x),
        "bound.function(x, out=y)": lambda: function(x, out=y),
        "kernel(x, w, out=y)": lambda: kernel(x, w, out=y),
        "bound(x, out=y), 2 threads": lambda: shared(x, out=y),
    }
    try:
        import torch

        t, u = torch.ones(1, 8), torch.empty(1, 8)
        lines["bound(torch, out=torch)"] = lambda: bound(t, out=u)
        lines["torch.add(t, t, out=u)"] = lambda: torch.add(t, t, out=u)
    except ImportError:
        pass
    results = interleaved(lines)
    unit = results["np.add(a, b, out=c)"]
    for name, nanoseconds in results.items():
        print(f"{name:32} {nanoseconds:9.0f} ns  {nanoseconds / unit:6.2f} x np.add")
    hot = results["bound(x, out=y), 2 threads"] - results["bound(x, out=y)"]
    print(f"{'fork and join, hot':32} {hot / 1e3:9.2f} us")
    for seconds in (1e-4, 5e-3):
        cold = after_sleep(lambda: shared(x, out=y), seconds) - after_sleep(lambda: bound(x, out=y), seconds)
        print(f"{f'fork and join, {seconds * 1e3:g} ms idle':32} {cold:9.2f} us")


if __name__ == "__main__":
    main()
