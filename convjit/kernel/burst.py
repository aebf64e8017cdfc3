"""Multiply-adds of a whole tile at once: unrolled loops around a single statement, most of a kernel's instances.

What is written is what the general way writes, turn by turn; here places are worked out once for the tile, and an
operand that several turns share is looked up by its offset alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from operator import mul

from convjit.kernel.expressions import operand
from convjit.kernel.ir import Operand
from convjit.kernel.state import State, Terms
from convjit.kernel.variables import ALWAYS
from convjit.nest.affine import Affine, high_range, low_range
from convjit.nest.guards import skips
from convjit.nest.ir import Expr, Guard, Load, Loop, MulAdd

Values = tuple[int, ...]
Multiply = Callable[[State, MulAdd], Callable[[Sequence[Operand]], None]]
"""Of a statement: what writes one instruction, the factors given."""


def burst(l: State, outermost: Loop, multiply: Multiply) -> bool:
    """Write the loop out if it is such a tile; False, with nothing written, where it is not."""
    loops, simd, stmt = chain(outermost)
    known = l.v.known_ranges()
    if stmt is None or l.v.dot is not None or not all(known_bounds(p, known) for p in (*loops, *simd)):
        return False
    ranges = [range(low_range(p.low, known)[0], high_range(p.high, known)[0], p.step) for p in loops]
    if not all(ranges):
        return False
    names = [p.name for p in loops]
    l.v.grain.update({p.name: p.step for p in loops} | {p.name: 1 for p in simd})
    l.v.static.update(zip(names, (r[0] for r in ranges), strict=True))
    l.v.simd += [(p.name, high_range(p.high, {})[0]) for p in simd]
    tests = [test(l, guard, names) for guard in skips(stmt)]
    applies = all(t is not None for t in tests) and plain(l, stmt)
    if applies:
        write(l, stmt, names, ranges, [t for t in tests if t is not None], multiply)
    del l.v.simd[len(l.v.simd) - len(simd) :]
    for name in names:
        l.v.static.pop(name, None)
    return applies


def chain(loop: Loop) -> tuple[list[Loop], list[Loop], MulAdd | None]:
    """Unrolled loops, then lanes, then the one statement inside; None where it is anything else."""
    loops: list[Loop] = []
    simd: list[Loop] = []
    while True:
        if loop.kind not in ("unroll", "simd") or (simd and loop.kind == "unroll") or len(loop.body) != 1:
            return loops, simd, None
        (simd if loop.kind == "simd" else loops).append(loop)
        inner = loop.body[0]
        if not isinstance(inner, Loop):
            return loops, simd, inner if isinstance(inner, MulAdd) else None
        loop = inner


def known_bounds(loop: Loop, known: dict[str, tuple[int, int]]) -> bool:
    """Whether it begins and ends at numbers."""
    low, high = low_range(loop.low, known), high_range(loop.high, known)
    return low[0] == low[1] and high[0] == high[1]


def plain(l: State, stmt: MulAdd) -> bool:
    """Whether both factors are loads, from memory in one slot or from registers."""
    loads = [e for e in (stmt.a, stmt.b) if isinstance(e, Load) and e.slot is None]
    return len(loads) == 2 and l.buffers[stmt.target.buffer].level == "registers"


Test = tuple[int, Values, int]
"""constant, coefficients, size: the guard holds where 0 <= constant + sum < size."""


def test(l: State, guard: Guard, names: list[str]) -> Test | None:
    """A guard that numbers decide; None where values at run time or lanes take part."""
    plan = l.v.plan(guard.affine)
    if plan.running or len(set(plan.lanes)) > 1 or guard.size.terms:
        return None
    outer = plan.static({**l.v.static, **dict.fromkeys(names, 0)})
    return outer + plan.lanes[0], coefficients(plan.unrolled, names), guard.size.const


def coefficients(terms: Terms, names: list[str]) -> Values:
    """Of each of the tile's loops."""
    given = dict(terms)
    return tuple(given.get(name, 0) for name in names)


def write(
    l: State, stmt: MulAdd, names: list[str], ranges: list[range], tests: list[Test], multiply: Multiply
) -> None:
    """Every turn."""
    factors = [Factor(l, e, names) for e in (stmt.a, stmt.b)]
    static, write_one = l.v.static, multiply(l, stmt)
    l.b.write_for(stmt)
    for values in product(*ranges):
        if any(not 0 <= const + sum(map(mul, c, values)) < size for const, c, size in tests):
            continue
        static.update(zip(names, values, strict=True))
        write_one([f.value(values) for f in factors])


class Factor:
    """An operand by the offset of its place within the tile."""

    def __init__(self, l: State, e: Expr, names: list[str]) -> None:
        self.l, self.e = l, e
        self.known: dict[Values, Operand] = {}
        assert isinstance(e, Load)
        if l.buffers[e.buffer].level == "registers":
            lanes = {n for n, _ in l.v.simd}
            parts = [a for a in e.index if not a.names() & lanes]
        else:
            spot = l.memory.spot(e)
            parts = [Affine(p.unrolled) for p in (spot.plan, *(p for _, p in spot.symbolic))]
        self.coefficients = [c for c in (coefficients(a.terms, names) for a in parts) if any(c)]

    def value(self, values: Values) -> Operand:
        """The operand of one turn; the environment holds the turn's values."""
        place = tuple([sum(map(mul, c, values)) for c in self.coefficients])
        found = self.known.get(place)
        if found is None:
            found = self.known[place] = operand(self.l, self.e, ALWAYS)
        return found
