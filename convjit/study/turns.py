"""Many calls timed in turns, within a number of seconds for all of them.

In every round everybody has a burst, so that all meet the same disturbances; a time is the median over rounds. What
would not fit is left out, the slowest first, and is told to be: nothing is timed worse because there is more of it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

K = TypeVar("K", bound=Hashable)

ROUNDS = 5
BURST = 0.05
"""Seconds of a burst where there is time for it."""

CALLS = 5
"""Calls of the shortest burst: one to warm up, three that count, and one more where they were disturbed."""


@dataclass(frozen=True)
class Turn:
    """`burst(seconds)` gives the median seconds of a call; `once` is about what a call takes. `kept`: it is never left out."""

    burst: Callable[[float], float]
    once: float
    kept: bool = False


def in_turns(turns: Mapping[K, Turn], seconds: float, tell: Callable[[], None] = lambda: None) -> dict[K, float]:
    """Seconds of a call of each that fits; `tell` is called after every burst.

    Rounds end when the next would go beyond `seconds`; there is always one.
    """
    fitting = fit(turns, seconds)
    length = min(BURST, seconds / (ROUNDS * len(fitting))) if fitting else 0.0
    found: dict[K, list[float]] = {key: [] for key in fitting}
    begun = time.perf_counter()
    for number in range(1, ROUNDS + 1):
        for key, turn in fitting.items():
            found[key].append(turn.burst(length))
            tell()
        passed = time.perf_counter() - begun
        if passed * (number + 1) / number > seconds:
            break
    return {key: statistics.median(times) for key, times in found.items()}


def fit(turns: Mapping[K, Turn], seconds: float) -> dict[K, Turn]:
    """Those of which one round of the shortest bursts takes no longer than `seconds`, in their order."""
    left = seconds - sum(CALLS * turn.once for turn in turns.values() if turn.kept)
    chosen = {key for key, turn in turns.items() if turn.kept}
    for key, turn in sorted(turns.items(), key=lambda item: item[1].once):
        left -= 0.0 if turn.kept else CALLS * turn.once
        if left >= 0:
            chosen.add(key)
    return {key: turn for key, turn in turns.items() if key in chosen}
