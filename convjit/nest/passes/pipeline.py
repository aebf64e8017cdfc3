"""Rings: copies to shared memory run ahead of the work, by the protocol that the copies' row asks for.

    for k { barrier; par { copies }; barrier; par { work } }

    by cp.async, ring d:                                   by loads, ring 2 (through registers):
    unroll step in 0..d-1 { copies@step; commit }          copies@0
    for step { wait d-2; barrier;                          for step { barrier; if step+1 < steps { ask for step+1 };
      if step+d-1 < steps { copies@step+d-1 };               work@step;
      commit; work@step }                                    if step+1 < steps { put step+1 into its slot } }
    wait 0

`@step` names the n-th use of a slot; which slot that is (step mod d) appears only below the nest. Must run after the
units are bound: the copies are then parallel regions on the spine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from convjit.errors import ConvError
from convjit.nest.affine import Affine, fixed_bound, high_range, number, var
from convjit.nest.ir import (
    NESTED,
    Buffer,
    Expr,
    Guard,
    If,
    Let,
    Load,
    Loop,
    MulAdd,
    Nest,
    Par,
    Stmt,
    Store,
    Sync,
)
from convjit.nest.visit import map_affine, map_loads, works

STEP = "step"


@dataclass(frozen=True)
class Spine:
    """The serial loops around the copies, the copies, the work, and where the outermost loop stands in the body."""

    loops: tuple[Loop, ...]
    copies: tuple[Stmt, ...]
    work: tuple[Stmt, ...]
    place: int

    @property
    def steps(self) -> int:
        """Turns of all loops together."""
        n = 1
        for l in self.loops:
            n *= turns(l)
        return n


def turns(loop: Loop) -> int:
    """Turns of one loop."""
    low, high = high_range(loop.high, {})
    if low != high:
        raise ConvError.of(f"The copies stand in a loop whose size is open ({loop.name}).")
    return -(-low // loop.step)


def pipeline(nest: Nest) -> Nest:
    """The nest with its rings filled ahead."""
    shared = [b for b in nest.buffers if b.level == "shared"]
    if not shared:
        return nest
    rows = {s.by for s, _ in works(nest.body) if isinstance(s, Store) and is_shared(nest, s.target)}
    depth = max(b.ring for b in shared)
    if not any(isinstance(s, Loop) for s in nest.body):  # one step: there is nothing to run ahead of
        nest = replace(nest, buffers=tuple(replace(b, ring=1) for b in nest.buffers))
        depth = 1
    if depth == 1:
        return synchronous(nest) if "cp.async" in rows else nest
    if any(b.ring != depth for b in shared):
        raise ConvError.of("All buffers that are filled in one loop need rings of the same length.")
    spine = find_spine(nest)
    rings = frozenset(b.name for b in shared)
    if rows == {"cp.async"}:
        return asynchronous(nest, spine, rings, depth)
    if rows != {"loads"} or depth != 2:
        raise ConvError.of("A ring filled by plain loads has 2 slots: the values wait in registers.")
    return through_registers(nest, spine, rings)


def is_shared(nest: Nest, load: Load) -> bool:
    """Whether it lies in shared memory."""
    return nest.buffer(load.buffer).level == "shared"


def find_spine(nest: Nest) -> Spine:
    """The one place where copies and work alternate."""
    place = next(i for i, s in enumerate(nest.body) if isinstance(s, Loop))
    loops: list[Loop] = []
    body = nest.body[place : place + 1]
    while len(body) == 1 and isinstance(loop := body[0], Loop):
        loops.append(loop)
        body = loop.body
    barriers = [i for i, s in enumerate(body) if isinstance(s, Sync)]
    if len(barriers) != 2 or barriers[0] != 0:
        raise ConvError.of("A ring needs one place where all copies stand, with the work behind it.")
    return Spine(tuple(loops), body[1 : barriers[1]], body[barriers[1] + 1 :], place)


def digits(spine: Spine, step: Affine, used: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """The loops' counters, given back from the step, where the statements use them."""
    names = {l.name for l in spine.loops}
    if not any(n in names for s in used for n in names_of(s)):
        return ()
    counts = tuple(number(turns(l)) for l in spine.loops)
    return (Let(tuple(l.name for l in spine.loops), counts, tuple(l.step for l in spine.loops), step),)


def names_of(stmt: Stmt) -> set[str]:
    """Variables that appear in a statement."""
    found: set[str] = set()

    def look(a: Affine) -> Affine:
        found.update(a.names())
        return a

    map_affine(stmt, look)
    return found


def at_slot(body: tuple[Stmt, ...], rings: frozenset[str], slot: Affine) -> tuple[Stmt, ...]:
    """Every access of a ring gets its slot."""

    def load(l: Load) -> Load:
        return replace(l, slot=slot) if l.buffer in rings else l

    result: list[Stmt] = []
    for s in body:
        if isinstance(s, NESTED):
            s = replace(s, body=at_slot(s.body, rings, slot))
        elif isinstance(s, Store):
            s = replace(s, target=load(s.target), value=map_loads(s.value, load))
        elif isinstance(s, MulAdd):
            s = replace(s, a=map_loads(s.a, load), b=map_loads(s.b, load))
        result.append(s)
    return tuple(result)


def asynchronous(nest: Nest, spine: Spine, rings: frozenset[str], depth: int) -> Nest:
    """cp.async: groups of copies in flight."""
    steps, now, ahead = spine.steps, var(STEP), depth - 1

    def fill(step: Affine) -> tuple[Stmt, ...]:
        return (*digits(spine, step, spine.copies), *at_slot(spine.copies, rings, step))

    some = min(ahead, steps)
    start = Loop(STEP, fixed_bound(0), fixed_bound(some), 1, "unroll", (*fill(now), Sync("commit")))
    missing = (Sync("commit"),) * (ahead - some)
    following = (If(Guard(now + ahead, number(steps)), fill(now + ahead)),) if steps > ahead else ()
    work = (*digits(spine, now, spine.work), *at_slot(spine.work, rings, now))
    main = (Sync("wait", ahead - 1), Sync("barrier"), *following, Sync("commit"), *work)
    loop = Loop(STEP, fixed_bound(0), fixed_bound(steps), 1, "serial", main)
    before, after = nest.body[: spine.place], nest.body[spine.place + 1 :]
    lets = tuple(s for s in before if isinstance(s, Let))
    rest = tuple(s for s in before if not isinstance(s, Let))
    return replace(nest, body=(*lets, start, *missing, *rest, loop, Sync("wait", 0), *after))


def synchronous(nest: Nest) -> Nest:
    """No ring: whoever copied asynchronously waits before the barrier."""

    def visit(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        out: list[Stmt] = []
        for s in body:
            out.append(replace(s, body=visit(s.body)) if isinstance(s, Loop) else s)
            copies = isinstance(s, Par) and any(isinstance(w, Store) and w.by == "cp.async" for w, _ in works((s,)))
            out += [Sync("commit"), Sync("wait", 0)] if copies else []
        return tuple(out)

    return replace(nest, body=visit(nest.body))


def through_registers(nest: Nest, spine: Spine, rings: frozenset[str]) -> Nest:
    """Plain loads: ask for the next tile before the work, put it into the other slot after it."""
    steps, now = spine.steps, var(STEP)
    made: dict[str, Buffer] = {}
    asks = halves(nest, spine.copies, (), made, True)
    puts = halves(nest, spine.copies, (), made, False)
    first = (*digits(spine, number(0), spine.copies), *at_slot(spine.copies, rings, number(0)))
    more = Guard(now + 1, number(steps))
    ask = (If(more, (*digits(spine, now + 1, spine.copies), *asks)),) if steps > 1 else ()
    put = (If(more, at_slot(puts, rings, now + 1)),) if steps > 1 else ()
    work = (*digits(spine, now, spine.work), *at_slot(spine.work, rings, now))
    loop = Loop(STEP, fixed_bound(0), fixed_bound(steps), 1, "serial", (Sync("barrier"), *ask, *work, *put))
    before, after = nest.body[: spine.place], nest.body[spine.place + 1 :]
    lets = tuple(s for s in before if isinstance(s, Let))
    rest = tuple(s for s in before if not isinstance(s, Let))
    body = (*lets, *first, *rest, loop, *after)
    return replace(nest, buffers=nest.buffers + tuple(made.values()), body=body)


def halves(
    nest: Nest, body: tuple[Stmt, ...], loops: tuple[Loop, ...], made: dict[str, Buffer], first: bool
) -> tuple[Stmt, ...]:
    """The copies' first half (memory to registers) or second (registers to shared memory)."""
    result: list[Stmt] = []
    for s in body:
        if isinstance(s, Store):
            name = s.target.buffer.removesuffix(".s") + ".g.r"
            dtype = nest.buffer(s.target.buffer).dtype
            made[name] = Buffer(name, tuple(l.name for l in loops), dtype, "registers")
            kept = Load(name, tuple(var(l.name) for l in loops))
            value: Expr = s.value if first else kept
            target = kept if first else s.target
            result.append(Store(target, value, s.when, "loads"))
        elif isinstance(s, NESTED):
            inner = (*loops, s) if isinstance(s, Loop) else loops
            result.append(replace(s, body=halves(nest, s.body, inner, made, first)))
        elif first:
            result.append(s)
    return tuple(result)
