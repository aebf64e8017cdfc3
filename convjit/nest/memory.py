"""The buffers of a nest while it is interpreted: where an access goes, copies under way, and what must not happen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from convjit.errors import InternalError
from convjit.nest.counts import ENTRY
from convjit.nest.extents import register_extents
from convjit.nest.ir import Buffer, Load, MulAdd, Nest, Read, Store, Sync
from convjit.nest.layout import Layout
from convjit.nest.points import Env, Ints, Leaf, Values, concrete, evaluate, length, spread
from convjit.nest.races import commits
from convjit.nest.storage import Places, Storage, Tile, Watch, first_of
from convjit.nest.visit import written


@dataclass
class Pending:
    """A copy under way; `turns` are the uses of a ring's slots that it fills."""

    storage: Storage
    places: Ints
    tile: Tile
    threads: Ints
    turns: Ints


class Memory:
    """Arguments, and what a block of threads has of its own. `team` threads are in a block."""

    def __init__(self, nest: Nest, arrays: Mapping[str, Values], sizes: Mapping[str, int]) -> None:
        self.nest, self.sizes = nest, sizes
        self.team = nest.grid.threads if nest.grid else 1
        self.buffers = {b.name: b for b in nest.buffers}
        extents = register_extents(nest)
        self.places = {b.name: Places(b, layout(b, sizes, extents.get(b.name))) for b in nest.buffers}
        self.asynchronous = commits(nest.body)
        self.epoch = 0
        self.storage: dict[str, Storage] = {}
        changed = written(nest.body)
        for b in nest.buffers:
            if b.level == "memory":
                flat = flat_view(b, arrays, self.places[b.name].elements)
                watch = Watch(len(flat), self.team) if nest.grid and b.name in changed else None
                self.storage[b.name] = Storage(flat, False, watch)

    def new_block(self) -> None:
        """Nothing of a block outlives it."""
        self.groups: list[list[Pending]] = []
        self.open: list[Pending] = []
        self.epoch += 1
        for b in self.nest.buffers:
            if b.level != "memory":
                elements = self.places[b.name].elements * (self.team if b.level == "registers" else b.ring)
                watch = Watch(elements, self.team) if b.level == "shared" and self.nest.grid else None
                self.storage[b.name] = Storage.fresh(b.dtype, elements, watch)

    def sync(self, sync: Sync) -> None:
        """What the whole block waits for; `epoch` counts barriers."""
        if sync.op == "barrier":
            self.epoch += 1
        elif sync.op == "commit":
            self.groups.append(self.open)
            self.open = []
        else:
            while len(self.groups) > sync.count:
                for copy in self.groups.pop(0):
                    self.land(copy)

    def land(self, copy: Pending) -> None:
        """The values are there, for the thread that copied them; others need a barrier."""
        copy.storage.write(copy.places, copy.tile, copy.turns)
        if copy.storage.watch:
            copy.storage.watch.write(copy.places, copy.threads, self.epoch)

    def get(self, load: Load, stmt: Leaf | Read, env: Env) -> Tile:
        """Read at every point."""
        places = self.find(load, stmt, env)
        self.note(stmt, load.buffer, places, env, writing=False)
        return self.storage[load.buffer].read(places, turns(load, env))

    def put(self, stmt: Store | MulAdd, places: Ints, tile: Tile, env: Env) -> None:
        """Store or add, now or when the copy lands."""
        name = stmt.target.buffer
        storage = self.storage[name]
        self.note(stmt, name, places, env, writing=True)
        if isinstance(stmt, MulAdd):
            storage.add(places, tile)
        elif stmt.by == "cp.async" and self.asynchronous:
            self.open.append(Pending(storage, places, tile, self.threads(env), turns(stmt.target, env)))
            storage.poison[places] = True
        else:
            storage.write(places, tile, turns(stmt.target, env))
        if self.buffers[name].level == "memory" and storage.poison[places].any():
            self.fail(stmt, "stores what was never written", env, first_of(storage.poison[places]))

    def find(self, load: Load, stmt: Leaf | Read, env: Env) -> Ints:
        """The place of the element at every point."""
        buffer, places = self.buffers[load.buffer], self.places[load.buffer]
        index = [evaluate(a, env) for a in load.index]
        for dim, i, size in zip(buffer.dims, index, places.limits, strict=True):
            if (i.min() < 0 or i.max() >= size) if isinstance(i, np.ndarray) else not 0 <= i < size:
                every = spread(i, length(env))
                point = first_of((every < 0) | (every >= size)) or 0
                what = f"{load.buffer}: {dim} = {every[point]} is outside 0<={dim}<{size}"
                self.fail(stmt, what, env, point)
        row: int | Ints = 0
        if buffer.level == "registers":
            row = env.get("thread", 0)
        elif load.slot is not None:
            row = evaluate(load.slot, env) % buffer.ring
        return spread(places.offset(index) + row * places.elements, length(env))

    def threads(self, env: Env) -> Ints:
        """The thread of every point, numbered through all blocks."""
        return spread(env.get("global", 0), length(env))

    def note(self, stmt: Leaf | Read, buffer: str, places: Ints, env: Env, writing: bool) -> None:
        """Tell the watch of places that threads share."""
        watch = self.storage[buffer].watch
        if watch is None:
            return
        tell = watch.write if writing else watch.read
        clash = tell(places, self.threads(env), self.epoch)
        if clash is not None:
            self.fail(
                stmt, f"another thread is at this place of {buffer}, and no barrier between", env, clash
            )

    def fail(self, stmt: Leaf | Read, what: str, env: Env, point: int | None) -> NoReturn:
        """Name the statement and the point."""
        names = [n for n in env if n not in self.sizes and n != ENTRY and not n.endswith((".begin", ".end"))]
        at = {n: int(spread(env[n], length(env))[point or 0]) for n in names}
        raise InternalError(f"{stmt}\n  {what}\n  at {', '.join(f'{n} = {v}' for n, v in at.items())}")


def turns(load: Load, env: Env) -> Ints:
    """Which use of its slot an access means, at every point."""
    return spread(0 if load.slot is None else evaluate(load.slot, env), length(env))


def layout(buffer: Buffer, sizes: Mapping[str, int], extents: tuple[int, ...] | None) -> Layout:
    """With open sizes filled in. Registers lie as the tile that is written."""
    if buffer.layout is not None:
        return concrete(buffer.layout, sizes)
    reach = extents or (0,) * len(buffer.dims)
    return Layout(tuple((d, 1) for d in buffer.dims), tuple(zip(buffer.dims, reach, strict=True)))


def flat_view(buffer: Buffer, arrays: Mapping[str, Values], elements: int) -> Values:
    """The elements of an argument. Raises InternalError where they are missing or too few."""
    if buffer.name not in arrays:
        raise InternalError(f"{buffer}\n  there is no array for it")
    array = arrays[buffer.name]
    if array.size != elements or not array.flags.c_contiguous:
        raise InternalError(
            f"{buffer}\n  needs {elements} elements one after the other, the array has {array.size}"
        )
    return array.reshape(-1)
