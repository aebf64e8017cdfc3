"""The `then` clauses: what each step takes, and that every residual and param is used."""

from __future__ import annotations

from convjit.dsl import ast
from convjit.errors import did_you_mean
from convjit.spec import words
from convjit.spec.evaluate import Scope
from convjit.spec.tensor import Then
from convjit.spec.types import Declared, param


def lower_step(scope: Scope, clause: ast.Then, declared: Declared, exact: bool) -> Then | None:
    """One `then` clause; `exact` when the output is an integer without a scale."""
    op, span = clause.word.text, clause.word.span
    if op not in words.STEPS:
        hint = did_you_mean(op, words.STEPS) or (f"The steps are {', '.join(words.STEPS)}.",)
        scope.report(f"Unknown step '{op}'.", span, "not a step", hint=hint)
        return None
    if exact and op not in words.EXACT_STEPS:
        scope.report(
            f"'{op}' does not give an integer.", span, "the output is an exact integer", "",
            f"With integers there are {', '.join(sorted(words.EXACT_STEPS))}; the others need scales.",
        )  # fmt: skip
        return None
    wanted = words.STEPS[op]
    if len(clause.arguments) != len(wanted):
        what = {("number", "number"): "two numbers", (): "no arguments"}.get(wanted, "a " + " ".join(wanted))
        count = len(clause.arguments)
        scope.report(f"'{op}' takes {what}.", span, f"has {count} argument{'s' * (count != 1)}")
        return None
    kinds = zip(wanted, clause.arguments, strict=True)
    args = [_argument(scope, kind, given, clause, declared, exact) for kind, given in kinds]
    known = tuple(arg for arg in args if arg is not None)
    if len(known) < len(args):
        return None
    if op == "clip" and _descending(known):
        scope.report("'clip' has its ends the wrong way round.", span, "the first is the lower end")
    return Then(op, known)


def _descending(ends: tuple[float | str, ...]) -> bool:
    return isinstance(ends[0], float) and isinstance(ends[1], float) and ends[0] > ends[1]


def _argument(
    scope: Scope, kind: str, given: ast.Expr | ast.Per | ast.Word, clause: ast.Then, declared: Declared, exact: bool
) -> float | str | None:
    op = clause.word.text
    if kind == "number":
        return _number(scope, given, op, exact)
    if kind == "residual":
        return _residual(scope, given, op, declared)
    if isinstance(given, ast.Per) and given.axis == "OC":
        return param(scope, given, declared, ("f32", "f64"))
    scope.report(f"'{op}' takes a param per OC.", given.span, "", hint="For example: then scale s per OC")
    return None


def _read(clause: ast.Then | ast.Compute) -> tuple[ast.Node, ...]:
    """What a clause reads, names of tensors among it."""
    if isinstance(clause, ast.Then):
        return clause.arguments
    return tuple(factor.value for factor in clause.scales) if isinstance(clause.scales, tuple) else ()


def _number(scope: Scope, given: ast.Expr | ast.Per | ast.Word, op: str, exact: bool) -> float | None:
    if isinstance(given, ast.Per):
        scope.report(f"'{op}' takes a number.", given.span, "is a vector")
        return None
    expr = ast.Name(given.text, span=given.span) if isinstance(given, ast.Word) else given
    if exact:
        value = scope.whole(expr, f"The number of '{op}' on integers", -(2**53), 2**53)
        return None if value is None else float(value)
    return scope.real(expr)


def _residual(scope: Scope, given: ast.Expr | ast.Per | ast.Word, op: str, declared: Declared) -> str | None:
    name = given.text if isinstance(given, ast.Word) else ""
    if name in declared and declared[name].role == "residual":
        return name
    residuals = [t.name.text for t in declared.values() if t.role == "residual"]
    hint = did_you_mean(name, residuals) or (f"Declare it: residual {name or 'r'} : f32[N, OH, OW, OC]",)
    scope.report(f"'{op}' takes a residual.", given.span, "not a residual", hint=hint)
    return None


def check_used(scope: Scope, declared: Declared, clauses: tuple[ast.Then | ast.Compute, ...]) -> None:
    """Report residuals and params that nothing reads."""
    used = {arg.text if isinstance(arg, ast.Word) else arg.tensor for clause in clauses for arg in _read(clause)
            if isinstance(arg, (ast.Word, ast.Per))}  # fmt: skip
    for tensor in declared.values():
        used |= {given.tensor for given in (tensor.scale, tensor.zero) if isinstance(given, ast.Per)}
    for tensor in declared.values():
        if tensor.role in ("residual", "param") and tensor.name.text not in used:
            name = tensor.name.text
            hint = f"Write 'then add {name}'." if tensor.role == "residual" else f"Write 'scale {name} per OC'."
            scope.report(f"The {tensor.role} '{name}' is never used.", tensor.name.span, "unused", hint=hint)
