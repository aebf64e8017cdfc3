"""Loops that a GPU's blocks and threads run become digits of their numbers; what waits stays outside.

    block p.0 { block oc.0 { for c.0 { barrier; copies; barrier; warp p.1 { lane p.3 { unroll p.2 { … } } } } } }

    let p.0, oc.0 = digits(block)
    for c.0 { barrier; par { copies }; barrier; par warp: p.1; lane: p.3 { unroll p.2 { … } } }

Threads exist only inside a `Par`, and no `Par` holds anything that waits: the spine of barriers is the same for all
threads by construction. Registers lose the dimensions that are threads: each thread has its own.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from convjit.errors import ConvError
from convjit.nest.affine import Affine, high_range, number, var
from convjit.nest.ir import (
    NESTED,
    UNITS,
    Buffer,
    Expr,
    Grid,
    Guard,
    Let,
    Load,
    Loop,
    MulAdd,
    Nest,
    Par,
    Prefetch,
    Stmt,
    Store,
    Sync,
)
from convjit.nest.visit import map_loads
from convjit.schedule.schedule import Phase

WIDTH = {"group": 128, "warp": 32}
"""Threads of one unit."""


def bind_units(nest: Nest, phase: Phase) -> Nest:
    """The nest over blocks and threads."""
    blocks, body = block_loops(nest.body)
    units = {l.name: l for l in unit_loops(body)}
    threads = count_threads(list(units.values()), phase)
    idle, counts = idle_guard(list(units.values()), blocks, threads)
    body = bind(body, Binder(nest, units, idle, threads))
    if blocks:
        body = (digits(blocks, "block"), *body)
    buffers = tuple(replace(b, dims=tuple(d for d in b.dims if d not in units)) if b.level == "registers" else b for b in nest.buffers)
    grid = Grid(counts, threads, phase.option("min_blocks"))
    return replace(nest, buffers=buffers, body=body, grid=grid)


def keep_dims(buffer: Buffer, units: dict[str, Loop]) -> tuple[int, ...] | None:
    """Which dimensions of a register buffer stay; None: all."""
    if buffer.level != "registers" or not any(d in units for d in buffer.dims):
        return None
    return tuple(i for i, d in enumerate(buffer.dims) if d not in units)


def block_loops(body: tuple[Stmt, ...]) -> tuple[list[Loop], tuple[Stmt, ...]]:
    """The blocks' loops, outermost, and what stands in them."""
    found: list[Loop] = []
    while len(body) == 1 and isinstance(loop := body[0], Loop) and loop.kind == "block":
        found.append(loop)
        body = loop.body
    if any(l.kind == "block" for l in unit_loops(body)):
        raise ConvError.of("The loops of blocks must stand outermost, before every other loop and stage.")
    return found, body


def unit_loops(body: tuple[Stmt, ...]) -> list[Loop]:
    """The loops that blocks or threads run, in the order of the text."""
    found: list[Loop] = []
    for stmt in body:
        if isinstance(stmt, NESTED):
            found += [stmt] if isinstance(stmt, Loop) and stmt.kind in UNITS else []
            found += unit_loops(stmt.body)
    return list({l.name: l for l in found}.values())


def count(loop: Loop) -> int:
    """Turns of a loop; a thread's cannot depend on anything."""
    high = high_range(loop.high, {})
    if high[0] != high[1]:
        axis = loop.name.split("~")[-1].split(".")[0]
        text = f"The size of '{axis}' is open, so threads cannot share it ({loop.name})."
        raise ConvError.of(text, hint=f"Give it to blocks in single steps ('{axis}:block'), or to each thread.")
    return -(-high[0] // loop.step)


def count_threads(units: list[Loop], phase: Phase) -> int:
    """Threads of a block."""
    if any(l.kind == "global" for l in units):
        return phase.option("threads", 256)
    own = [l for l in units if "~" not in l.name]  # copies use the threads that the work has
    threads = 1
    for unit, width in (*WIDTH.items(), ("thread", 1)):
        counts = [count(l) for l in own if l.kind == unit]
        threads *= prod(counts) * (width if counts else 1)
    if threads == 1 and any(l.kind == "lane" for l in own):
        threads = 32
    lanes = prod(count(l) for l in own if l.kind == "lane")
    if any(l.kind == "lane" for l in own) and lanes != 32:
        raise ConvError.of(f"The loops of lanes make {lanes}; a warp has 32.")
    return threads


def idle_guard(units: list[Loop], blocks: list[Loop], threads: int) -> tuple[tuple[Guard, ...], tuple[Affine, ...]]:
    """The guard of threads past the end of a grid of global threads, and the counts of blocks."""
    work = [l for l in units if l.kind == "global"]
    if not work:
        return (), tuple(number(count(l)) if fixed(l) else open_count(l) for l in blocks) or (number(1),)
    whole = prod(count(l) for l in work)
    first = work[0]
    spare = Guard(var(first.name), number(count(first) * first.step))
    return ((spare,) if whole % threads else ()), (number(-(-whole // threads)),)


def fixed(loop: Loop) -> bool:
    """Whether the number of turns is known."""
    low, high = high_range(loop.high, {})
    return low == high


def open_count(loop: Loop) -> Affine:
    """Blocks over an open axis: one for each step of it."""
    limit = loop.high[0]
    if loop.step != 1 or limit.divisor != 1:
        raise ConvError.of(f"Blocks over an open axis take single steps, not {loop.step} ({loop.name}).")
    return limit.affine


def digits(loops: list[Loop], unit: str) -> Let:
    """The loops' counters as digits of the unit's number."""
    counts = tuple(number(count(l)) if fixed(l) else open_count(l) for l in loops)
    return Let(tuple(l.name for l in loops), counts, tuple(l.step for l in loops), var(unit))


class Binder:
    """Takes unit loops off statements. `units` are the loops of the work (not of copies) that threads run, `kept` the
    dimensions that stay of each register buffer, `idle` the guard of threads past the end."""

    def __init__(self, nest: Nest, units: dict[str, Loop], idle: tuple[Guard, ...], threads: int) -> None:
        self.units = [l for l in units.values() if "~" not in l.name]
        self.kept = {b.name: keep_dims(b, units) for b in nest.buffers}
        self.shared = frozenset(b.name for b in nest.buffers if b.level == "shared")
        self.idle, self.threads = idle, threads

    def statement(self, stmt: Stmt) -> tuple[Stmt, ...]:
        """The statement without its unit loops."""
        if isinstance(stmt, Loop) and stmt.kind in UNITS:
            return self.block(stmt.body)
        if isinstance(stmt, NESTED):
            return (replace(stmt, body=self.block(stmt.body)),)
        if isinstance(stmt, Store):
            if stmt.target.buffer in self.shared:  # who has no part of the work still has one of the copies
                return (stmt,)
            when = stmt.when if self.registers(stmt.target) else (*stmt.when, *self.idle)
            return (replace(stmt, target=self.load(stmt.target), value=map_loads(stmt.value, self.read), when=when),)
        if isinstance(stmt, MulAdd):
            a, b = map_loads(stmt.a, self.read), map_loads(stmt.b, self.read)
            return (replace(stmt, target=self.load(stmt.target), a=a, b=b),)
        return (stmt,)

    def block(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        """A list of statements."""
        return tuple(x for s in body for x in self.statement(s))

    def registers(self, load: Load) -> bool:
        """Whether it is a register (threads past the end may fill theirs, nobody reads them)."""
        return load.buffer.endswith(".r")

    def load(self, load: Load) -> Load:
        """Without the dimensions that are threads."""
        kept = self.kept.get(load.buffer)
        return load if kept is None else replace(load, index=tuple(load.index[i] for i in kept))

    def read(self, load: Load) -> Expr:
        """A load; threads past the end read nothing outside."""
        if not self.registers(load) and self.idle:
            load = replace(load, inside=(*load.inside, *self.idle))
        return self.load(load)


def waits(stmt: Stmt) -> bool:
    """Whether anything in it waits."""
    return isinstance(stmt, Sync) or (isinstance(stmt, NESTED) and any(map(waits, stmt.body)))


def bind(body: tuple[Stmt, ...], binder: Binder, around: tuple[Loop, ...] = ()) -> tuple[Stmt, ...]:
    """The spine stays; runs of statements that do not wait become one parallel region.

    `around` are threads' loops to the left of something that waits: their digits go into every region.
    """
    result: list[Stmt] = []
    run: list[Stmt] = []
    for stmt in body:
        if not waits(stmt):
            run.append(stmt)
            continue
        if run:
            result.append(region(run, binder, around))
            run = []
        if isinstance(stmt, Loop) and stmt.kind in UNITS:
            result += bind(stmt.body, binder, (*around, stmt))
        elif isinstance(stmt, Loop):
            if stmt.kind != "serial":
                text = f"The loop {stmt.name} is written out ({stmt.kind}), and a barrier stands inside it."
                raise ConvError.of(text, hint="Put the copy to shared memory to the left of that loop.")
            result.append(replace(stmt, body=bind(stmt.body, binder, around)))
        else:
            result.append(stmt)
    if run:
        result.append(region(run, binder, around))
    return tuple(result)


def region(run: list[Stmt], binder: Binder, around: tuple[Loop, ...] = ()) -> Stmt:
    """A parallel region, with the digits that its statements use."""
    if all(isinstance(s, (Let, Prefetch)) for s in run):
        return Par((), tuple(run))
    binds: list[Let] = []
    body: list[Stmt] = []
    for stmt in run:
        done = binder.statement(stmt)
        loops = list({l.name: l for l in (*around, *unit_loops((stmt,)))}.values())
        for unit in UNITS:
            own = [l for l in loops if l.kind == unit]
            copies = [l for l in own if "~" in l.name]
            if len(copies) < len(own):  # the work's digits are the same in every region, whichever it uses
                binds.append(digits([l for l in binder.units if l.kind == unit], unit))
            if copies:
                binds.append(digits(copies, unit))
                done = idle_copies(done, copies, binder.threads)
        body += done
    return Par(tuple(dict.fromkeys(binds)), tuple(body))


def idle_copies(body: tuple[Stmt, ...], loops: list[Loop], threads: int) -> tuple[Stmt, ...]:
    """Threads that have nothing to copy: their slowest digit is too large."""
    if prod(map(count, loops)) >= threads:
        return body
    spare = Guard(var(loops[0].name), number(count(loops[0]) * loops[0].step))

    def guarded(stmt: Stmt) -> Stmt:
        if isinstance(stmt, NESTED):
            return replace(stmt, body=tuple(map(guarded, stmt.body)))
        return replace(stmt, when=(*stmt.when, spare)) if isinstance(stmt, Store) else stmt

    return tuple(map(guarded, body))
