"""From the syntax tree to the spec: names resolved, sizes solved, defaults filled in, everything checked.

Every mistake of a program is reported at once, each at its place. A step that lacks what a mistake took away says
nothing of its own.
"""

from __future__ import annotations

from math import prod

from convjit import dtypes
from convjit.dsl import ast
from convjit.dsl.parse import read
from convjit.errors import ConvError
from convjit.source import Source
from convjit.spec import options, shape, types, vectors
from convjit.spec.clauses import all_of, places
from convjit.spec.conv import ConvSpec
from convjit.spec.declare import Declarations, declare
from convjit.spec.evaluate import LARGEST, Scope, constants
from convjit.spec.sizes import Sizes
from convjit.spec.steps import check_used, lower_step
from convjit.spec.tensor import Tensor, Then


def from_text(text: str, name: str = "<text>") -> dict[str, ConvSpec]:
    """The convolutions of a program by name; `ConvError` with every mistake of the text, of syntax and of meaning."""
    return from_source(Source(text, name))


def from_source(source: Source) -> dict[str, ConvSpec]:
    """As `from_text`, for a text with its name."""
    reading = read(source)
    scope = Scope(reading.program.damaged)
    specs = _lower(scope, reading.program)
    if reading.diagnostics or scope.diagnostics:
        raise ConvError(*reading.diagnostics, *scope.diagnostics)
    return specs


def lower(program: ast.Program) -> dict[str, ConvSpec]:
    """The convolutions of a program by name, in order; `ConvError` with every mistake that is found."""
    scope = Scope()
    specs = _lower(scope, program)
    if scope.diagnostics:
        raise ConvError(*scope.diagnostics)
    return specs


def _lower(scope: Scope, program: ast.Program) -> dict[str, ConvSpec]:
    constants(scope, program)
    specs: dict[str, ConvSpec] = {}
    for i, conv in enumerate(program.convs()):
        if any(conv.name.text == other.name.text for other in program.convs()[:i]):
            scope.report(f"There are two convolutions named '{conv.name.text}'.", conv.name.span, "again here")
        spec = _spec(scope, conv)
        if spec is not None:
            specs[spec.name] = spec
    if not program.convs() and not program.damaged:
        scope.report("The program has no convolution.", program.span, hint="For example: conv res2a { … }")
    return specs


def _spec(scope: Scope, conv: ast.Conv) -> ConvSpec | None:
    """One convolution; None when something is wrong with it, which has been reported."""
    before = len(scope.diagnostics)
    found = declare(scope, conv)
    then = _steps(scope, conv, found)
    chosen = options.read(scope, conv, found)
    solved = shape.solve(scope, conv, found.tensors) if found.complete else None
    if solved is None:
        return None
    types.check_all(scope, found.tensors)
    options.check_algorithm(scope, conv, chosen, (*solved.window.stride, *solved.window.dilation))
    if conv.damaged or len(scope.diagnostics) > before:
        return None
    tensors = tuple(_tensor(scope, t, found.details[name], solved.sizes) for name, t in found.tensors.items())
    for tensor in tensors:
        _check_memory(scope, tensor)
    if len(scope.diagnostics) > before:
        return None
    window = solved.window
    return ConvSpec(
        conv.name.text, tensors, window.stride, window.dilation, window.pad, solved.groups, then,
        chosen.dataflow, chosen.algorithm, chosen.error, chosen.compute, chosen.requantize, chosen.target,
        chosen.threads, conv.transposed, places(conv),
    )  # fmt: skip


def _steps(scope: Scope, conv: ast.Conv, found: Declarations) -> tuple[Then, ...]:
    clauses = all_of(conv, ast.Then)
    output = found.role("output")
    exact = output is not None and found.dtype(output) in ("i32", "i64") and found.scale(output) is None
    steps = [lower_step(scope, clause, found.tensors, exact) for clause in clauses]
    if not conv.damaged:
        check_used(scope, found.tensors, (*clauses, *all_of(conv, ast.Compute)))
    return tuple(step for step in steps if step is not None)


def _tensor(scope: Scope, tensor: ast.Tensor, own: types.Details, sizes: Sizes) -> Tensor:
    axes = tuple(axis.name for axis in tensor.axes)
    return Tensor(
        tensor.name.text, tensor.role, own.dtype, axes, tuple(map(sizes.get, axes)), own.in_range,
        tensor.sparse is not None, own.scale, own.zero,
        vectors.spread(scope, tensor, own.values, sizes.get("OC") or 1), tensor.name.span,
    )  # fmt: skip


def _check_memory(scope: Scope, tensor: Tensor) -> None:
    """Report a tensor that cannot be addressed; open sizes count as 1."""
    size = prod(size or 1 for size in tensor.sizes) * dtypes.bits(tensor.dtype) // 8
    if size > LARGEST:
        sizes = " ".join(f"{a}={s}" for a, s in zip(tensor.axes, tensor.sizes, strict=True) if s)
        scope.report(
            f"The {tensor.role} '{tensor.name}' is too large.", tensor.span, f"{size:.3g} bytes",
            f"{sizes} of {tensor.dtype}; at most 2^47 bytes can be addressed.",
        )  # fmt: skip
