"""The syntax tree as text that parses back to the same tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convjit.dsl import ast

BINDING: dict[str, int] = {"+": 1, "-": 1, "*": 2, "/": 2}
"""How tightly an operator binds; a negation binds as 3, a power as 4, everything else as 5."""


def format(node: ast.Node) -> str:
    """The text of any node; a program ends with a line end.

    >>> format(ast.Stride((ast.Number("1"), ast.Number("2"))))
    'stride (1, 2)'
    """
    return WRITERS[type(node)](node)


def _program(node: ast.Program) -> str:
    return "\n".join(format(item) + "\n" for item in node.items)


def _let(node: ast.Let) -> str:
    return f"let {node.name.text} = {format(node.value)}"


def _conv(node: ast.Conv) -> str:
    head = f"conv {node.name.text} transposed" if node.transposed else f"conv {node.name.text}"
    return "\n".join([head + " {", *(_indented(format(clause)) for clause in node.clauses), "}"])


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.split("\n"))


# --- expressions


def _binding(node: ast.Node) -> int:
    if isinstance(node, ast.Binary):
        return BINDING[node.op]
    return {ast.Negative: 3, ast.Power: 4}.get(type(node), 5)


def _operand(node: ast.Node, least: int) -> str:
    text = format(node)
    return text if _binding(node) >= least else f"({text})"


def _binary(node: ast.Binary) -> str:
    level = BINDING[node.op]
    return f"{_operand(node.left, level)} {node.op} {_operand(node.right, level + 1)}"


def _negative(node: ast.Negative) -> str:
    return "-" + _operand(node.operand, 3)


def _power(node: ast.Power) -> str:
    return f"{_operand(node.base, 5)}^{node.exponent}"


def _signed(node: ast.Node) -> str:
    """A number where only signed literals and parentheses may stand."""
    literal = isinstance(node, ast.Number) or isinstance(node, ast.Negative) and isinstance(node.operand, ast.Number)
    plain = literal or isinstance(node, (ast.Per, ast.Word))
    return format(node) if plain else f"({format(node)})"


# --- clauses


def _tensor(node: ast.Tensor) -> str:
    in_range = f" in {_signed(node.in_range.low)}..{_signed(node.in_range.high)}" if node.in_range else ""
    axes = ", ".join(map(format, node.axes))
    parts = [f"{node.role} {node.name.text} : {node.type.text}{in_range}{' ' if in_range else ''}[{axes}]"]
    parts += ["sparse"] if node.sparse else []
    parts += [f"scale {format(node.scale)}"] if node.scale else []
    parts += [f"zero {_signed(node.zero)}"] if node.zero else []
    parts += [f"= {_sizes_text(node.values)}"] if node.values else []
    return " ".join(parts)


def _axis(node: ast.Axis) -> str:
    return node.name if node.size is None else f"{node.name}={format(node.size)}"


def _sizes(word: str) -> Callable[[Any], str]:
    def write(node: ast.Stride | ast.Dilation) -> str:
        return f"{word} {_sizes_text(node.sizes)}"

    return write


def _sizes_text(sizes: tuple[ast.Expr, ...]) -> str:
    """`2` or `(1, 2)`"""
    texts = [format(size) for size in sizes]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def _pad(node: ast.Pad) -> str:
    if isinstance(node.amounts, tuple):
        return f"pad ({', '.join(map(format, node.amounts))})"
    return f"pad {format(node.amounts)}"


def _compute(node: ast.Compute) -> str:
    text = f"compute {node.type.text}"
    if isinstance(node.scales, ast.Word):
        text += f" scale {node.scales.text}"
    elif node.scales:
        text += " scale " + ", ".join(f"{f.tensor.text} {format(f.value)}" for f in node.scales)
    return text + (f" round {node.round.text}" if node.round else "")


def _then(node: ast.Then) -> str:
    return " ".join(["then", node.word.text, *map(_signed, node.arguments)])


# --- schedules


def _loop(node: ast.LoopToken) -> str:
    axis = f"{{{node.axis}+{node.tap}}}" if node.tap else node.axis
    step = "" if node.step is None else f"/{node.step}"
    return axis + step + (f":{node.kind}" if node.kind else "")


def _loops(loops: tuple[ast.LoopToken, ...]) -> str:
    return " ".join(map(_loop, loops))


def _stage(node: ast.StageToken) -> str:
    details = [
        f"ring {node.ring}" if node.ring != 1 else "",
        f"swizzle {node.swizzle}" if node.swizzle else "",
        f"pad {node.pad}" if node.pad else "",
        f"as {node.as_type}" if node.as_type else "",
        f"by {node.by}" if node.by else "",
        f"| {_loops(node.copy)}" if node.copy else "",
    ]
    words = " ".join(word for word in [node.level, *details] if word)
    return f"[{node.tensor}]" if words == "registers" else f"[{node.tensor}: {words}]"


def _launch(node: ast.Launch) -> str:
    return " ".join(["launch", *(word if n is None else f"{word} {n}" for word, n in node.options)])


def _block(node: ast.ScheduleBlock) -> str:
    head = f"dataflow {node.phase} {{" if node.phase else "dataflow {"
    return "\n".join([head, *(_indented(format(line)) for line in node.lines), "}"])


def schedule(node: ast.ScheduleBlock) -> str:
    """The inside of a dataflow block: its lines alone."""
    return "\n".join(format(line) for line in node.lines)


WRITERS: dict[type[ast.Node], Callable[[Any], str]] = {
    ast.Program: _program,
    ast.Let: _let,
    ast.Conv: _conv,
    ast.Word: lambda n: n.text,
    ast.Number: lambda n: n.text,
    ast.Name: lambda n: n.text,
    ast.Negative: _negative,
    ast.Power: _power,
    ast.Binary: _binary,
    ast.Open: lambda n: "?",
    ast.Per: lambda n: f"{n.tensor} per {n.axis}",
    ast.Tensor: _tensor,
    ast.Axis: _axis,
    ast.Stride: _sizes("stride"),
    ast.Dilation: _sizes("dilation"),
    ast.Groups: lambda n: f"groups {format(n.value)}",
    ast.Pad: _pad,
    ast.PadPair: lambda n: f"({format(n.low)}, {format(n.high)})",
    ast.Compute: _compute,
    ast.Algorithm: lambda n: f"algorithm {n.word.text}" + ("" if n.tile is None else f" {n.tile}"),
    ast.Error: lambda n: f"error {n.bound.text}",
    ast.Requantize: lambda n: f"requantize {n.word.text}",
    ast.Then: _then,
    ast.Target: lambda n: f"target {n.word.text}",
    ast.Threads: lambda n: f"threads {format(n.value)}",
    ast.Dataflow: lambda n: f"dataflow {n.word.text}",
    ast.LoopToken: _loop,
    ast.StageToken: _stage,
    ast.Loops: lambda n: " ".join(map(format, n.items)),
    ast.Pack: lambda n: f"pack {n.tensor}: {_loops(n.loops)}" + (f" as {n.as_type}" if n.as_type else ""),
    ast.Fuse: lambda n: f"fuse {n.name} = {'.'.join(n.axes)}",
    ast.Prefetch: lambda n: f"prefetch {n.tensor} {_loop(n.loop)} {n.distance}",
    ast.Launch: _launch,
    ast.ScheduleBlock: _block,
}
