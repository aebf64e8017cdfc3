"""Straight-line code: a function as a list of elementary operations, written as formulas of Python."""

from __future__ import annotations

from dataclasses import dataclass

from convjit.nest.ir import Number


@dataclass(frozen=True)
class Step:
    """An operation of the kernel's vocabulary, or `fma` (a * b + c, rounded once where the machine can), giving `dtype`.

    Whole numbers among `args` are values: the function's arguments first, then what each step gave.
    """

    op: str
    args: tuple[int | Number, ...]
    dtype: str


class Body:
    """The steps of a function being written."""

    def __init__(self, arguments: int) -> None:
        self.count = arguments
        self.steps: list[Step] = []

    def step(self, op: str, *args: Value | Constant | float, dtype: str) -> Value:
        """One more; a number has the type of the operand before or behind it."""
        kinds = [a.dtype for a in args if isinstance(a, (Value, Constant))]
        typed = (a if isinstance(a, (Value, Constant)) else Constant(a, kinds[-1]) for a in args)
        places = tuple(a.at if isinstance(a, Value) else Number(a.value, a.dtype) for a in typed)
        self.steps.append(Step(op, places, dtype))
        self.count += 1
        return Value(self, self.count - 1, dtype)


@dataclass(frozen=True)
class Constant:
    """A number whose type is given."""

    value: float
    dtype: str


@dataclass(frozen=True)
class Value:
    """An argument, or what a step gave."""

    body: Body
    at: int
    dtype: str

    def op(self, name: str, *others: Value | float) -> Value:
        """An operation that keeps the type."""
        return self.body.step(name, self, *others, dtype=self.dtype)

    def __add__(self, other: Value | float) -> Value:
        return self.op("add", other)

    def __sub__(self, other: Value | float) -> Value:
        return self.op("sub", other)

    def __mul__(self, other: Value | float) -> Value:
        return self.op("mul", other)

    def __truediv__(self, other: Value | float) -> Value:
        return self.op("div", other)

    def __rsub__(self, other: float) -> Value:
        return self.body.step("sub", other, self, dtype=self.dtype)

    def __rtruediv__(self, other: float) -> Value:
        return self.body.step("div", other, self, dtype=self.dtype)

    def times_plus(self, factor: Value | float, addend: Value | float) -> Value:
        """self * factor + addend."""
        return self.op("fma", factor, addend)

    def between(self, low: float, high: float) -> Value:
        """Clamped; a NaN stays."""
        return self.op("max", low).op("min", high)

    def below_zero(self, then: Value, otherwise: Value) -> Value:
        """`then` where self < 0; a NaN is not below 0."""
        test = self.body.step("lt", self, 0.0, dtype="i1")
        return self.body.step("select", test, then, otherwise, dtype=then.dtype)

    def less(self, other: Value | float, then: Value | float, otherwise: Value | float) -> Value:
        """`then` where self < other, else `otherwise`, one of which is a value; a NaN is not less."""
        return self.chosen("lt", other, then, otherwise)

    def same(self, other: Value | float, then: Value | float, otherwise: Value | float) -> Value:
        """`then` where self == other, else `otherwise`; a NaN equals nothing."""
        return self.chosen("eq", other, then, otherwise)

    def chosen(self, test: str, other: Value | float, then: Value | float, otherwise: Value | float) -> Value:
        """By a comparison."""
        kind = next(v.dtype for v in (then, otherwise, self) if isinstance(v, Value))
        holds = self.body.step(test, self, other, dtype="i1")
        yes, no = (v if isinstance(v, Value) else Constant(v, kind) for v in (then, otherwise))
        return self.body.step("select", holds, yes, no, dtype=kind)

    def to(self, dtype: str) -> Value:
        """The same number as another type; floats to integers toward zero."""
        return self if dtype == self.dtype else self.body.step("convert", self, dtype=dtype)

    def bits(self, dtype: str) -> Value:
        """The same bits as another type."""
        return self.body.step("bitcast", self, dtype=dtype)
