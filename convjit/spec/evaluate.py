"""The values of expressions, exact: a size that is not whole is found, not rounded."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from fractions import Fraction

from convjit.dsl import ast
from convjit.errors import Diagnostic, did_you_mean
from convjit.source import Span

MOST_BITS = 2048
LONGEST = 400  # characters of a number
LARGEST = 2**47
"""No size, and no tensor in bytes, may be larger: the address space of a process."""

OPERATORS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


class Scope:
    """The constants that expressions may name, and the diagnostics found so far.

    A value that cannot be had is None, and why has been reported. With `forgiving`, unknown constants are not
    reported: a constant's definition could not be read.
    """

    def __init__(self, forgiving: bool = False) -> None:
        self.constants: dict[str, Fraction | None] = {}
        self.diagnostics: list[Diagnostic] = []
        self.forgiving = forgiving

    def report(
        self, message: str, span: Span | None, label: str = "", note: str = "", hint: str | tuple[str, ...] = ()
    ) -> None:
        """Add a diagnostic."""
        hints = (hint,) if isinstance(hint, str) else hint
        self.diagnostics.append(Diagnostic(message, span, label, (note,) if note else (), hints))

    def value(self, expr: ast.Expr) -> Fraction | None:
        """The exact value of an expression."""
        match expr:
            case ast.Number(text):
                return self._literal(expr, text)
            case ast.Name(text):
                return self._constant(expr, text)
            case ast.Negative(operand):
                value = self.value(operand)
                return None if value is None else -value
            case ast.Power(base, exponent):
                return self._power(expr, self.value(base), exponent)
            case ast.Binary(op, left, right):
                return self._binary(expr, op, self.value(left), self.value(right))

    def whole(self, expr: ast.Expr, what: str, least: int = 1, most: int = LARGEST) -> int | None:
        """A whole number from `least` to `most`; `what` names it in messages, as "the stride"."""
        value = self.value(expr)
        if value is None:
            return None
        if value.denominator != 1:
            label = f"is {shown(value)}"
            self.report(f"{what} must be a whole number.", expr.span, label, "'/' divides exactly, without rounding.")
        elif value < least:
            self.report(f"{what} must be at least {least}.", expr.span, f"is {shown(value)}")
        elif value > most:
            self.report(f"{what} is too large.", expr.span, f"more than {shown(Fraction(most))}")
        else:
            return int(value)
        return None

    def real(self, expr: ast.Expr) -> float | None:
        """A number as float64."""
        value = self.value(expr)
        return None if value is None else float(value)

    def _literal(self, expr: ast.Number, text: str) -> Fraction | None:
        _, _, exponent = text.lower().partition("e")
        if len(text) > LONGEST or len(exponent.lstrip("+-0")) > 3 or abs(int(exponent or 0)) > 300:
            return self._too_large(expr)
        return self._bounded(expr, Fraction(text))

    def _constant(self, expr: ast.Name, text: str) -> Fraction | None:
        if text not in self.constants and not self.forgiving:
            hint = did_you_mean(text, self.constants) or (f"Define it above: let {text} = 64",)
            self.report(f"Unknown constant '{text}'.", expr.span, "not defined", hint=hint)
        return self.constants.get(text)

    def _power(self, expr: ast.Power, base: Fraction | None, exponent: int) -> Fraction | None:
        if base is None:
            return None
        if base == 0 and exponent < 0:
            return self._divided_by_zero(expr)
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if size > 1 and size * abs(exponent) > MOST_BITS:
            return self._too_large(expr)
        return self._bounded(expr, base**exponent)

    def _binary(self, expr: ast.Binary, op: str, left: Fraction | None, right: Fraction | None) -> Fraction | None:
        if left is None or right is None:
            return None
        if op == "/" and right == 0:
            return self._divided_by_zero(expr)
        return self._bounded(expr, OPERATORS[op](left, right))

    def _bounded(self, expr: ast.Expr, value: Fraction) -> Fraction | None:
        small = max(value.numerator.bit_length(), value.denominator.bit_length()) <= MOST_BITS
        return value if small and abs(value) < 10**300 else self._too_large(expr)

    def _too_large(self, expr: ast.Expr) -> Fraction | None:
        self.report("The number is too large.", expr.span, "beyond every size and type")
        return None

    def _divided_by_zero(self, expr: ast.Expr) -> Fraction | None:
        self.report("Division by zero.", expr.span, "has no value")
        return None


def shown(value: Fraction) -> str:
    """A number in a message: whole, as powers of two where it is huge, or as a quotient."""
    if value.denominator == 1 and abs(value) < 10**12:
        return str(value)
    whole = int(value)
    if value.denominator == 1 and whole > 0 and whole & (whole - 1) == 0:
        return f"2^{whole.bit_length() - 1}"
    return str(value) if max(abs(value.numerator), value.denominator) < 10**9 else f"about {float(value):.4g}"


def constants(scope: Scope, program: ast.Program) -> Mapping[str, Fraction | None]:
    """Evaluate the `let` lines of a program into the scope, in order."""
    for item in program.items:
        if isinstance(item, ast.Let):
            name = item.name.text
            if name in scope.constants:
                scope.report(f"The constant '{name}' is defined twice.", item.name.span, "again here")
            scope.constants[name] = scope.value(item.value)
    return scope.constants
