"""Which processors a measurement gets: each on a core of its own, as long as there are enough."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from convjit.errors import ConvError

SYSTEM = Path("/sys/devices/system/cpu")

TRIAL = 0.01
"""Seconds of calls in which it is seen who works."""


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


def spread(call: Callable[[], object], numbers: Sequence[int], seconds: float = TRIAL) -> None:
    """Put the calling thread on the first of these processors, and each of those that work most in its calls on one of
    the others. (The system may leave two on one processor for a long time while other programs run on the rest.)"""
    if len(numbers) < 2:
        return
    before = _work()
    end = time.perf_counter() + seconds
    while True:
        call()
        if time.perf_counter() >= end:
            break
    worked = {thread: total - before.get(thread, 0) for thread, total in _work().items()}
    worked.pop(threading.get_native_id(), None)
    busiest = sorted((thread for thread in worked if worked[thread]), key=worked.__getitem__, reverse=True)
    release(numbers[:1])
    for thread, number in zip(busiest, numbers[1:], strict=False):
        with suppress(OSError):  # it has ended meanwhile
            os.sched_setaffinity(thread, {number})


def release(numbers: Iterable[int]) -> None:
    """Let the calling thread, and those that it starts from now on, run on any of these processors."""
    os.sched_setaffinity(0, set(numbers))


def _work() -> dict[int, int]:
    """Nanoseconds that each thread of this process has run so far; nothing where the system does not say."""
    found = {}
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(OSError, ValueError, IndexError):
            found[int(task.name)] = int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return found


def _core(number: int, root: Path) -> str:
    """The processors that share its core, as the system lists them; itself where it does not."""
    try:
        return (root / f"cpu{number}/topology/thread_siblings_list").read_text(encoding="ascii").strip()
    except OSError:
        return str(number)
