"""Which types go together, and what else belongs to a tensor's type."""

from __future__ import annotations

from dataclasses import dataclass

from convjit import dtypes
from convjit.dsl import ast
from convjit.errors import ConvError
from convjit.spec import scales, vectors, words
from convjit.spec.evaluate import Scope
from convjit.spec.scales import Declared, param

__all__ = ["Declared", "Details", "check_all", "default_output", "details", "param"]


@dataclass(frozen=True)
class Details:
    """What a tensor's clause says beside its axes, evaluated."""

    dtype: str
    in_range: tuple[int, int] | None = None
    scale: float | str | None = None
    zero: int | str | None = None
    values: tuple[float, ...] = ()


def details(scope: Scope, tensor: ast.Tensor, declared: Declared) -> Details | None:
    """Evaluate a tensor's type, range, scale and zero point; None when there is no such type."""
    try:
        dtype = dtypes.get(tensor.type.text, tensor.type.span).name
    except ConvError as error:
        scope.diagnostics += error.diagnostics
        return None
    if tensor.sparse and tensor.role != "weight":
        scope.report("Only a weight can be sparse.", tensor.sparse.span, f"'{tensor.name.text}' is the {tensor.role}")
    in_range = _in_range(scope, tensor.in_range, dtype) if tensor.in_range else None
    scale = scales.scale(scope, tensor, dtype, declared) if tensor.scale else None
    zero = scales.zero(scope, tensor, dtype, declared) if tensor.zero else None
    return Details(dtype, in_range, scale, zero, vectors.values(scope, tensor, dtype) if tensor.values else ())


def _in_range(scope: Scope, given: ast.InRange, dtype: str) -> tuple[int, int] | None:
    if dtypes.is_float(dtype):
        scope.report("Only an integer tensor can promise a range.", given.span, f"its type is {dtype}")
        return None
    least, most = dtypes.limits(dtype)
    low = scope.whole(given.low, "The low end of the range", least, most)
    high = scope.whole(given.high, "The high end of the range", least, most)
    if low is None or high is None:
        return None
    if low > high:
        scope.report("The range is empty.", given.span, f"{low} is more than {high}")
        return None
    return low, high


def check_product(scope: Scope, x: ast.Tensor, w: ast.Tensor) -> bool:
    """Whether the types of input and weight multiply."""
    a, b = x.type.text, w.type.text
    if dtypes.is_float(a) and dtypes.is_float(b):
        if a == b or {a, b} <= words.FLOAT8:
            return True
        hint = f"Declare both {a} or both {b}."
    elif (a, b) in words.INTEGER_PAIRS:
        return True
    else:
        hint = "u8 or i8 times u8 or i8, i16 times i16, i16 times i8 and i32 times i32 do; and floats of one type."
    scope.report(f"An input of {a} and a weight of {b} do not multiply.", w.type.span, f"the input is {a}", hint=hint)
    return False


def default_output(scope: Scope, x: ast.Tensor, quantised: bool) -> str | None:
    """The output's type where the program has no output clause."""
    if quantised:
        scope.report(
            "A quantised input needs an output clause.", x.name.span, "has a scale",
            hint="For example: output y : u8[N, OH, OW, OC] scale 0.1 zero 128",
        )  # fmt: skip
        return None
    if dtypes.is_float(x.type.text):
        return x.type.text
    return "i32" if dtypes.bits(x.type.text) <= 8 else "i64"


def check_output(scope: Scope, x: ast.Tensor, w: ast.Tensor, y: ast.Tensor) -> None:
    """Whether the output's type can hold the result."""
    span, dtype, quantised = y.type.span, y.type.text, x.scale is not None
    if dtypes.is_float(x.type.text):
        if not dtypes.is_float(dtype):
            scope.report(f"Floating-point tensors do not give an output of {dtype}.", span, f"the input is {x.type.text}")
    elif quantised != (w.scale is not None):
        lacks = w if quantised else x
        message = f"The {lacks.role} needs a scale, as the other factor has one."
        scope.report(message, lacks.name.span, "has no scale", "real = (value - zero) * scale")
    elif quantised and y.scale is None and not dtypes.is_float(dtype):
        scope.report("The output of a quantised convolution needs a scale, or a float type.", span, "has no scale")
    elif not quantised and y.scale is not None:
        scope.report("A quantised output needs scales of input and weight.", span, "they have none")
    elif not quantised and dtype not in ("i32", "i64"):
        scope.report(
            f"Integer tensors do not give an output of {dtype}.", span, "", "The exact sum is i32 or i64.",
            "Declare i32 or i64, or give scales to all three tensors.",
        )  # fmt: skip


def check_addend(scope: Scope, tensor: ast.Tensor, x: ast.Tensor, y: ast.Tensor) -> None:
    """Whether a bias or a residual can be added to the sum."""
    if tensor.scale is not None:
        if x.scale is None:
            scope.report("A quantised residual needs a quantised convolution.", tensor.name.span, "has a scale")
        if tensor.role == "residual":
            scales.check_bits(scope, tensor)
        return
    allowed = _addends(tensor.role, x, y)
    if tensor.type.text not in allowed:
        message = f"The {tensor.role} '{tensor.name.text}' must be {' or '.join(allowed)} here."
        scope.report(message, tensor.type.span, f"it is {tensor.type.text}")


def _addends(role: str, x: ast.Tensor, y: ast.Tensor) -> tuple[str, ...]:
    """The types that may be added: real numbers, or integers in the units of the sum."""
    if x.scale is not None:
        return ("f32", "i32", "i64") if role == "bias" else ("f32",)
    if not dtypes.is_float(x.type.text):
        return (y.type.text,)
    return tuple(dict.fromkeys([y.type.text, "f64" if x.type.text == "f64" else "f32"]))


def check_all(scope: Scope, declared: Declared) -> None:
    """Whether all types of a convolution go together."""
    roles = {tensor.role: tensor for tensor in declared.values()}
    x, w, y = (roles[role] for role in ("input", "weight", "output"))
    if not check_product(scope, x, w):
        return
    check_output(scope, x, w, y)
    scales.check_bits(scope, y)
    for tensor in declared.values():
        if tensor.role in ("bias", "residual"):
            check_addend(scope, tensor, x, y)
