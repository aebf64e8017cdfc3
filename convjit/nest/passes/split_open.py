"""A tile over an axis of open size: whole tiles far from the border, single steps elsewhere.

    for ow in 0..OW step 14 { unroll ow.1 in 0..min(14, OW-ow) { … inside 0<=ow+ow.1+kw-1<W } }
    for ow in 0..min(14, OW) { … }                                 single steps, guards tested
    for ow in 14..OW-15 step 14 { unroll ow.1 in 0..14 { … } }     no guard left
    for ow in max(14, …)..OW { … }

Must run before the borders are peeled: peeling decides by numbers, and here there are none yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from convjit.nest.affine import Bound, Limit, Range, ceil_div, fixed_bound, number, var
from convjit.nest.guards import all_guards, without
from convjit.nest.ir import Guard, If, Loop, Nest, OpenSize, Par, Stmt
from convjit.nest.visit import substitute, walk


def split_open(nest: Nest) -> Nest:
    """Every tile loop over an open axis in three parts."""
    if not nest.sizes:
        return nest
    formulas = {s.name: s for s in nest.sizes}
    return replace(nest, body=block(nest.body, formulas, {}))


def block(body: tuple[Stmt, ...], formulas: Mapping[str, OpenSize], ranges: dict[str, Range]) -> tuple[Stmt, ...]:
    """Every loop of the body, outer ones first."""
    result: list[Stmt] = []
    for stmt in body:
        if not isinstance(stmt, (Loop, Par, If)):
            result.append(stmt)
            continue
        parts = three(stmt, formulas, ranges) if isinstance(stmt, Loop) and stmt.step > 1 else (stmt,)
        for part in parts:
            result.append(replace(part, body=block(part.body, formulas, ranges)))
    return tuple(result)


def three(loop: Loop, formulas: Mapping[str, OpenSize], ranges: dict[str, Range]) -> tuple[Loop, ...]:
    """The loop in three, where its end is open and its tile can be walked in single steps."""
    size = open_end(loop)
    inner = [l for _, loops in walk(loop.body) for l in loops if any(loop.name in h.affine.names() for h in l.high)]
    inner = list(dict.fromkeys(inner))
    walked = all(l.kind in ("unroll", "serial") for l in inner) and min((l.step for l in inner), default=0) == 1
    if size is None or not walked:  # lanes inside the tile cannot be walked one by one
        return (loop,)
    step, tiles = loop.step, {l.name for l in inner}
    guards = [g for g in all_guards(loop.body) if g.affine.coefficient(loop.name)]
    reach = ranges_inside(loop)
    first, slack = 0, step
    for g in guards:
        c = g.affine.coefficient(loop.name)
        low, high = g.affine.substitute({loop.name: 0}).range(reach)
        first = max(first, ceil_div(-low, c))
        room = room_below(g, c, high, size, formulas)
        if room is None:
            return (loop,)
        slack = max(slack, room)
    first = ceil_div(max(first, 0), step) * step
    end = Limit(var(size) + (1 - slack))  # the last whole tile starts below this
    begin, stop = loop.low[1:], tuple(h for h in loop.high if h.affine != var(size))
    single = replace(loop, step=1, body=collapse(loop.body, tiles))
    left = replace(single, low=loop.low, high=(Limit(number(first)), Limit(var(size)), *stop))
    whole = replace(
        loop, low=(*fixed_bound(first), *begin), high=(end, *stop), body=full(loop.body, loop.name, step, set(guards))
    )
    rest = (Limit(number(first)), Limit(end.affine, step, step), *begin)
    right = replace(single, low=rest, high=(Limit(var(size)), *stop))
    return (left, whole, right) if first else (whole, right)


def open_end(loop: Loop) -> str | None:
    """The open size that ends the loop."""
    for limit in loop.high:
        name = next(iter(limit.affine.names()), "")
        if limit == Limit(var(name)) and name[:1].isupper():
            return name
    return None


def room_below(g: Guard, c: int, high: int, size: str, formulas: Mapping[str, OpenSize]) -> int | None:
    """How far below the axis's end the tile must start for `affine < size of the guard`; None where unknown.

    From OW = (W + add) // s + 1 follows W >= s (OW - 1) - add.
    """
    if g.size == var(size):
        return ceil_div(high + 1, c)
    formula = formulas.get(size)
    if formula is None or g.size != var(formula.source) or formula.divisor != c:
        return None
    return ceil_div(high + 1 + formula.add + c, c)


def ranges_inside(loop: Loop) -> dict[str, Range]:
    """The ranges of the loops inside, tails counted as whole tiles."""
    found: dict[str, Range] = {}
    for _, loops in walk(loop.body):
        for l in loops:
            tops = [h.affine.const for h in l.high if not h.affine.terms]
            if tops:
                found[l.name] = (0, max(0, (min(tops) - 1) // l.step * l.step))
    return found


def collapse(body: tuple[Stmt, ...], tiles: set[str]) -> tuple[Stmt, ...]:
    """One step instead of a tile: the loops inside the tile are gone."""
    result: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, Loop) and stmt.name in tiles:
            result += collapse(stmt.body, tiles)
        elif isinstance(stmt, (Loop, If, Par)):
            result.append(replace(stmt, body=collapse(stmt.body, tiles)))
        else:
            result.append(stmt)
    return substitute(tuple(result), dict.fromkeys(tiles, 0))


def full(body: tuple[Stmt, ...], name: str, step: int, gone: set[Guard]) -> tuple[Stmt, ...]:
    """A whole tile: no tail, and none of these guards."""
    def bound(b: Bound) -> Bound:
        kept = tuple(l for l in b if not l.affine.coefficient(name))
        return kept or b

    result: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, (Loop, If, Par)):
            stmt = replace(stmt, body=full(stmt.body, name, step, gone))
        if isinstance(stmt, Loop):
            stmt = replace(stmt, high=bound(stmt.high))
        result.append(stmt)
    return without(tuple(result), gone)
