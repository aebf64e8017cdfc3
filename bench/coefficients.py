"""The coefficients in `convjit/nest/functions.py`, computed anew: `python bench/coefficients.py` (needs mpmath).

Interpolation at Chebyshev nodes in 50 digits, which comes within a bit or two of the best approximation of that
degree. Printed behind each is the largest relative error, with the coefficients rounded and exact. Takes a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np

mp.mp.dps = 50
Function = Callable[[Any], Any]
Coefficients = list[Any]
"""Lowest power first."""
Pair = tuple[Coefficients, Coefficients]
"""Over and under the fraction line."""


def nodes(low: Any, high: Any, count: int) -> list[Any]:
    """Chebyshev's."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(mp.pi * (2 * i + 1) / (2 * count)) for i in range(count)]


def value(c: Coefficients, t: Any) -> Any:
    """Horner's scheme."""
    return mp.polyval(c[::-1], t)


def exp_tail(r: Any) -> Any:
    """(exp(r) - 1 - r) / r^2."""
    return mp.fsum(r**j / mp.factorial(j + 2) for j in range(40))


def tail(t: Any) -> Any:
    """Phi(-t) exp(t^2 / 2), with Phi the normal distribution: what gelu needs; half of erfcx(t / sqrt 2)."""
    return mp.erfc(t / mp.sqrt(2)) / 2 * mp.exp(t * t / 2)


def polynomial(f: Function, low: Any, high: Any, degree: int) -> Coefficients:
    """Equal to f at the nodes."""
    points = nodes(low, high, degree + 1)
    powers = mp.matrix([[t**j for j in range(degree + 1)] for t in points])
    return list(mp.lu_solve(powers, mp.matrix([f(t) for t in points])))


def rational(f: Function, end: Any, over: int, under: int, k: Any) -> Pair:
    """P / R equal to f on [0, end], R(0) = 1; the nodes are Chebyshev's in (t - k) / (t + k)."""
    points = mapped(end, k, over + under + 1)
    rows = [[*(t**j for j in range(over + 1)), *(-f(t) * t**j for j in range(1, under + 1))] for t in points]
    found = list(mp.lu_solve(mp.matrix(rows), mp.matrix([f(t) for t in points])))
    return found[: over + 1], [mp.mpf(1), *found[over + 1 :]]


def mapped(end: Any, k: Any, count: int) -> list[Any]:
    """Points of [0, end], dense near 0."""
    return [k * (1 + s) / (1 - s) for s in nodes(mp.mpf(-1), (end - k) / (end + k), count)]


def rounded_in_turn(f: Function, pair: Pair, end: Any, k: Any, kind: Any) -> Pair:
    """The coefficients rounded one after the other, the highest powers first, those left fitted anew by least squares
    of the relative error: half the error of rounding all at once, or less."""
    p, r = pair
    points = mapped(end, k, 120)
    names = [(0, j) for j in range(len(p))] + [(1, j) for j in range(1, len(r))]
    names.sort(key=lambda name: (-name[1], name[0]))
    values = {**{(0, j): v for j, v in enumerate(p)}, **{(1, j): v for j, v in enumerate(r)}}
    for at, name in enumerate(names):
        values[name] = mp.mpf(rounded([values[name]], kind)[0])
        free = names[at + 1 :]
        if free:
            values |= zip(free, fitted(f, values, free, points), strict=True)
    return [values[0, j] for j in range(len(p))], [values[1, j] for j in range(len(r))]


def fitted(f: Function, values: dict[tuple[int, int], Any], free: list[tuple[int, int]], points: list[Any]) -> Any:
    """The free coefficients, with the others as they are."""
    r = [values[name] for name in sorted(values) if name[0] == 1]

    def term(name: tuple[int, int], t: Any) -> Any:
        return (1 if name[0] == 0 else -f(t)) * t ** name[1] / (f(t) * value(r, t))

    rows = [[term(name, t) for name in free] for t in points]
    rest = [-mp.fsum(v * term(name, t) for name, v in values.items() if name not in free) for t in points]
    return mp.qr_solve(mp.matrix(rows), mp.matrix(rest))[0]


def rounded(c: Coefficients, kind: Any) -> list[float]:
    """To the type."""
    return [float(kind(mp.nstr(v, 40))) for v in c]


def worst(error: Function, low: Any, high: Any) -> str:
    """log2 of the largest error."""
    points = nodes(low, high, 400)
    return str(mp.nstr(mp.log(max(abs(error(t)) for t in points), 2), 4))


def show(name: str, exact: Coefficients, kind: Any) -> None:
    """As Python."""
    print(f"{name}=({', '.join(repr(v) for v in rounded(exact, kind))}),")


def exponential(kind: Any, degree: int, reach: Any) -> None:
    """exp(r) = 1 + r + r^2 q(r) for |r| <= reach; the error is relative to exp(r) - 1."""
    q = polynomial(exp_tail, -reach, reach, degree)

    def error(c: Coefficients) -> str:
        return worst(lambda r: r * r * (value(c, r) - exp_tail(r)) / (mp.exp(r) - 1), -reach, reach)

    show("exp", q, kind)
    print(f"# 2^{error(rounded(q, kind))}, exact 2^{error(q)}")


def normal(kind: Any, over: int, under: int, k: int, end: float) -> None:
    """Phi(-t) exp(t^2 / 2) for 0 <= t <= end."""
    exact = rational(tail, mp.mpf(end), over, under, mp.mpf(k))
    p, r = rounded_in_turn(tail, exact, mp.mpf(end), mp.mpf(k), kind)

    def error(pair: Pair) -> str:
        return worst(lambda t: value(pair[0], t) / value(pair[1], t) / tail(t) - 1, mp.mpf(0), mp.mpf(end))

    show("over", p, kind)
    show("under", r, kind)
    print(f"# 2^{error((p, r))}, exact 2^{error(exact)}")


def main() -> None:
    """Both types."""
    print("f32")
    exponential(np.float32, 5, mp.mpf("0.4"))
    normal(np.float32, 4, 5, 3, 13.25)
    print("f64")
    exponential(np.float64, 10, mp.mpf("0.35"))
    normal(np.float64, 10, 11, 4, 37.66)
    print("ln 2:", [float(v) for v in split(mp.log(2), 15)], [float(v) for v in split(mp.log(2), 41)])


def split(v: Any, digits: int) -> tuple[Any, Any]:
    """A number of so many binary digits, and what is left."""
    high = mp.floor(v * 2**digits) / 2**digits
    return high, v - high


if __name__ == "__main__":
    main()
