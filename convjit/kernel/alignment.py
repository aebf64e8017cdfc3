"""What a kernel takes for granted about where its arrays begin."""

from __future__ import annotations

from collections.abc import Mapping

from convjit.dtypes import bits
from convjit.kernel.ir import For, Kernel, Op, Stmt
from convjit.kernel.types import POINTERS


def alignments(kernel: Kernel) -> dict[str, int]:
    """For each parameter, the bytes that divide its address: those of an element, or of the widest access to it."""
    found = {p.name: max(1, bits(p.dtype) // 8) for p in kernel.parameters}
    _body(kernel.body, {f"%{p.name}": p.name for p in kernel.parameters}, found)
    return found


def _body(body: tuple[Stmt, ...], origins: dict[str, str], found: dict[str, int]) -> None:
    """`origins`: the parameter that a pointer points into."""
    for stmt in body:
        if isinstance(stmt, Op):
            _op(stmt, origins, found)
        else:
            if isinstance(stmt, For):
                for c in stmt.carried:
                    if c.type in POINTERS and c.start in origins:
                        origins[c.name] = origins[c.result] = origins[str(c.start)]
            _body(stmt.body, origins, found)


def _op(op: Op, origins: dict[str, str], found: dict[str, int]) -> None:
    pointers = [a for a in op.args if isinstance(a, str) and a in origins]
    if op.name == "step" and pointers:
        origins[op.result] = origins[pointers[0]]
        return
    attributes: Mapping[str, object] = dict(op.attributes)
    wanted = attributes.get("align", attributes.get("bytes", 1))
    for pointer in pointers:
        found[origins[pointer]] = max(found[origins[pointer]], wanted if isinstance(wanted, int) else 1)
