"""An exact simulation of a small cache, to compare the model with: every access of a nest in order, lines by age."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace

from convjit import dtypes
from convjit.machine.machine import Cache, Machine
from convjit.nest.counts import accesses
from convjit.nest.ir import Let, Loop, MulAdd, Nest, Stmt, Store
from convjit.nest.points import Env, digits, evaluate, loop_range

Line = tuple[str, int]


def machine_with(machine: Machine, *sizes: int) -> Machine:
    """The machine with caches of these bytes, and memory."""
    caches = tuple(Cache(f"L{i + 1}", size, 64, 1) for i, size in enumerate(sizes))
    return replace(machine, caches=(*caches, machine.cache("memory")))


def simulated(trace: list[tuple[Line, bool]], capacity: int, line: int = 64) -> dict[str, tuple[int, int]]:
    """Bytes of each buffer that a fully associative cache reads, and writes back, with the oldest line leaving first.
    `trace` are lines and whether they are written.

    A line that is written is not read first, as in the model; what is left at the end is written back.
    """
    cache: OrderedDict[Line, bool] = OrderedDict()
    read: dict[str, int] = {}
    written: dict[str, int] = {}
    for where, writes in trace:
        if where in cache:
            cache.move_to_end(where)
            cache[where] |= writes
            continue
        cache[where] = writes
        if not writes:
            read[where[0]] = read.get(where[0], 0) + line
        if len(cache) * line > capacity:
            (name, _), dirty = cache.popitem(last=False)
            written[name] = written.get(name, 0) + line * dirty
    for (name, _), dirty in cache.items():
        written[name] = written.get(name, 0) + line * dirty
    return {name: (read.get(name, 0), written.get(name, 0)) for name in read.keys() | written.keys()}


def lines(nest: Nest, line: int = 64) -> Iterator[tuple[Line, bool]]:
    """The lines that a nest of a CPU reads and writes, in order."""
    buffers = {b.name: (b, b.layout) for b in nest.buffers if b.layout}
    start: Env = {}
    for worker in nest.workers:
        start |= {f"{worker.name}.begin": 0, f"{worker.name}.end": worker.extent.const}

    def place(name: str, index: list[int]) -> int:
        buffer, layout = buffers[name]
        left, offset = dict(zip(buffer.dims, index, strict=True)), 0
        for (dim, block), stride in zip(layout.parts, layout.strides(), strict=True):
            offset += left[dim] // block * stride.coefficient
            left[dim] %= block
        return offset * dtypes.bits(buffer.dtype) // (8 * line)

    def walk(body: tuple[Stmt, ...], env: Env) -> Iterator[tuple[Line, bool]]:
        for stmt in body:
            if isinstance(stmt, Let):
                env = digits(stmt, env)
            elif isinstance(stmt, Loop):
                low, count = loop_range(stmt, env)
                assert isinstance(low, int) and isinstance(count, int)
                for turn in range(count):
                    yield from walk(stmt.body, {**env, stmt.name: low + turn * stmt.step})
            elif isinstance(stmt, (Store, MulAdd)):
                for load, kind, guards in accesses(stmt):
                    if load.buffer in buffers and all(0 <= evaluate(g.affine, env) < evaluate(g.size, env) for g in guards):
                        at = place(load.buffer, [int(evaluate(a, env)) for a in load.index])
                        yield (load.buffer, at), kind == "store"

    return walk(nest.body, start)
