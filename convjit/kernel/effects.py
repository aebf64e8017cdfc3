"""Ops that touch memory or other threads, carried out in NumPy on the state of the threads of one block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convjit.errors import InternalError
from convjit.kernel.ir import Op, element, lanes
from convjit.kernel.meaning import NUMPY, Array
from convjit.kernel.memory import POISON, Memory, Places, Region
from convjit.kernel.races import Fault, Races

Run = Callable[[], None]


@dataclass(frozen=True)
class Copy:
    """A copy under way: so many bytes for each thread; those without a source become 0."""

    target: list[Places]
    source: list[Places]
    shape: tuple[int, int]


class State:
    """What the threads of a block share: values by name, memory, copies under way, and `mask`, which of them run now
    (None: all)."""

    def __init__(self, threads: int, shared: Array, races: Races, regions: list[Region]) -> None:
        self.threads = threads
        self.shared = shared
        self.races = races
        self.memory = Memory(regions, threads)
        self.values: dict[str, Array] = {}
        self.begin(0)

    def begin(self, block: int) -> None:
        """A new block: shared memory is poison, no copies are under way."""
        self.block = np.array([block], np.int32)
        self.mask: Array | None = None
        self.shared[:] = POISON
        self.races.reset()
        self.open: list[Copy] = []
        self.groups: list[list[Copy]] = []

    def together(self) -> None:
        """`Fault` unless all threads are here."""
        if self.mask is not None:
            raise Fault(f"only {int(self.mask.sum())} of {self.threads} threads get here")

    def land(self, copy: Copy) -> None:
        """The bytes of a copy appear."""
        moved = np.zeros(copy.shape, np.uint8)
        for place in copy.source:
            moved[place.inside] = place.region.data[place.offsets]
        for place in copy.target:
            place.region.data[place.offsets] = moved[place.inside]
            place.region.access.stores += int(place.inside.any(axis=1).sum())
            place.region.access.stored_bytes += place.offsets.size
            self.races.end_copy(*place.grains(self.races, 1))


def _load(state: State, op: Op, names: list[str]) -> Run:
    values, memory = state.values, state.memory
    dtype, count, align = NUMPY[element(op.type)], lanes(op.type), _integer(op, "align")
    pointer, wanted = names[0], names[1] if len(names) > 1 else ""

    def run() -> None:
        mask = values[wanted] if wanted else None
        values[op.result] = memory.load(values[pointer], dtype, count, align, state.mask, mask)

    return run


def _store(state: State, op: Op, names: list[str]) -> Run:
    values, memory, align = state.values, state.memory, _integer(op, "align")
    value, pointer, wanted = names[0], names[1], names[2] if len(names) > 2 else ""

    def run() -> None:
        mask = values[wanted] if wanted else None
        memory.store(values[value], values[pointer], align, state.mask, mask)

    return run


def _prefetch(state: State, op: Op, names: list[str]) -> Run:
    return lambda: None


def _special(state: State, op: Op, names: list[str]) -> Run:
    everyone = np.arange(state.threads, dtype=np.int32)
    tid = op.attribute("register") == "tid"

    def run() -> None:
        state.values[op.result] = everyone if tid else state.block

    return run


def _barrier(state: State, op: Op, names: list[str]) -> Run:
    def run() -> None:
        state.together()
        state.races.barrier()

    return run


def _cp_async(state: State, op: Op, names: list[str]) -> Run:
    values, memory, count = state.values, state.memory, _integer(op, "bytes")

    def run() -> None:
        wanted = np.arange(count) < values[names[2]][:, None] if len(names) > 2 else None
        source = memory.bytes_at(values[names[0]], count, count, state.mask, wanted)
        target = memory.bytes_at(values[names[1]], count, count, state.mask, None)
        for place in target:
            state.races.start_copy(*place.grains(state.races, 1))
        for place in source:
            place.region.access.loads += int(place.inside.any(axis=1).sum())
            place.region.access.loaded_bytes += place.offsets.size
        state.open.append(Copy(target, source, (state.threads, count)))

    return run


def _commit(state: State, op: Op, names: list[str]) -> Run:
    def run() -> None:
        state.together()
        state.groups.append(state.open)
        state.open = []

    return run


def _wait(state: State, op: Op, names: list[str]) -> Run:
    left = _integer(op, "groups")

    def run() -> None:
        state.together()
        while len(state.groups) > left:
            for copy in state.groups.pop(0):
                state.land(copy)

    return run


EFFECTS: dict[str, Callable[[State, Op, list[str]], Run]] = {
    "load": _load,
    "load_masked": _load,
    "store": _store,
    "store_masked": _store,
    "prefetch": _prefetch,
    "special": _special,
    "barrier": _barrier,
    "cp_async": _cp_async,
    "cp_async_fill": _cp_async,
    "cp_async_commit": _commit,
    "cp_async_wait": _wait,
}


def _integer(op: Op, name: str) -> int:
    value = op.attribute(name)
    if not isinstance(value, int):
        raise InternalError(f"{op.name}: attribute {name} must be a whole number, not {value!r}")
    return value
