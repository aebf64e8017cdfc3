"""Every op at every type as a small kernel: operands are loaded from x, the result is stored to y, repeatedly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convjit.kernel.ir import For, Kernel, Launch, Op, Parameter, Stmt, Type, element, lanes, vector
from convjit.kernel.rules import check_op
from convjit.kernel.signature import operand_types
from convjit.kernel.types import COMPUTED, FLOATS, INTEGERS, bits, size
from convjit.machine import Machine

TURNS = 64
STRIDE = 64
"""Bytes from one turn's operand to the next; each operand has an array of its own."""


@dataclass(frozen=True)
class Case:
    """An op with names for its operands' values, which are loaded from arrays a, b, c."""

    op: Op
    operands: tuple[Type, ...]

    @property
    def name(self) -> str:
        extra = "".join(f"-{value}" for key, value in self.op.attributes if key in ("from", "type"))
        return f"{self.op.name}-{self.op.type}{extra}"


def cases(machine: Machine) -> Iterator[Case]:
    """All that the vocabulary and the rows allow on the machine, at one vector width or none."""
    for op in (*_candidates(machine), *_packs(machine)):
        if not check_op(op, machine):
            yield Case(op, operand_types(op, machine))
    for row in machine.rows:
        names = ("%a", "%b", "%c")
        yield Case(Op("%r", row.name, row.operands[2], names), row.operands)


def _candidates(machine: Machine) -> Iterator[Op]:
    numbers = sorted(INTEGERS | FLOATS)
    counts = (1, 4, 8) if machine.vector_bits else (1,)
    for one in numbers:
        for count in counts:
            type, mask = vector(one, count), vector("i1", count)
            for name in (
                "add",
                "sub",
                "mul",
                "div",
                "max",
                "min",
                "udiv",
                "urem",
                "and",
                "or",
                "xor",
                "shl",
                "lshr",
                "ashr",
            ):
                yield Op("%r", name, type, ("%a", "%b"))
            for name in ("neg", "abs", "sqrt", "rint"):
                yield Op("%r", name, type, ("%a",))
            for name in ("lt", "ge", "eq", "ult"):
                yield Op("%r", name, mask, ("%a", "%b"), (("type", type),))
            for other in numbers:
                yield Op("%r", "convert", vector(other, count), ("%a",), (("from", type),))
                yield Op("%r", "bitcast", vector(other, count), ("%a",), (("from", type),))
            yield Op("%r", "splat", type, ("%a",))
            if count > 1:
                yield Op("%r", "insert", type, ("%a", "%b"), (("lane", 1),))
                yield Op("%r", "extract", one, ("%a",), (("lane", 2), ("from", type)))
                order = tuple((3 * i + 1) % (2 * count) for i in range(count))
                yield Op("%r", "shuffle", type, ("%a", "%b"), (("order", order), ("from", type)))


def _packs(machine: Machine) -> Iterator[Op]:
    for one, source in (("i16", "i32"), ("u8", "i16"), ("i8", "i16")):
        for width in (128, 256, 512):
            type, from_ = (vector(t, width // bits(t)) for t in (one, source))
            yield Op("%r", "pack", type, ("%a", "%b"), (("from", from_),))


def kernel(case: Case, machine: Machine, name: str = "one_op") -> Kernel:
    """A loop over `TURNS` places of a, b, c and y; on a GPU a thread for each."""
    gpu = machine.kind == "cuda"
    index, pointer = ("i32", "ptr.global") if gpu else ("i64", "ptr")
    body: list[Stmt] = [Op("%at", "mul", index, ("%i", STRIDE))]
    for label, type in zip("abc", case.operands, strict=False):
        body.append(Op(f"%{label}p", "step", pointer, (f"%{label}s", "%at")))
        body.append(Op(f"%{label}", "load", type, (f"%{label}p",), (("align", 1),)))
    body.append(case.op)
    result, type = "%r", case.op.type
    if element(type) == "i1":
        type = vector("u8", lanes(type))
        result = "%wide"
        body.append(Op(result, "convert", type, ("%r",), (("from", case.op.type),)))
    elif element(type) in COMPUTED:
        mask = vector("i1", lanes(type))
        body.append(Op("%number", "eq", mask, (result, result), (("type", type),)))
        body.append(Op("%clean", "select", type, ("%number", result, 0.5)))
        result = "%clean"
    body.append(Op("%yp", "step", pointer, ("%y", "%at")))
    body.append(Op("", "store", type, (result, "%yp"), (("align", 1),)))
    parameters = tuple(Parameter(n, "u8", n == "y", "global" if gpu else "") for n in ("as", "bs", "cs", "y"))
    if gpu:
        thread = Op("%i", "special", "i32", (), (("register", "tid"),))
        return Kernel(name, machine.name, parameters, (thread, *body), launch=Launch((1,), TURNS))
    loop = For("%i", "i64", 0, TURNS, 1, (), tuple(body), True)
    return Kernel(name, machine.name, parameters, (loop,))


def fits(case: Case) -> bool:
    """Whether operands and result fit into a turn's place."""
    return all(size(t) <= STRIDE for t in (*case.operands, case.op.type))
