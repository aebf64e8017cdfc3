"""Loops at run time and loops written out; registers that a loop adds to are carried by it."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from convjit.kernel.burst import burst
from convjit.kernel.ir import Carried, For, Operand
from convjit.kernel.state import State
from convjit.kernel.variables import Variables
from convjit.kernel.work import multiply_plain
from convjit.nest.affine import Affine, high_range, low_range
from convjit.nest.ir import Loop, MulAdd, Stmt
from convjit.nest.visit import loads, works, written


@dataclass(frozen=True)
class RingSlot:
    """A slot carried by a loop: (turn, length of the ring), its value in the loop, its first value."""

    key: tuple[Affine, int]
    name: str
    start: int


def unroll(l: State, loop: Loop) -> None:
    """Write every turn out; a turn that may not be is tested."""
    if burst(l, loop, multiply_plain):
        return
    known = l.v.known_ranges()
    lows, highs = low_range(loop.low, known), high_range(loop.high, known)
    l.v.grain[loop.name] = loop.step
    if lows[0] == lows[1] and highs[0] == highs[1]:
        for point in range(lows[0], highs[0], loop.step):
            l.v.static[loop.name] = point
            l.block(loop.body)
    else:
        top = min(h.affine.const for h in loop.high if not h.affine.terms)
        low, high = l.v.bound(loop.low, True), l.v.bound(loop.high, False)
        for point in range(lows[0], top, loop.step):
            l.v.static[loop.name] = point
            inside = l.b.op("lt", "i1", point, high, type=l.b.index)
            if lows[1] > lows[0]:
                first = l.b.op("ge", "i1", point, low, type=l.b.index)
                inside = l.b.op("and", "i1", inside, first)
            l.branch(inside, lambda: l.block(loop.body))
    l.v.static.pop(loop.name, None)


def serial(l: State, loop: Loop) -> None:
    """A loop at run time: registers that it adds to are carried."""
    b, v = l.b, l.v
    known = v.known_ranges()
    lows, highs = low_range(loop.low, known), high_range(loop.high, known)
    low, high = v.bound(loop.low, True), v.bound(loop.high, False)
    changed = written(loop.body)
    b.forget(changed)
    names = carried_buffers(loop.body) & changed
    carried = [k for k in l.registers if k[0] in names]
    start = [l.registers[k] for k in carried]
    counter = b.fresh()
    outer, _ = b.begin({loop.name: counter})
    first = lows[0] if lows[0] == lows[1] else None
    v.grain[loop.name] = grain = gcd(loop.step, first) if first is not None else start_grain(v, loop)
    v.ranges[loop.name] = (lows[0], max(lows[0], (highs[1] - 1) // grain * grain))
    slots = ring_slots(l, loop, low)
    inside = [b.fresh() for _ in carried]
    l.registers.update(zip(carried, inside, strict=True))
    l.block(loop.body)
    after = [l.registers[k] for k in carried]
    handed = tuple(next_slot(l, s) for s in slots)
    body = b.end(outer)
    del v.ranges[loop.name]
    results = [b.fresh() for _ in carried]
    handed += tuple(
        Carried(name, l.shapes[k[0]], s, a, r)
        for k, name, s, a, r in zip(carried, inside, start, after, results, strict=True)
    )
    b.lines.append(For(counter, b.index, low, high, loop.step, handed, body, lows[1] < highs[0], b.origin))
    for key in [k for k in l.registers if k[0] in changed and k not in set(carried)]:
        del l.registers[key]
    l.registers.update(zip(carried, results, strict=True))
    b.forget(changed)


def ring_slots(l: State, loop: Loop, low: Operand) -> list[RingSlot]:
    """The ring slots that move with the loop: they go along, since a division in each turn costs more than work."""
    found: dict[tuple[Affine, int], None] = {}
    for stmt, _ in works(loop.body):
        for load in (*loads(stmt), stmt.target):
            if load.slot is not None and load.slot.coefficient(loop.name) == 1 and loop.step == 1:
                found[load.slot, l.buffers[load.buffer].ring] = None
    made = []
    for turn, ring in found:
        start = turn.substitute({loop.name: 0}) + (low if isinstance(low, int) else 0)
        if not isinstance(low, int) or start.terms:
            continue
        slot = RingSlot((turn, ring), l.b.fresh(), start.const % ring)
        l.v.slots[slot.key] = slot.name
        made.append(slot)
    return made


def next_slot(l: State, slot: RingSlot) -> Carried:
    """One further, at the end back to the first."""
    b = l.b
    last = b.op("eq", "i1", slot.name, slot.key[1] - 1, type=b.index)
    following = b.op("select", b.index, last, 0, b.op("add", b.index, slot.name, 1))
    del l.v.slots[slot.key]
    return Carried(slot.name, b.index, slot.start, following, b.fresh())


def extent(loop: Loop) -> int:
    """Turns of a loop over lanes."""
    return high_range(loop.high, {})[0]


def start_grain(v: Variables, loop: Loop) -> int:
    """What divides the counter of a loop that starts at a run-time value."""
    parts = [loop.step]
    for limit in loop.low:
        inner = gcd(limit.affine.const, *(c * v.grain.get(n, 1) for n, c in limit.affine.terms))
        parts.append((inner if limit.divisor == 1 else 1) * limit.scale)
    return gcd(*parts)


def carried_buffers(body: tuple[Stmt, ...]) -> frozenset[str]:
    """Register buffers that a loop hands from one turn to the next: not those it first overwrites."""
    first: dict[str, bool] = {}
    for stmt, _ in works(body):
        for load in loads(stmt):
            first.setdefault(load.buffer, True)
        first.setdefault(stmt.target.buffer, isinstance(stmt, MulAdd))
    return frozenset(n for n, reads in first.items() if reads)
