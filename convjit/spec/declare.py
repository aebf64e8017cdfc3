"""The tensors that a convolution declares, and the output where it declares none."""

from __future__ import annotations

from dataclasses import dataclass

from convjit.dsl import ast
from convjit.spec import layout, types
from convjit.spec.clauses import all_of
from convjit.spec.evaluate import Scope
from convjit.spec.types import Declared, Details

SINGLE = ("input", "weight", "bias", "output")
NEEDED = {
    "input": "input x : f32[N=1, H=56, W=56, C=64]",
    "weight": "weight w : f32[OC=64, KH=3, KW=3, IC=64]",
}


@dataclass(frozen=True)
class Declarations:
    """The tensors by name in order of declaration, what their clauses say, and whether all that is needed is there."""

    tensors: Declared
    details: dict[str, Details]
    complete: bool

    def role(self, role: str) -> str | None:
        """The name of the first tensor of a role."""
        return next((name for name, tensor in self.tensors.items() if tensor.role == role), None)

    def dtype(self, name: str) -> str | None:
        """The type of a tensor's elements, where it is known."""
        return self.details[name].dtype if name in self.details else None

    def scale(self, name: str) -> float | str | None:
        """The scale of a tensor."""
        return self.details[name].scale if name in self.details else None

    def numbers(self, scale: float | str | None) -> tuple[float, ...]:
        """The number of a scale, those of its vector where the program holds them, or none."""
        if isinstance(scale, str):
            return self.details[scale].values if scale in self.details else ()
        return () if scale is None else (scale,)


def declare(scope: Scope, conv: ast.Conv) -> Declarations:
    """Collect and check the declarations; mistakes are reported."""
    declared: Declared = {}
    for tensor in all_of(conv, ast.Tensor):
        _declare(scope, declared, tensor)
    found = {name: types.details(scope, tensor, declared) for name, tensor in declared.items()}
    details = {name: d for name, d in found.items() if d is not None}
    roles = {tensor.role for tensor in declared.values()}
    missing = [role for role in NEEDED if role not in roles]
    for role in missing if not conv.damaged else ():
        message = f"The convolution '{conv.name.text}' has no {role}."
        scope.report(message, conv.name.span, f"no {role} clause", hint=f"For example: {NEEDED[role]}")
    complete = not missing and len(details) == len(declared)
    if complete and "output" not in roles:
        complete = _add_output(scope, declared, details)
    return Declarations(declared, details, complete)


def _declare(scope: Scope, declared: Declared, tensor: ast.Tensor) -> None:
    name = tensor.name.text
    if name in declared:
        message = f"There are two tensors named '{name}'."
        scope.report(message, tensor.name.span, f"the other is the {declared[name].role}")
    elif tensor.role in SINGLE and any(t.role == tensor.role for t in declared.values()):
        scope.report(f"There is more than one {tensor.role}.", tensor.name.span, "another one")
    else:
        declared[name] = tensor


def _add_output(scope: Scope, declared: Declared, details: dict[str, Details]) -> bool:
    """The output in the input's order of axes, named y (or y1, y2, … where that is taken)."""
    x = next(tensor for tensor in declared.values() if tensor.role == "input")
    dtype = types.default_output(scope, x, details[x.name.text].scale is not None)
    if dtype is None:
        return False
    name = next(n for n in ("y", *(f"y{i}" for i in range(1, len(declared) + 2))) if n not in declared)
    axes = tuple(ast.Axis(layout.as_output(axis.name), span=axis.span) for axis in x.axes)
    word = ast.Word(name, span=x.name.span)
    declared[name] = ast.Tensor("output", word, ast.Word(dtype, span=x.type.span), axes, span=x.span)
    details[name] = Details(dtype)
    return True
