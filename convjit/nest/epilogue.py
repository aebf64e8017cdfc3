"""What becomes of the sum: bias, `then` clauses, and the way back to stored numbers."""

from __future__ import annotations

from collections.abc import Callable

from convjit.dtypes import is_float
from convjit.nest import requantize
from convjit.nest.after import ACCUMULATOR, After
from convjit.nest.ir import Apply, Expr
from convjit.spec.conv import ConvSpec, Then


def epilogue(after: After) -> Expr:
    """Bias, then the `then` clauses in the order written, then the output's own numbers."""
    spec, bias = after.spec, after.spec.bias
    whole = bias is not None and not is_float(bias.dtype)
    e: Expr = ACCUMULATOR
    if after.zero:
        e = Apply("add", (e, after.vector(offset(spec))), spec.accumulator)
    elif bias is not None and (whole or not after.real):
        e = Apply("add", (e, after.convert(after.vector(bias.name), bias.dtype, spec.accumulator)), spec.accumulator)
    if after.real:
        return requantize.stored(after, e, lambda real, steps: with_steps(after, real, steps))
    return with_steps(after, e, spec.then)


def with_steps(after: After, e: Expr, steps: tuple[Then, ...]) -> Expr:
    """Steps in the order written."""
    for then in steps:
        e = FUNCTIONS[then.op](e, then, after)
    return e


def offset(spec: ConvSpec) -> str:
    """The vector that is added to the sums of each output channel: bias - zero * (sum of the weights)."""
    return f"{spec.weight.name}.offset"


def outside(spec: ConvSpec) -> str:
    """zero * (sum of the weights) of each output channel and tap: what a tap outside the image must be given back."""
    return f"{spec.weight.name}.outside"


Function = Callable[[Expr, Then, After], Expr]


def clip(low: float | None, high: float | None) -> Function:
    """Between two numbers; None: those of the clause."""

    def build(e: Expr, then: Then, after: After) -> Expr:
        e = after.apply("max", e, after.number(then.args[0] if low is None else low))
        if high is None and low is not None:
            return e
        return after.apply("min", e, after.number(then.args[1] if high is None else high))

    return build


def named(op: str) -> Function:
    """A function of one value, and of the numbers of the clause, that `functions` writes out for the kernel."""
    return lambda e, then, after: after.apply(op, e, *map(after.number, then.args))


def with_tensor(op: str) -> Function:
    """With a number of each output channel, or with another tensor of the output's shape."""
    return lambda e, then, after: after.apply(op, e, after.read(then.args[0]))


FUNCTIONS: dict[str, Function] = {
    "relu": clip(0.0, None),
    "relu6": clip(0.0, 6.0),
    "clip": clip(None, None),
    "leaky_relu": named("leaky_relu"),
    "hardswish": named("hardswish"),
    "sigmoid": named("sigmoid"),
    "tanh": named("tanh"),
    "silu": named("silu"),
    "gelu": named("gelu"),
    "scale": with_tensor("mul"),
    "add": with_tensor("add"),
    "mul": with_tensor("mul"),
}
