"""Runs of neighbours that one access covers, and words: the neighbours whose products one instruction sums up.

A thread of a GPU reads and writes a word at once where it is known to be aligned and to exist as a whole; else number
by number, put together with the first number lowest. What does not exist is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from convjit.dtypes import bits
from convjit.kernel.addresses import Addresses, Spot
from convjit.kernel.builder import Builder
from convjit.kernel.ir import Operand, Type
from convjit.kernel.variables import Plan, Variables, Where, where
from convjit.nest.ir import Guard, Load

Run = tuple[tuple[str, int, int], ...]
"""Loops through neighbours: (variable, step, turns), fastest first."""


def contiguous(plan: Plan, dot: str, run: Run) -> bool:
    """Whether the loops go through neighbours in memory, one after the other; `dot` is the variable of a word."""
    coefficients, span = {**dict(plan.unrolled), dot: plan.dot}, 1
    for name, step, turns in run:
        if coefficients.get(name, 0) * step != span:
            return False
        span *= turns
    return True


def together(v: Variables, guard: Guard, run: Run) -> bool:
    """Whether the guard is the same for all elements of the run."""
    span = 1
    for name, step, turns in run:
        c = guard.affine.coefficient(name) * step
        if c not in (0, span):
            return False
        span *= turns if c else 1
    names = {name for name, _, _ in run}
    others = [c * v.grain.get(n, 1) for n, c in guard.affine.terms if n not in names]
    whole = not guard.size.terms and guard.size.const % span == 0
    return span == 1 or (whole and all(x % span == 0 for x in (guard.affine.const, *others)))


def unit(dtype: str, dot: tuple[str, int] | None) -> Type:
    """The kernel's type for an element, or for a word of them."""
    return f"i{bits(dtype) * dot[1]}" if dot and dot[1] > 1 else dtype


def joined(b: Builder, kind: Type, one: Type, numbers: Iterable[tuple[int, str]]) -> str:
    """Numbers of the type `one`, each with its place in a word, put together to a word of the type `kind`."""
    total = ""
    for place, number in numbers:
        wider = b.once("convert", kind, number, **{"from": one})
        moved = b.once("mul", kind, wider, 1 << bits(one) * place) if place else wider
        total = b.once("add", kind, total, moved) if total else moved
    return total


def load_word(m: Addresses, access: Load, spot: Spot, kind: Type, w: Where) -> str:
    """A word, 0 where the condition of `w` fails; numbers that the access's own guards exclude are 0 as well."""
    assert m.v.dot
    name, count = m.v.dot
    moving = tuple(g for g in access.inside if g.affine.coefficient(name))
    if aligned(m, spot, kind) and all(together(m.v, g, ((name, 1, count),)) for g in moving):
        return m.scalar(access, spot, kind, 0, w.condition)
    one = f"u{bits(spot.buffer.dtype)}"

    def numbers() -> Iterator[tuple[int, str]]:
        for place in range(count):
            at = where(m.v, tuple(Guard(g.affine.substitute({name: place}), g.size) for g in moving))
            if not at.never:
                yield place, m.scalar(access, spot, one, place, both(m.b, w.condition, at.condition))

    return joined(m.b, kind, one, numbers())


def store_word(m: Addresses, access: Load, spot: Spot, kind: Type, value: Operand) -> None:
    """A word to where its numbers belong."""
    assert m.v.dot
    if aligned(m, spot, kind):
        m.b.do("store", kind, value, m.pointer(spot, access), align=bits(kind) // 8)
        return
    one = f"u{bits(spot.buffer.dtype)}"
    for place in range(m.v.dot[1]):
        rest = m.b.once("lshr", kind, value, bits(one) * place) if place else value
        number = m.b.once("convert", one, rest, **{"from": kind})
        m.b.do("store", one, number, m.pointer(spot, access, place), align=spot.size)


def aligned(m: Addresses, spot: Spot, kind: Type) -> bool:
    """Whether the address is known to be a multiple of the word's size."""
    size = bits(kind) // 8
    return m.alignment(spot, size) == size


def both(b: Builder, first: str, second: str) -> str:
    """Two conditions, "" for one that always holds."""
    return b.once("and", "i1", first, second) if first and second else first or second
