"""Split and clip loops until every guard over an unrolled tile is decided by the loop it stands in.

    for kh in 0..3 { … x[kh+oh-1, …] inside 0<=kh+oh-1<56 … }      (a rolled loop: clipped)
    for kh in max(0, 1-oh)..min(3, 57-oh) { … x[kh+oh-1, …] … }

    for kw in 0..3 { unroll ow in 0..14 { … inside 0<=kw+ow-1<28 } }   (a guard over a tile: cut where it changes)
    kw = 0: unroll ow … ; for kw in 1..3 { unroll ow … no guard }

One recursive walk, top down, with the ranges of the loops around. Requires a CPU nest before any kernel; a GPU fills
with zeros instead. Code size is the product of the cuts: past `budget` nothing more is cut, and what stays undecided
is tested where it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from convjit.nest.affine import Bound, Limit, Range, fixed_bound, number
from convjit.nest.guards import Ranges, skips, tests, verdict, without
from convjit.nest.ir import HINTS, Expr, Guard, Let, Load, Loop, MulAdd, Nest, Number, Read, Stmt, Store
from convjit.nest.passes.segments import ROLLED, fixed, loop_range, segments
from convjit.nest.passes.split_open import split_open
from convjit.nest.visit import Work, map_loads, substitute, walk, works

BUDGET = 12_000
"""Instances of statements in a function; a depthwise kernel with nine bodies has about 1,000."""


def peel_borders(nest: Nest, budget: int = BUDGET) -> Nest:
    """The nest with its borders apart, if that stays within the budget, else only clipped."""
    ranges: dict[str, Range] = {}
    for axis in nest.workers:
        top = axis.extent.range({})[1]
        ranges |= {f"{axis.name}.begin": (0, top), f"{axis.name}.end": (0, top)}
    opened = split_open(nest)
    types = {b.name: b.dtype for b in nest.buffers}
    body = Peeler(types, True).block(opened.body, ranges)
    if instances(body) > budget:
        body = Peeler(types, False).block(opened.body, ranges)
    return replace(nest, body=body)


def instances(body: tuple[Stmt, ...], times: int = 1) -> int:
    """How many copies of statements the body expands to."""
    count = 0
    for stmt in body:
        if isinstance(stmt, Loop):
            turns = len(points) if stmt.kind == "unroll" and (points := fixed(stmt)) is not None else 1
            count += instances(stmt.body, times * turns)
        elif not isinstance(stmt, HINTS):
            count += times
    return count


def own_part(loop: Loop) -> tuple[Bound, Bound]:
    """The limits that give a worker its part."""
    low = tuple(l for l in loop.low if any(n.endswith(".begin") for n in l.affine.names()))
    high = tuple(l for l in loop.high if any(n.endswith(".end") for n in l.affine.names()))
    return low, high


class Peeler:
    """The walk. `cut`: loops may be split where verdicts change; `clip`: their bounds may be tightened. `types` are
    the buffers' types."""

    def __init__(self, types: Mapping[str, str], cut: bool, clip: bool = True) -> None:
        self.types, self.cut, self.clip = types, cut, clip

    def block(self, body: tuple[Stmt, ...], ranges: Ranges) -> tuple[Stmt, ...]:
        """A list of statements under these ranges."""
        result: list[Stmt] = []
        for stmt in body:
            if isinstance(stmt, Loop):
                result += self.loop(stmt, ranges)
            elif isinstance(stmt, (Store, MulAdd)):
                kept = decide(stmt, ranges, self.types)
                result += [kept] if kept else []
            else:
                if isinstance(stmt, Let):
                    ranges = {**ranges, **digit_ranges(stmt, ranges)}
                elif isinstance(stmt, Read):
                    ranges = {**ranges, stmt.name: (0, stmt.size - 1)}
                result.append(stmt)
        return tuple(result)

    def loop(self, loop: Loop, ranges: Ranges) -> list[Stmt]:
        """One loop: clipped, cut into segments, each peeled further in."""
        own = own_part(loop)
        if own[0] or own[1]:
            low, high = (tuple(l for l in b if l not in mine) for b, mine in ((loop.low, own[0]), (loop.high, own[1])))
            loop = bounded(loop, low, high, loop.body)
        if loop.kind == "serial" and self.clip:
            loop = clip(loop, ranges)
        loop = bounded(loop, tighten(loop.low, True, ranges), tighten(loop.high, False, ranges), loop.body)
        points = fixed(loop)
        if points is not None and not points:
            return []
        if loop.kind not in ROLLED or points is None or not self.cut:
            return self.whole(loop, ranges, own)
        result: list[Stmt] = []
        for segment in segments(loop, points, ranges):
            result += self.segment(loop, segment, points.stop, ranges, own)
        return result

    def whole(self, loop: Loop, ranges: Ranges, own: tuple[Bound, Bound]) -> list[Stmt]:
        """The loop in one piece."""
        body = self.block(loop.body, {**ranges, loop.name: loop_range(loop, ranges)})
        return [bounded(loop, loop.low + own[0], loop.high + own[1], body)] if body else []

    def segment(self, loop: Loop, part: range, stop: int, ranges: Ranges, own: tuple[Bound, Bound]) -> list[Stmt]:
        """Some neighbouring iterations. A worker's stay a loop, however few: each is run by whom it concerns."""
        inner = {**ranges, loop.name: (part[0], part[-1])}
        body = loop.body
        if len(part) == 1:
            body = substitute(body, {loop.name: part[0]})
            if not own[0]:
                return list(self.block(body, ranges))
        body = self.block(body, inner)
        low, high = fixed_bound(part[0]), fixed_bound(min(part[-1] + loop.step, stop))
        return [bounded(loop, low + own[0], high + own[1], body)] if body else []


def bounded(loop: Loop, low: Bound, high: Bound, body: tuple[Stmt, ...]) -> Loop:
    """The loop with these bounds and this body."""
    return Loop(loop.name, low, high, loop.step, loop.kind, body)


def digit_ranges(let: Let, ranges: Ranges) -> dict[str, Range]:
    """The ranges of digits; the slowest takes what is left."""
    found, inner = {}, 1
    for name, count, step in reversed(list(zip(let.names, let.counts, let.steps, strict=True))):
        found[name] = (0, (count.range({})[1] - 1) * step)
        inner *= max(1, count.range({})[1])
    first = max(1, let.counts[0].range({})[1])
    known = let.of.names() <= ranges.keys()
    top = let.of.range(ranges)[1] // (inner // first) if known else (1 << 31) - 1
    found[let.names[0]] = (0, max(0, top) * let.steps[0])
    return found


def decide(stmt: Work, ranges: Ranges, types: Mapping[str, str]) -> Work | None:
    """Without the guards that always hold; None where one never does."""
    verdicts = {g: verdict(g, ranges) for g in tests(stmt)}
    if not verdicts:
        return stmt
    if any(verdicts[g] is False for g in skips(stmt)):
        return None
    if all(v is None for v in verdicts.values()):
        return stmt

    def open_(guards: tuple[Guard, ...]) -> tuple[Guard, ...]:
        return tuple(g for g in guards if verdicts[g] is None)

    def read(load: Load) -> Expr:
        if any(verdicts[g] is False for g in load.inside):  # an asynchronous copy has a source, and writes zeros itself
            return load if isinstance(stmt, Store) and stmt.by == "cp.async" else Number(load.fill, types[load.buffer])
        return replace(load, inside=open_(load.inside))

    if isinstance(stmt, Store):
        value = map_loads(stmt.value, read)
        return replace(stmt, value=value, when=open_(stmt.when))
    return replace(stmt, a=map_loads(stmt.a, read), b=map_loads(stmt.b, read), when=open_(stmt.when))


def tighten(bound: Bound, low: bool, ranges: Ranges) -> Bound:
    """Drop the limits that another one always beats, and equal ones."""
    if len(bound) == 1 and bound[0].divisor == 1:
        return bound
    unique = list(dict.fromkeys(bound))
    every = [limit.range(ranges) for limit in unique]
    kept: list[Limit] = []
    for i, limit in enumerate(unique):
        mine = every[i]
        others = [(j, r) for j, r in enumerate(every) if j != i]
        wins = [j for j, r in others if (r[0] >= mine[1] if low else r[1] <= mine[0])]
        if any(every[j] != mine or j < i for j in wins):
            continue
        kept.append(Limit(number(mine[0])) if mine[0] == mine[1] and not limit.affine.terms else limit)
    return tuple(kept)


def clip(loop: Loop, ranges: Ranges) -> Loop:
    """Guards that name this loop and nothing inside it become bounds: border taps are skipped, not multiplied by 0."""
    statements = list(works(loop.body))
    if not statements or loop.step != 1:
        return loop
    shared = set.intersection(*(set(skips(s)) for s, _ in statements))
    inside = {l.name for _, loops in statements for l in loops} | digits_inside(loop.body)
    low, high = loop.low, loop.high
    gone: set[Guard] = set()
    for guard in sorted(shared, key=str):
        scale = guard.affine.coefficient(loop.name)
        if not scale or guard.affine.names() & inside:
            continue
        rest = guard.affine.substitute({loop.name: 0})
        if scale > 0:
            low += (Limit(rest * -1, scale),)
            high += (Limit(guard.size - rest, scale),)
        else:  # it falls as the loop goes on
            low += (Limit(rest - guard.size + 1, -scale),)
            high += (Limit(rest + 1, -scale),)
        gone.add(guard)
    return bounded(loop, low, high, without(loop.body, gone)) if gone else loop


def digits_inside(body: tuple[Stmt, ...]) -> set[str]:
    """Variables that a `Let` or a `Read` in the body binds."""
    found = (stmt for stmt, _ in walk(body))
    return {n for s in found for n in (s.names if isinstance(s, Let) else (s.name,) if isinstance(s, Read) else ())}
