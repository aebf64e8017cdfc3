"""Calls in quick succession, timed; and whether something else had the processor meanwhile."""

from __future__ import annotations

import gc
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SAMPLE = 2e-5
"""A sample takes at least about so many seconds; shorter calls are timed several together."""

LEAST = 3
"""Samples of a burst, at least."""


@dataclass(frozen=True)
class Burst:
    """Seconds of a call: the median and the least of the samples. `disturbed` of them met something else on their
    processor and are left out; where all are, both times are the least of them."""

    median: float
    least: float
    samples: int
    disturbed: int

    @property
    def clean(self) -> bool:
        """Whether the times are those of undisturbed samples."""
        return self.disturbed < self.samples


def burst(call: Callable[[], object], seconds: float) -> Burst:
    """Call for about that long, after calls that are not counted (at least one, and a tenth of the time).

    Where samples were disturbed it goes on, three times as long at most, until enough were not.
    """
    once = _warm(call, seconds / 10)
    together = max(1, round(SAMPLE / max(once, 1e-9)))
    collecting = gc.isenabled()
    gc.disable()
    try:
        clean, disturbed = _samples(call, together, seconds)
    finally:
        if collecting:
            gc.enable()
    taken = clean or [min(disturbed)]
    return Burst(statistics.median(taken), min(taken), len(clean) + len(disturbed), len(disturbed))


def _warm(call: Callable[[], object], seconds: float) -> float:
    """The time of the last of these calls."""
    end = time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        if now >= end:
            return now - start


def _samples(call: Callable[[], object], together: int, seconds: float) -> tuple[list[float], list[float]]:
    """Those during which this process kept its processors, and the others."""
    clean: list[float] = []
    disturbed: list[float] = []
    begun = time.perf_counter()
    switches = _switches()
    while True:
        start = time.perf_counter()
        for _ in range(together):
            call()
        end = time.perf_counter()
        before, switches = switches, _switches()
        (clean if switches == before else disturbed).append((end - start) / together)
        if _enough(end - begun, seconds, len(clean), len(disturbed)):
            return clean, disturbed


def _enough(passed: float, seconds: float, clean: int, disturbed: int) -> bool:
    if clean >= LEAST:
        return passed >= seconds
    return clean + disturbed >= LEAST and passed >= 3 * seconds


def _switches() -> int:
    """How often the threads of this process have been put off their processors for something else."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def in_turns(calls: Mapping[str, Callable[[], object]], seconds: float, rounds: int = 5) -> dict[str, float]:
    """Seconds of each call: the median over rounds, in each of which everybody has a burst, of `seconds` in all."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(burst(call, seconds / rounds).median)
    return {name: statistics.median(times) for name, times in found.items()}
