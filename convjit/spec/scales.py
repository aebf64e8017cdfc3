"""Scales and zero points: what a tensor's clause says, and whether those of a convolution go together."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from convjit import dtypes
from convjit.dsl import ast
from convjit.spec.evaluate import Scope, shown

Declared = dict[str, ast.Tensor]
"""The tensors of a convolution by name."""

LEAST, MOST = Fraction(1, 2**126), Fraction(2**127)
"""Scales are used in f32: none is denormal there, and neither it nor its inverse is infinite."""

MOST_BITS = {
    "output": (32, "Requantisation clamps in f64, which does not hold every {}."),
    "residual": (16, "Its difference from the zero point is one of 32 bits."),
}
"""The bits that the type of a quantised output or residual may have, and why."""


def scale(scope: Scope, tensor: ast.Tensor, dtype: str, declared: Declared) -> float | str | None:
    """The scale of a tensor that has one: a number, or the name of a param."""
    given = tensor.scale
    assert given is not None
    if not _may_have(scope, tensor, dtype, given, "scale"):
        return None
    if isinstance(given, ast.Per):
        return _vector(scope, tensor, given, declared, "scale", ("f32",))
    return positive(scope, given)


def positive(scope: Scope, expr: ast.Expr) -> float | None:
    """The value of a scale, which must be a number of f32 greater than 0."""
    value = scope.value(expr)
    if value is None:
        return None
    if value <= 0:
        scope.report("A scale must be greater than 0.", expr.span, f"is {shown(value)}")
        return None
    return float(value) if _in_f32(scope, "The scale", value, expr) else None


def _in_f32(scope: Scope, what: str, value: Fraction, place: ast.Node | None) -> bool:
    if LEAST <= value <= MOST:
        return True
    size, span = "small" if value < LEAST else "large", place.span if place else None
    scope.report(
        f"{what} is too {size}.", span, f"is {shown(value)}", "It is a number of f32, from 2^-126 to 2^127.",
        "Choose scales nearer to 1.",
    )  # fmt: skip
    return False


def check_products(scope: Scope, tensors: Sequence[ast.Tensor], scales: Sequence[Sequence[float]]) -> None:
    """Whether f32 holds scale_x * scale_w, and what it is in units of the output, where those are constants.

    The tensors, of which a program may lack some, and their scales (several where each output channel has one) are those
    of input, weight and output.
    """
    pairs = zip(tensors, scales, strict=True)
    known = {tensor.role: (tensor, [Fraction(s) for s in numbers]) for tensor, numbers in pairs if numbers}
    if not {"input", "weight"} <= set(known):
        return
    (x, (sx,)), (w, all_sw) = known["input"], known["weight"]
    what = f"The product of the scales of '{x.name.text}' and '{w.name.text}'"
    for sw in sorted({min(all_sw), max(all_sw)}):
        if _in_f32(scope, what, sx * sw, w.scale) and "output" in known:
            y, (sy,) = known["output"]
            _in_f32(scope, f"{what}, divided by that of '{y.name.text}',", sx * sw / sy, y.scale)


def check_factors(scope: Scope, x: float, w: Sequence[float], expr: ast.Node) -> bool:
    """Whether f32 holds the products of the scales of `compute`; of the weight's there may be one for each channel."""
    products = [Fraction(x) * Fraction(end) for end in sorted({min(w), max(w)})] if w else []
    return all([_in_f32(scope, "The product of the scales", product, expr) for product in products])


def check_vector(scope: Scope, vector: ast.Tensor, numbers: Sequence[float]) -> bool:
    """Whether the numbers that a program holds for a vector of scales can be scales."""
    sound = True
    for expr, number in zip(vector.values, numbers, strict=False):
        if number <= 0:
            scope.report("A scale must be greater than 0.", expr.span, f"is {shown(Fraction(number))}")
            sound = False
        else:
            sound &= _in_f32(scope, "The scale", Fraction(number), expr)
    return sound


def zero(scope: Scope, tensor: ast.Tensor, dtype: str, declared: Declared) -> int | str | None:
    """The zero point of a tensor that has one: a number of its type, or the name of a param."""
    given = tensor.zero
    assert given is not None
    if not _may_have(scope, tensor, dtype, given, "zero point"):
        return None
    if tensor.scale is None and tensor.role in ("output", "residual"):
        scope.report(
            f"A zero point of the {tensor.role} needs a scale.", given.span, f"'{tensor.name.text}' has no scale",
            "real = (value - zero) * scale", "Give it a scale, or delete the zero point.",
        )  # fmt: skip
        return None
    if isinstance(given, ast.Per):
        return _vector(scope, tensor, given, declared, "zero", (dtype, "i32"))
    return scope.whole(given, "The zero point", *dtypes.limits(dtype))


def check_bits(scope: Scope, tensor: ast.Tensor) -> None:
    """Whether the numbers of a quantised output or residual fit what is computed with them."""
    dtype, (most, why) = tensor.type.text, MOST_BITS[tensor.role]
    if tensor.scale is None or dtypes.is_float(dtype) or dtypes.bits(dtype) <= most:
        return
    scope.report(
        f"A quantised {tensor.role} has at most {most} bits.", tensor.type.span, f"is {dtype}", why.format(dtype),
        f"Declare a narrower type, or {tensor.role} {tensor.name.text} : f32 without a scale.",
    )  # fmt: skip


def _may_have(scope: Scope, tensor: ast.Tensor, dtype: str, given: ast.Node, what: str) -> bool:
    """Whether the tensor is one of integers that stand for real numbers."""
    if not dtypes.is_float(dtype) and tensor.role not in ("bias", "param"):
        return True
    label = f"this is the {tensor.role} '{tensor.name.text}' of type {tensor.type.text}"
    scope.report(f"Only an integer input, weight, residual or output has a {what}.", given.span, label)
    return False


def _vector(
    scope: Scope, tensor: ast.Tensor, given: ast.Per, declared: Declared, word: str, allowed: Sequence[str]
) -> str | None:
    """The name of the param that holds one scale or zero point for each output channel of the weight."""
    if tensor.role != "weight" or given.axis != "OC":
        label = f"'{tensor.name.text}' is the {tensor.role}"
        scope.report(f"A {word} by axis is for a weight, per OC.", given.span, label)
        return None
    return param(scope, given, declared, allowed)


def param(scope: Scope, given: ast.Per, declared: Declared, allowed: Sequence[str]) -> str | None:
    """The name of a declared param of one of the allowed types."""
    found = declared.get(given.tensor)
    if found is None or found.role != "param":
        hint = f"Declare it: param {given.tensor} : {allowed[0]}[OC]"
        scope.report(f"There is no param '{given.tensor}'.", given.span, "not declared", hint=hint)
        return None
    if found.type.text not in allowed:
        message = f"The param '{given.tensor}' must be {' or '.join(dict.fromkeys(allowed))} here."
        scope.report(message, given.span, f"it is {found.type.text}")
        return None
    return given.tensor
