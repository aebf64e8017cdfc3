"""Affine expressions over loop variables and open sizes, and the questions asked of them: range and value."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Range = tuple[int, int]
"""Both ends inclusive."""

OPEN_RANGE: Range = (1, 1 << 31)
"""What is known of an open size before the call."""


@dataclass(frozen=True)
class Affine:
    """const + sum(coefficient * variable); terms are sorted by name and have no zero coefficient."""

    terms: tuple[tuple[str, int], ...] = ()
    const: int = 0

    def __add__(self, other: Affine | int) -> Affine:
        if isinstance(other, int):
            return Affine(self.terms, self.const + other)
        if not other.terms:
            return Affine(self.terms, self.const + other.const)
        if not self.terms:
            return Affine(other.terms, self.const + other.const)
        sums = dict(self.terms)
        for name, coefficient in other.terms:
            sums[name] = sums.get(name, 0) + coefficient
        return Affine(tuple(sorted((n, c) for n, c in sums.items() if c)), self.const + other.const)

    def __mul__(self, factor: int) -> Affine:
        if factor == 1:
            return self
        return Affine(tuple((n, c * factor) for n, c in self.terms if factor), self.const * factor)

    def __sub__(self, other: Affine | int) -> Affine:
        return self + other * -1

    def substitute(self, values: Mapping[str, Affine | int]) -> Affine:
        """Replace variables; the ones not named stay."""
        if not any(name in values for name, _ in self.terms):
            return self
        sums: dict[str, int] = {}
        const = self.const
        for name, coefficient in self.terms:
            value = values.get(name)
            if value is None:
                sums[name] = sums.get(name, 0) + coefficient
            elif isinstance(value, int):
                const += value * coefficient
            else:
                const += value.const * coefficient
                for inner, factor in value.terms:
                    sums[inner] = sums.get(inner, 0) + factor * coefficient
        return Affine(tuple(sorted((n, c) for n, c in sums.items() if c)), const)

    def range(self, ranges: Mapping[str, Range]) -> Range:
        """Lowest and highest value; a variable without a range is an open size."""
        low = high = self.const
        for name, coefficient in self.terms:
            first, last = ranges.get(name, OPEN_RANGE)
            if coefficient > 0:
                low, high = low + first * coefficient, high + last * coefficient
            else:
                low, high = low + last * coefficient, high + first * coefficient
        return low, high

    def value(self, env: Mapping[str, int]) -> int:
        """The number, every variable known."""
        return self.const + sum(c * env[n] for n, c in self.terms)

    def names(self) -> frozenset[str]:
        """The variables in it."""
        return frozenset(n for n, _ in self.terms)

    def coefficient(self, name: str) -> int:
        """Of one variable, 0 where it does not occur."""
        for n, c in self.terms:
            if n == name:
                return c
        return 0

    def only(self, names: Iterable[str]) -> Affine:
        """The terms in these variables, without the constant."""
        kept = frozenset(names)
        return Affine(tuple(t for t in self.terms if t[0] in kept))

    def __str__(self) -> str:
        parts = []
        for name, c in self.terms:
            factor = "" if abs(c) == 1 else f"{abs(c)}*"
            parts.append(f"{'+' if c > 0 else '-'}{factor}{name}")
        text = "".join(parts)
        text += f"{self.const:+d}" if self.const or not text else ""
        return text.removeprefix("+")


def var(name: str) -> Affine:
    """One variable."""
    return Affine(((name, 1),))


def number(value: int) -> Affine:
    """A constant."""
    return Affine((), value)


def total(parts: Iterable[Affine]) -> Affine:
    """The sum."""
    result = Affine()
    for part in parts:
        result = result + part
    return result


def ceil_div(value: int, divisor: int) -> int:
    """value / divisor, rounded up."""
    return -(-value // divisor)


@dataclass(frozen=True)
class Limit:
    """One term of a loop bound: scale * ceil(affine / divisor). A low bound is the max of its limits, a high the min."""

    affine: Affine
    divisor: int = 1
    scale: int = 1

    def __str__(self) -> str:
        if self.divisor == self.scale == 1:
            return str(self.affine)
        text = f"ceil(({self.affine})/{self.divisor})"
        return text if self.scale == 1 else f"{self.scale}*{text}"

    def range(self, ranges: Mapping[str, Range]) -> Range:
        """Lowest and highest value."""
        low, high = self.affine.range(ranges)
        return ceil_div(low, self.divisor) * self.scale, ceil_div(high, self.divisor) * self.scale

    def value(self, env: Mapping[str, int]) -> int:
        """The number, every variable known."""
        return ceil_div(self.affine.value(env), self.divisor) * self.scale

    def map(self, change: Callable[[Affine], Affine]) -> Limit:
        """The same limit of a changed expression."""
        return Limit(change(self.affine), self.divisor, self.scale)


Bound = tuple[Limit, ...]


def fixed_bound(value: int) -> Bound:
    """A bound that is a number."""
    return (Limit(number(value)),)


def low_range(bound: Bound, ranges: Mapping[str, Range]) -> Range:
    """Of a low bound: the max of its limits."""
    every = [limit.range(ranges) for limit in bound]
    return max(r[0] for r in every), max(r[1] for r in every)


def high_range(bound: Bound, ranges: Mapping[str, Range]) -> Range:
    """Of a high bound: the min of its limits."""
    every = [limit.range(ranges) for limit in bound]
    return min(r[0] for r in every), min(r[1] for r in every)
