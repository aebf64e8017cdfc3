"""Kernels print; `parse` reads the text back. The text is the key of the cache, so it is made quickly and says all.

kernel f for cpu:avx2
parameter y f32 written
{
  %v = const f32x8 {values (0.0 0.0 0.0 0.0 0.0 0.0 0.0 0.0)}
  for %k i64 0 to 64 step 1 sure {
    carry %a f32x8 = %v, then %b, gives %c
    %b = add f32x8 %a, %v
  }
  store f32x8 %c, %y {align 4}
}
"""

from __future__ import annotations

from collections.abc import Iterator

from convjit.kernel.ir import Attribute, For, If, Kernel, Launch, Local, Op, Operand, Parameter, Stmt

INDENT = "  "


def text(kernel: Kernel) -> str:
    """The whole kernel, one op to a line."""
    lines = [f"kernel {kernel.name} for {kernel.machine}"]
    lines += map(_parameter, kernel.parameters)
    lines += map(_local, kernel.locals)
    lines += [f"size {size}" for size in kernel.sizes]
    lines += [f"thread {axis}" for axis in kernel.threads]
    lines += [_launch(kernel.launch)] if kernel.launch else []
    lines.append("{")
    _body(kernel.body, INDENT, lines)
    lines.append("}")
    return "\n".join(lines)


def origins(kernel: Kernel) -> list[int]:
    """For every line of the text: the number of the nest's statement that it was written for, 0 where it is none's. What a
    loop carries and its closing brace are the loop's."""
    launch = 1 if kernel.launch else 0
    head = 2 + len(kernel.parameters) + len(kernel.locals) + len(kernel.sizes) + len(kernel.threads) + launch
    return [*([0] * head), *_origins(kernel.body), 0]


def _origins(body: tuple[Stmt, ...]) -> Iterator[int]:
    for stmt in body:
        yield stmt.origin
        if isinstance(stmt, Op):
            continue
        beside = len(stmt.carried) if isinstance(stmt, For) else 0
        yield from [stmt.origin] * beside
        yield from _origins(stmt.body)
        beside = len(stmt.merged) if isinstance(stmt, If) else 0
        yield from [stmt.origin] * (beside + 1)


def op_text(op: Op) -> str:
    """One op on a line."""
    start = f"{op.result} = {op.name}" if op.result else op.name
    if op.type:
        start = f"{start} {op.type}"
    if op.args:
        start = f"{start} {', '.join([a if isinstance(a, str) else repr(a) for a in op.args])}"
    if op.attributes:
        start = f"{start} {{{', '.join([f'{key} {_value(value)}' for key, value in op.attributes])}}}"
    return start


def head_text(stmt: Stmt) -> str:
    """A statement's first line: an op, or a loop or branch up to its brace."""
    if isinstance(stmt, Op):
        return op_text(stmt)
    if isinstance(stmt, If):
        return f"if {stmt.condition}"
    sure = " sure" if stmt.sure else ""
    bounds = f"{_operand(stmt.low)} to {_operand(stmt.high)} step {stmt.step}"
    return f"for {stmt.counter} {stmt.type} {bounds}{sure}"


def _body(body: tuple[Stmt, ...], indent: str, lines: list[str]) -> None:
    for stmt in body:
        if isinstance(stmt, Op):
            lines.append(indent + op_text(stmt))
            continue
        inner = indent + INDENT
        lines.append(f"{indent}{head_text(stmt)} {{")
        if isinstance(stmt, For):
            lines += [
                f"{inner}carry {c.name} {c.type} = {_operand(c.start)}, "
                f"then {_operand(c.following)}, gives {c.result}"
                for c in stmt.carried
            ]
        _body(stmt.body, inner, lines)
        if isinstance(stmt, If):
            lines += [
                f"{inner}merge {m.result} {m.type} = {_operand(m.taken)}, else {_operand(m.skipped)}"
                for m in stmt.merged
            ]
        lines.append(f"{indent}}}")


def _operand(operand: Operand) -> str:
    return operand if isinstance(operand, str) else repr(operand)


def _value(value: Attribute) -> str:
    if isinstance(value, tuple):
        return f"({' '.join(map(repr, value))})"
    return value if isinstance(value, str) else repr(value)


def _parameter(p: Parameter) -> str:
    return (
        f"parameter {p.name} {p.dtype}{f' in {p.space}' if p.space else ''}{' written' if p.written else ''}"
    )


def _local(local: Local) -> str:
    where = f" in {local.space} at {local.offset}" if local.space or local.offset else ""
    return f"local {local.name} {local.bytes}{where}"


def _launch(launch: Launch) -> str:
    return (
        f"launch blocks ({' '.join(map(str, launch.blocks))}) threads {launch.threads} "
        f"shared {launch.shared_bytes} min {launch.min_blocks} cluster {launch.cluster}"
    )


def attach() -> None:
    """`str(kernel)` is its text: set here, because `ir` cannot import what it is imported by."""
    Kernel.__str__ = text  # type: ignore[assignment, method-assign]


attach()
