"""The types that an op takes and gives, worked out from its line in `ops.OPS` or its instruction row."""

from __future__ import annotations

from functools import lru_cache

from convjit.kernel.ir import Op, Type, element, lanes, vector
from convjit.kernel.ops import OPS
from convjit.kernel.select import row_of
from convjit.machine import Machine

POINTER = "ptr*"
"""Stands for a pointer into any memory."""


def operand_types(op: Op, machine: Machine) -> tuple[Type, ...]:
    """The type of each operand; `POINTER` where any pointer will do. `InternalError` for an op that is not known."""
    signature = OPS.get(op.name)
    if signature is None:
        return row_of(machine, op).operands
    other = ""
    for key, value in op.attributes:
        if key in ("from", "type"):
            other = str(value)
    return _expand(signature.args, op.type, "i32" if machine.kind == "cuda" else "i64", other)


def result_type(op: Op) -> Type:
    """The type of the result, "" where there is none."""
    signature = OPS.get(op.name)
    return op.type if signature is None or signature.result else ""


@lru_cache(maxsize=4096)
def _expand(kinds: str, type: Type, index: Type, other: Type) -> tuple[Type, ...]:
    table = {
        "T": type,
        "I": index,
        "E": element(type),
        "M": vector("i1", lanes(type)),
        "P": POINTER,
        "V": other,
    }
    return tuple(table[kind] for kind in kinds.split())
