"""How long a call takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

SECONDS, LEAST, MOST = 0.3, 5, 1000
"""A call is repeated for about that long, at least and at most so often."""

BATCH = 2e-3
"""Calls that return before their work is done are timed in batches of about that many seconds."""


def median_seconds(call: Callable[[], object], once: bool = False) -> float:
    """The median of repeated calls, after two that are not counted; or the time of a single one."""
    if once:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    return interleaved({"": call})[""]


def batch_seconds(seconds_of: Callable[[int], float]) -> float:
    """The median over batches; `seconds_of` a number of calls gives the seconds of one among them."""
    one = seconds_of(3)
    repeat = max(1, min(MOST, round(BATCH / one))) if one > 0 else MOST
    rounds = max(LEAST, min(MOST, round(SECONDS / (repeat * one)))) if one > 0 else LEAST
    return statistics.median(seconds_of(repeat) for _ in range(rounds))


def interleaved(calls: Mapping[str, Callable[[], object]], seconds: float | None = None) -> dict[str, float]:
    """The median of each call, one of each in every round, so that all of them meet the same disturbances."""
    for call in (*calls.values(), *calls.values()):
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + (SECONDS if seconds is None else seconds) * len(calls)
    while _goes_on(min(map(len, times.values())), end):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def _goes_on(rounds: int, end: float) -> bool:
    return rounds < LEAST or (rounds < MOST and time.perf_counter() < end)
