"""The way from an integer sum to a real number, and from there to a stored integer: the profiles of `requantize`.

The formulas are written out in docs/quantisation.md; `spec/requantize.py` is the same in NumPy. Whatever depends on the
channel alone (a product of scales, a multiplier and its shift) is made once, by `prepare`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convjit.dtypes import bits, is_float, limits
from convjit.nest.after import After
from convjit.nest.ir import Apply, Expr, Number
from convjit.spec import words
from convjit.spec.conv import ConvSpec, Then
from convjit.spec.requantize import Stored, ends, fixed_point, narrowed, takes_one_factor

Steps = Callable[[Expr, tuple[Then, ...]], Expr]


def single(value: float) -> float:
    """The nearest f32."""
    return float(np.float32(value))


def fixed(spec: ConvSpec) -> bool:
    """Whether the sum is requantised in integers."""
    return spec.output.quantised and spec.requantize in words.INTEGER_PROFILES


def direct(spec: ConvSpec) -> bool:
    """Whether one multiplication leads to the units of the output."""
    return spec.output.quantised and takes_one_factor(spec)


def stored(after: After, total: Expr, steps: Steps) -> Expr:
    """The output's number of a sum."""
    spec = after.spec
    if fixed(spec):
        return in_integers(after, total)
    real = after.convert(total, spec.accumulator, "f32")
    if spec.compute is not None:
        real = after.apply("div", real, restoring(after))
    else:
        real = after.apply("mul", real, factor(after))
    if spec.bias is not None and is_float(spec.bias.dtype):
        real = after.apply("add", real, after.read(spec.bias.name))
    if not spec.output.quantised:
        return steps(real, spec.then)
    if direct(spec):
        return rounded(after, steps(real, tuple(scaled(s, spec) for s in spec.then)))
    return rounded(after, in_units(after, steps(real, spec.then)))


def restoring(after: After) -> Expr:
    """What the sum of quantised numbers is divided by: the product of the scales."""
    clause = after.spec.compute
    assert clause is not None and isinstance(clause.scales, tuple)
    x, w = clause.scales
    if isinstance(w, str):
        return after.apply("mul", Number(single(x), "f32"), after.vector(w))
    return Number(float(np.float32(x) * np.float32(w)), "f32")


def factor(after: After) -> Expr:
    """From sums to real numbers, or to the units of the output."""
    spec = after.spec
    if isinstance(spec.weight.scale, str):
        return after.vector(factor_name(spec))
    return Number(float(number_factor(spec)), "f32")


def factor_name(spec: ConvSpec) -> str:
    """The vector of factors."""
    return f"{spec.weight.name}.factor"


def number_factor(spec: ConvSpec) -> np.float32:
    """The factor, where all scales are numbers."""
    assert isinstance(spec.input.scale, float) and isinstance(spec.weight.scale, float)
    with np.errstate(over="ignore", under="ignore"):
        product = np.float32(spec.input.scale) * np.float32(spec.weight.scale)
        return np.float32(product / np.float32(unit(spec))) if direct(spec) else product


def unit(spec: ConvSpec) -> float:
    """The output's scale."""
    assert isinstance(spec.output.scale, float)
    return single(spec.output.scale)


def scaled(step: Then, spec: ConvSpec) -> Then:
    """A comparing step in the units of the output."""
    if step.op == "relu":
        return step
    return Then("clip", tuple(float(np.float32(end) / np.float32(unit(spec))) for end in ends(step)))


def in_units(after: After, real: Expr) -> Expr:
    """A real number in the units of the output."""
    if after.spec.requantize == "onednn":
        return after.apply("mul", real, Number(float(np.float32(1) / np.float32(unit(after.spec))), "f32"))
    return after.apply("div", real, Number(unit(after.spec), "f32"))


def rounded(after: After, t: Expr) -> Expr:
    """To a whole number, saturated, the zero point added before (stablehlo, onednn) or after. A NaN gives the least.

    f32 does not hold the ends of i32: there it is done in f64 and i64.
    """
    output = after.spec.output
    (low, high), zero = limits(output.dtype), int(output.zero or 0)
    before = after.spec.requantize in ("stablehlo", "onednn")
    if before and zero:
        t = after.apply("add", t, Number(float(zero), "f32"))
    shift = 0 if before else zero
    real, whole = ("f32", "i32") if bits(output.dtype) < 32 else ("f64", "i64")
    t = after.convert(t, "f32", real)
    t = Apply("max", (Number(float(low - shift), real), t), real)  # low < t ? t : low
    t = Apply("min", (t, Number(float(high - shift), real)), real)
    e: Expr = Apply("convert", (Apply("rint", (t,), real),), whole)
    return Apply("add", (e, Number(float(shift), whole)), whole) if shift else e


# --- in integers


def in_integers(after: After, total: Expr) -> Expr:
    """TensorFlow Lite's fixed-point multiplication, the zero point, and the ends."""
    spec = after.spec
    if isinstance(spec.weight.scale, str):
        m, e = after.vector(multiplier_name(spec)), after.vector(shift_name(spec))
        multiplier: Expr = m
        shift: Expr = e
    else:
        assert isinstance(spec.input.scale, float) and isinstance(spec.weight.scale, float)
        scale = np.asarray(np.float64(single(spec.input.scale)) * single(spec.weight.scale) / unit(spec))
        multiplier, shift = (Number(float(v), "i32") for v in fixed_point(scale))
    q: Expr = Apply(str(spec.requantize), (total, multiplier, shift), "i64")
    low, high = narrowed(spec.then, Stored.of(spec.output))
    if spec.output.zero:
        q = Apply("add", (q, Number(float(int(spec.output.zero)), "i64")), "i64")
    q = Apply("min", (Apply("max", (q, Number(float(low), "i64")), "i64"), Number(float(high), "i64")), "i64")
    return Apply("convert", (q,), "i32")


def multiplier_name(spec: ConvSpec) -> str:
    """The vector of multipliers, in units of 2^-31."""
    return f"{spec.weight.name}.multiplier"


def shift_name(spec: ConvSpec) -> str:
    """The vector of shifts to the left."""
    return f"{spec.weight.name}.shift"
