"""Measured energy of a call: what the machine draws while it is repeated, less what it draws when nothing is done.

The counter is that of a whole package or board, so everything else that runs there meanwhile is measured as well; the
difference to idle holds what waking costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from convjit.study.meters import POWERCAP, Absent, Meter
from convjit.study.meters import meter as find

IDLE = 0.5
"""Of the time of the calls, that is waited before them."""


@dataclass(frozen=True)
class Joules:
    """Of one call, measured: `joules` with idle subtracted (below 0 where the calls were lost in the noise), `gross`
    without; over so many `calls` in so many `seconds`, after `idle_watts` were measured. `label` says of what."""

    joules: float
    gross: float
    idle_watts: float
    calls: int
    seconds: float
    label: str

    def __str__(self) -> str:
        return f"{self.joules:.3g} J ({self.label}; idle {self.idle_watts:.3g} W; {self.calls} calls)"


def measure(
    call: Callable[[], object], seconds: float = 1.0, kind: str = "cpu", root: Path = POWERCAP
) -> Joules | None:
    """Of a call that returns when its work is done, repeated for about so many seconds; None where this machine has no
    counter (`why_not` says why). `kind` is "cpu" (RAPL) or "cuda" (NVML, GPU 0); `root` the folder of powercap."""
    found = find(kind, root)
    return None if isinstance(found, Absent) else measured(call, seconds, found)


def why_not(kind: str = "cpu", root: Path = POWERCAP) -> str:
    """Why `measure` gives None here, "" where it does not."""
    found = find(kind, root)
    return found.reason if isinstance(found, Absent) else ""


def measured(call: Callable[[], object], seconds: float, meter: Meter) -> Joules:
    """By this meter: idle first, then a call that is not counted, then the others."""
    with meter:
        idle, waited = spent(meter, lambda: time.sleep(seconds * IDLE))
        call()
        gross, lasted, calls = repeated(meter, call, seconds)
    watts = idle / waited
    return Joules((gross - watts * lasted) / calls, gross / calls, watts, calls, lasted, f"{meter.label}, idle-subtracted")


def repeated(meter: Meter, call: Callable[[], object], seconds: float) -> tuple[float, float, int]:
    """Joules, seconds, and how many calls."""
    calls = 0

    def many() -> None:
        nonlocal calls
        end = time.perf_counter() + seconds
        while not calls or time.perf_counter() < end:
            call()
            calls += 1

    return (*spent(meter, many), calls)


def spent(meter: Meter, work: Callable[[], object]) -> tuple[float, float]:
    """Joules and seconds of some work."""
    before, start = meter.joules(), time.perf_counter()
    work()
    end, after = time.perf_counter(), meter.joules()
    return after - before, end - start
