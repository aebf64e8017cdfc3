"""Printing nests. The text is read back by `parse`, and `parse(str(nest)) == nest`.

    nest res2a
      memory x: f32[n, h, w, c] of n=1 h=28 w=28 c=128
      memory w: f32[oc, kh, kw, c] packed of oc=128 kh=3 kw=3 c=128 as oc/32 kh kw c oc
      registers y.r: f32[ow.1, oc.1]
      for oc.0 in 0..128 step 32; for oh.0 in 0..28
        unroll ow.1 in 0..14; simd oc.2 in 0..16
          y.r[ow.1, oc.1] += (x[0, oh.0-1, ow.1, 0] inside 0<=oh.0-1<28) * w[oc.0+oc.2, 0, 0, 0]

A loop stands on the line of the loop around it, after `; `, where it is all that one does. `str` of a statement without
a body is its line, of one with a body the first line and `…`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from convjit.nest.affine import Bound, Limit
from convjit.nest.ir import (
    Apply,
    Buffer,
    Expr,
    Grid,
    Guard,
    If,
    Index,
    Let,
    Load,
    Loop,
    MulAdd,
    Nest,
    Number,
    OpenSize,
    Par,
    Prefetch,
    Read,
    Stmt,
    Store,
    Sync,
    WorkerAxis,
)
from convjit.nest.layout import Layout

SEPARATOR = "; "
WIDTH = 110
"""Where a chain of loops goes on in the next line."""


def show_nest(nest: Nest) -> str:
    """The whole text, ending without a line end."""
    return "\n".join([*show_head(nest), *block(nest.body, 1)])


def show_head(nest: Nest) -> list[str]:
    """The lines before the statements."""
    head = [f"nest {nest.name}"]
    head += [f"  {show_size(s)}" for s in nest.sizes]
    head += [f"  {show_worker(w)}" for w in nest.workers]
    head += [f"  {show_grid(nest.grid)}"] if nest.grid else []
    return head + [f"  {show_buffer(b)}" for b in nest.buffers]


def show_size(size: OpenSize) -> str:
    """`size N`, or `size OH = (H+2)/2+1`."""
    if not size.source:
        return f"size {size.name}"
    return f"size {size.name} = ({size.source}{size.add:+d})/{size.divisor}+1"


def show_worker(axis: WorkerAxis) -> str:
    """`workers oh to OH step 2`."""
    return f"workers {axis.name} to {axis.extent} step {axis.step}"


def show_grid(grid: Grid) -> str:
    """`grid N, 4 threads 128 min_blocks 2`."""
    counts = ", ".join(map(str, grid.counts))
    least = f" min_blocks {grid.min_blocks}" if grid.min_blocks else ""
    return f"grid {counts} threads {grid.threads}{least}"


def show_buffer(buffer: Buffer) -> str:
    """`shared x.s: f32[p, c] ring 3 pad 4 of p=64 c=16 as p c/4 c`; `as` is left out where it is the order of `of`."""
    words = [f"{buffer.level} {buffer.name}: {buffer.dtype}[{', '.join(buffer.dims)}]"]
    words += ["packed"] if buffer.packed else []
    words += [f"ring {buffer.ring}"] if buffer.ring != 1 else []
    words += [show_layout(buffer.layout)] if buffer.layout else []
    return " ".join(words)


def show_layout(layout: Layout) -> str:
    """`pad 4 of p=64 c=16 as p c/4 c`."""
    words = [f"pad {layout.pad}"] if layout.pad else []
    words += ["of", *(f"{name}={size}" for name, size in layout.sizes)]
    if layout.parts != tuple((name, 1) for name, _ in layout.sizes):
        words += ["as", *(name if block == 1 else f"{name}/{block}" for name, block in layout.parts)]
    return " ".join(words)


def block(body: tuple[Stmt, ...], depth: int) -> Iterator[str]:
    """The lines of a body, indented."""
    for indent, heads in heads_of(body, depth):
        yield indent + SEPARATOR.join(text for text, _ in heads)


def heads_of(body: tuple[Stmt, ...], depth: int) -> Iterator[tuple[str, list[tuple[str, Stmt]]]]:
    """The lines of a body in their parts: the indentation, and the statements whose heads stand on the line."""
    indent = "  " * depth
    for stmt in body:
        heads = [(head_of(stmt), stmt)]
        width = len(indent) + len(heads[0][0])
        while (inner := only_child(stmt)) is not None:
            text = head_of(inner)
            width += len(SEPARATOR) + len(text)
            if width > WIDTH:
                break
            heads.append((text, inner))
            stmt = inner
        yield indent, heads
        if isinstance(stmt, (Loop, Par, If)):
            yield from heads_of(stmt.body, depth + 1)


def only_child(stmt: Stmt) -> Loop | Par | If | None:
    """The statement that is all that a loop does, where it has a body too."""
    if isinstance(stmt, (Loop, Par, If)) and len(stmt.body) == 1:
        inner = stmt.body[0]
        return inner if isinstance(inner, (Loop, Par, If)) else None
    return None


def show(stmt: Stmt) -> str:
    """One line."""
    return head_of(stmt) + (" …" if isinstance(stmt, (Loop, Par, If)) else "")


def head_of(stmt: Stmt) -> str:
    """A statement without its body."""
    if isinstance(stmt, Loop):
        return show_loop(stmt)
    if isinstance(stmt, Store):
        by = "" if stmt.by == "loads" else f" by {stmt.by}"
        return f"{show_expr(stmt.target)} = {show_expr(stmt.value)}{by}{when(stmt.when)}"
    if isinstance(stmt, MulAdd):
        return f"{show_expr(stmt.target)} += {show_expr(stmt.a)} * {show_expr(stmt.b)}{when(stmt.when)}"
    if isinstance(stmt, Prefetch):
        return f"prefetch {show_expr(stmt.target)}"
    if isinstance(stmt, Let):
        return f"let {show_digits(stmt)}"
    if isinstance(stmt, Read):
        return f"read {stmt.name} = {show_expr(stmt.load)} below {stmt.size}"
    if isinstance(stmt, Par):
        return " ".join(["par", " | ".join(map(show_digits, stmt.binds))]).rstrip()
    if isinstance(stmt, If):
        return f"if {show_guard(stmt.guard)}"
    return f"{stmt.op} {stmt.count}" if stmt.count or stmt.op == "wait" else stmt.op


def show_loop(loop: Loop) -> str:
    """`for oc.0 in 0..128 step 32`; a serial loop is a `for`, another begins with its kind."""
    word = "for" if loop.kind == "serial" else loop.kind
    step = f" step {loop.step}" if loop.step != 1 else ""
    return f"{word} {loop.name} in {show_bound(loop.low, 'max')}..{show_bound(loop.high, 'min')}{step}"


def show_digits(let: Let) -> str:
    """`oh.0 in 14 step 2, ow.0 in 8 of block`."""
    digits = []
    for name, count, step in zip(let.names, let.counts, let.steps, strict=True):
        digits.append(f"{name} in {count}" + (f" step {step}" if step != 1 else ""))
    return f"{', '.join(digits)} of {let.of}"


def show_bound(bound: Bound, word: str) -> str:
    """One limit, or `max(…)`, `min(…)` of several."""
    limits = ", ".join(map(show_limit, bound))
    return limits if len(bound) == 1 else f"{word}({limits})"


def show_limit(limit: Limit) -> str:
    """`oh.0+4` or `2*ceil((oh.0+4)/2)`."""
    if limit.divisor == 1 and limit.scale == 1:
        return str(limit.affine)
    text = f"ceil(({limit.affine})/{limit.divisor})"
    return text if limit.scale == 1 else f"{limit.scale}*{text}"


def show_guard(guard: Guard) -> str:
    """`0<=kh.0+oh.0-1<28`."""
    return f"0<={guard.affine}<{guard.size}"


def show_guards(guards: tuple[Guard, ...]) -> str:
    """All of them hold."""
    return " and ".join(map(show_guard, guards))


def when(guards: tuple[Guard, ...]) -> str:
    """The end of a statement that need not happen."""
    return f" when {show_guards(guards)}" if guards else ""


def show_expr(e: Expr) -> str:
    """`x[0, oh.0]`, `(x[0, oh.0-1] inside 0<=oh.0-1<28 else 128)`, `0:f32`, `max:f32(…, …)`, `index:i32(c.0+kh.0)`."""
    if isinstance(e, Number):
        return f"{show_number(e.value)}:{e.dtype}"
    if isinstance(e, Apply):
        return f"{e.op}:{e.dtype}({', '.join(map(show_expr, e.args))})"
    if isinstance(e, Index):
        return f"index:{e.dtype}({e.affine})"
    slot = "" if e.slot is None else f"@{e.slot}"
    text = f"{e.buffer}{slot}[{', '.join(map(str, e.index))}]"
    if not e.inside and not e.fill:
        return text
    inside = f" inside {show_guards(e.inside)}" if e.inside else ""
    return f"({text}{inside}{f' else {show_number(e.fill)}' if e.fill else ''})"


def show_number(value: float) -> str:
    """Whole numbers without a point."""
    return (
        str(int(value)) if math.isfinite(value) and value == int(value) and abs(value) < 1e19 else repr(value)
    )


def attach(node: type[object], text: Callable[[Any], str]) -> None:
    """Make it the node's `str`: the nodes stand in `ir`, which knows nothing of text."""
    node.__str__ = text  # type: ignore[method-assign]


attach(Nest, show_nest)
attach(Buffer, show_buffer)
attach(Guard, show_guard)
for _expr in (Load, Number, Apply, Index):
    attach(_expr, show_expr)
for _stmt in (Loop, Store, MulAdd, Prefetch, Let, Read, Par, If, Sync):
    attach(_stmt, show)
