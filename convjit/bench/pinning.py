"""Which processors a measurement gets: each on a core of its own, as long as there are enough."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from convjit.errors import ConvError

SYSTEM = Path("/sys/devices/system/cpu")


def processors(count: int, allowed: Iterable[int] | None = None, root: Path = SYSTEM) -> tuple[int, ...]:
    """The last `count` of the processors that this process may use, no two on one core where that can be avoided.

    `ConvError` where there are not so many. (The first ones serve more interrupts.)
    """
    usable = sorted(os.sched_getaffinity(0) if allowed is None else allowed, reverse=True)
    if not 1 <= count <= len(usable):
        raise ConvError.of(
            f"{count} threads cannot have a processor each: this process may use {len(usable)}.",
            hint="Give fewer threads, or allow more (taskset, the container's limits).",
        )
    cores: dict[str, int] = {}
    for number in usable:
        cores.setdefault(_core(number, root), number)
    first = list(cores.values())
    chosen = [*first, *(number for number in usable if number not in first)][:count]
    return tuple(sorted(chosen))


def _core(number: int, root: Path) -> str:
    """The processors that share its core, as the system lists them; itself where it does not."""
    try:
        return (root / f"cpu{number}/topology/thread_siblings_list").read_text(encoding="ascii").strip()
    except OSError:
        return str(number)
