"""Words that lie side by side and go to registers are read by one access.

    unroll c in 0..16 by 4 { unroll p in 0..8 { dot k in 0..4 { x.r[p, c+k] = x.s[p, c+k] } } }

    unroll p in 0..8 { vec c in 0..16 by 4 { dot k in 0..4 { x.r[p, c+k] = x.s[p, c+k] } } }

Must run after the units are bound: what is written out then stands in unrolled loops alone. Where such an access turns
out not to be aligned, or part of it may not exist, the kernel reads word by word, as it would have.
"""

from __future__ import annotations

from dataclasses import replace

from convjit.nest.affine import Affine, fixed_bound, high_range, var
from convjit.nest.ir import NESTED, Let, Load, Loop, Nest, Stmt, Store
from convjit.nest.visit import substitute

COUNTS = (4, 2)
"""Words of four bytes in an access, the most first: 16 bytes."""


def wide_words(nest: Nest) -> Nest:
    """The nest with wide reads."""
    return replace(nest, body=block(nest, nest.body))


def block(nest: Nest, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """Every chain of loops in a list of statements."""
    result: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, Loop) and (found := widened(nest, stmt)):
            stmt = found
        elif isinstance(stmt, NESTED):
            stmt = replace(stmt, body=block(nest, stmt.body))
        result.append(stmt)
    return tuple(result)


def widened(nest: Nest, loop: Loop) -> Stmt | None:
    """The loops around one copy to registers, the one over neighbours innermost; None where there is none such."""
    loops: list[Loop] = []
    inner: Stmt = loop
    while isinstance(inner, Loop) and inner.kind == "unroll" and len(inner.body) == 1:
        loops.append(inner)
        inner = inner.body[0]
    if not isinstance(inner, Loop) or inner.kind != "dot":
        return None
    *lets, copy = inner.body
    if not isinstance(copy, Store) or not isinstance(copy.value, Load):
        return None
    if nest.buffer(copy.target.buffer).level != "registers":
        return None
    offset = offsets(nest, copy.value, [*loops, inner])
    fixed = {n for let in lets if isinstance(let, Let) for n in let.of.names()}
    for l in reversed(loops):
        apart = offset.coefficient(l.name) * l.step
        if apart == high_range(inner.high, {})[0] and l.name not in fixed and (count := in_access(l)):
            return around([o for o in loops if o is not l], l, count, inner)
    return None


def in_access(loop: Loop) -> int:
    """How many of a loop's turns are one access; 0 where that does not come out even."""
    high = high_range(loop.high, {})[0]
    return next((n for n in COUNTS if high % (loop.step * n) == 0), 0)


def around(others: list[Loop], l: Loop, count: int, word: Loop) -> Stmt:
    """The loop over neighbours by accesses of several words, inside all others."""
    made: Stmt = replace(l, kind="vec", body=(word,))
    wide = l.step * count
    if high_range(l.high, {})[0] > wide:
        (body,) = substitute((word,), {l.name: var(l.name) + var(f"{l.name}.v")})
        vec = Loop(f"{l.name}.v", fixed_bound(0), fixed_bound(wide), l.step, "vec", (body,))
        made = replace(l, step=wide, body=(vec,))
    for outer in reversed(others):
        made = replace(outer, body=(made,))
    return made


def offsets(nest: Nest, load: Load, loops: list[Loop]) -> Affine:
    """The element's place in its buffer as the loops move it; 0 for registers."""
    buffer = nest.buffer(load.buffer)
    if buffer.layout is None:
        return Affine()
    flat = buffer.layout.flatten(dict(zip(buffer.dims, load.index, strict=True)), {l.name: l.step for l in loops})
    return flat.get((), Affine())
