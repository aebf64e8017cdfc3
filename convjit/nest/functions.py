"""What `then` clauses compute, written out in elementary operations: no target has sigmoid or gelu as an instruction,
and no library is called.

exp(y) = 2^n exp(r), r = y - n ln 2: Cody & Waite's range reduction (Muller, Elementary Functions, 3rd ed., 11.2), with
ln 2 in two parts and a polynomial in r. n comes from adding 1.5 * 2^23 (f32; 1.5 * 2^52, f64): the sum's low bits are n,
and shifted up they are the exponent of 2^n. Nothing is converted to an integer, so NaN and infinity need no care.

Measured against exact values, in units of the last place: sigmoid 2.5, tanh 2.5, silu 2.4, gelu 5.9 (7.8 without fused
multiply-add) over every f32 from 2^-14 to 128 of either sign and every 61st that is smaller; 2.2, 2.5, 2.0, 5.9 (8.6) over
18,000 f64. The root of the mean squared error is 7e-8 (2e-16) of that of the values, on either side of 0.
Where the exact result is nearer to 0 than 1e-36 (f32; 1e-305, f64) the error is at most that much instead. A NaN gives NaN;
at infinity each gives what its formula gives: silu, gelu and hardswish of -inf are -inf * 0, NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from convjit.nest import fixed_point
from convjit.nest.ir import Apply, Expr
from convjit.nest.steps import Body, Step, Value


@dataclass(frozen=True)
class Format:
    """What functions need to know of a float type; coefficients (lowest power first) by `bench/coefficients.py`.

    `exp`: (exp(r) - 1 - r) / r^2. `over` / `under`: Phi(-t) exp(t^2 / 2) for t from 0 to `end`, where Phi(-end) counts as
    0. `upper` clears the lower half of the significand. `tanh` of `one` and beyond is 1.
    """

    dtype: str
    bits: str
    significand: int
    bias: int
    upper: int
    ln2: tuple[float, float]
    exp: tuple[float, ...]
    over: tuple[float, ...]
    under: tuple[float, ...]
    end: float
    one: float


FORMATS: dict[str, Format] = {
    "f32": Format(
        dtype="f32",
        bits="i32",
        significand=23,
        bias=127,
        upper=-1 << 12,
        ln2=(0.693145751953125, 1.4286068203094173e-06),
        exp=(0.5, 0.1666666716337204, 0.04166631028056145, 0.008333293721079826, 0.0013948532287031412,
             0.0001990751625271514),
        over=(0.5, 0.43450671434402466, 0.18041783571243286, 0.03968034312129021,
              0.0039739650674164295),
        under=(1.0, 1.666898250579834, 1.1908245086669922, 0.4620303511619568, 0.09947158396244049,
               0.009961102157831192),
        end=13.25,
        one=10.0,
    ),
    "f64": Format(
        dtype="f64",
        bits="i64",
        significand=52,
        bias=1023,
        upper=-1 << 27,
        ln2=(0.693147180559663, 2.8235290563031577e-13),
        exp=(0.5, 0.1666666666666667, 0.04166666666666667, 0.008333333333325551, 0.0013888888888883332,
             0.00019841269876840357, 2.480158732699005e-05, 2.755725286336732e-06, 2.755727183153613e-07,
             2.5106262550879078e-08, 2.0915433598076003e-09),
        over=(0.5, 0.8251277667127789, 0.6752268744756839, 0.353951279009856, 0.1303761509871979,
              0.03509760734330611, 0.0069833120170643475, 0.0010152171149482889,
              0.00010358666742012983, 6.744645054845248e-06, 2.1535720263716876e-07),
        under=(1.0, 2.4481400942284233, 2.8037869328186935, 1.9868923366500544, 0.9702806162441661,
               0.34379519714592705, 0.0904876145691463, 0.017763140970296232, 0.002561678243464727,
               0.00026019308987941487, 1.690631799686352e-05, 5.39820453275596e-07),
        end=37.65625,
        one=20.0,
    ),
}  # fmt: skip


def series(t: Value, coefficients: tuple[float, ...]) -> Value:
    """A polynomial by Horner's scheme."""
    *rest, first = coefficients
    result = t.times_plus(first, rest.pop())
    for c in reversed(rest):
        result = result.times_plus(t, c)
    return result


def reduced(y: Value, f: Format, less: int, low: Value | None = None) -> tuple[Value, Value]:
    """exp(r) - 1 and 2^(n - less), where y (+ low, much smaller) = n ln 2 + r."""
    shift = 1.5 * 2.0**f.significand + f.bias - less
    shifted = y.times_plus(1 / math.log(2), shift)
    n = shifted - shift
    r = n.times_plus(-f.ln2[1], n.times_plus(-f.ln2[0], y))
    r = r if low is None else r + low
    scale = shifted.bits(f.bits).op("shl", f.significand).bits(f.dtype)
    return (r * r).times_plus(series(r, f.exp), r), scale


def exp_of_negative(x: Value, f: Format) -> Value:
    """exp(-x): 0 below the normal numbers, infinity above them. n - 1 is from -bias (2^0 as bits: 0) to bias + 1."""
    y = x.op("neg").between((1 - f.bias) * math.log(2), (f.bias + 2) * math.log(2))
    m, half = reduced(y, f, 1)
    return m.times_plus(2.0, 2.0) * half


def sigmoid(x: Value, f: Format) -> Value:
    """1 / (1 + exp(-x))."""
    return 1.0 / (exp_of_negative(x, f) + 1.0)


def silu(x: Value, f: Format) -> Value:
    """x / (1 + exp(-x))."""
    return x / (exp_of_negative(x, f) + 1.0)


def tanh(x: Value, f: Format) -> Value:
    """d / (d + 2), d = exp(2 x) - 1, which is as exact near 0 as x is."""
    x = x.between(-f.one, f.one)
    m, scale = reduced(x + x, f, 0)
    d = m.times_plus(scale, scale - 1.0)
    return d / (d + 2.0)


def gelu(x: Value, f: Format) -> Value:
    """x Phi(x), with Phi(x) = (1 + erf(x / sqrt 2)) / 2 = 1 - Phi(-x).

    Phi(-t) = exp(-t^2 / 2) P(t) / R(t), all of whose coefficients are positive, so that nothing cancels. t^2 has twice
    the digits of t: with h the upper half of t, h^2 is exact and t^2 = h^2 + (t - h)(t + h).
    """
    t = x.op("abs").op("min", f.end)
    h = t.bits(f.bits).op("and", f.upper).bits(f.dtype)
    low = (h - t) * (h + t) * 0.5
    m, scale = reduced(h * h * -0.5, f, 0, low)
    over = series(t, f.over)
    below = m.times_plus(over, over) / series(t, f.under) * scale
    return x * x.below_zero(below, 1.0 - below)


def hardswish(x: Value, f: Format) -> Value:
    """x (min(max(x + 3, 0), 6) / 6): in this order nothing overflows."""
    return x * ((x + 3.0).between(0.0, 6.0) / 6.0)


def leaky_relu(x: Value, slope: Value, f: Format) -> Value:
    """x where x >= 0, else slope x."""
    return x.below_zero(x * slope, x)


@dataclass(frozen=True)
class Function:
    """The types of the arguments ("": that of the result), and what writes the steps, given them and the result's type."""

    arguments: tuple[str, ...]
    write: Callable[..., Value]


def of_floats(count: int, write: Callable[..., Value]) -> Function:
    """A function of floats of one type, written with what is known of the type."""
    return Function(("",) * count, lambda *values: write(*values[:-1], FORMATS[values[-1]]))


FUNCTIONS: dict[str, Function] = {
    "sigmoid": of_floats(1, sigmoid),
    "tanh": of_floats(1, tanh),
    "silu": of_floats(1, silu),
    "gelu": of_floats(1, gelu),
    "hardswish": of_floats(1, hardswish),
    "leaky_relu": of_floats(2, leaky_relu),
    **{name: Function(*function) for name, function in fixed_point.FUNCTIONS.items()},
}
"""By the `op` of an `Apply`."""


@lru_cache(maxsize=64)
def steps(op: str, dtype: str) -> tuple[Step, ...]:
    """The function of that name, giving `dtype`, in elementary operations; its result is what the last step gives."""
    function = FUNCTIONS[op]
    body = Body(len(function.arguments))
    function.write(*(Value(body, at, given or dtype) for at, given in enumerate(function.arguments)), dtype)
    return tuple(body.steps)


def operations(e: Expr) -> int:
    """How many operations an expression is."""
    if not isinstance(e, Apply):
        return 0
    own = len(steps(e.op, e.dtype)) if e.op in FUNCTIONS else 1
    return own + sum(map(operations, e.args))
