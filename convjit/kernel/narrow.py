"""Stores of bytes side by side, each vector made from one of 32-bit numbers: made together, by the packing instructions.

    %3 = convert u8x16 %1 {from i32x16}          %5 = pack i16x32 %1, %2 {from i32x16}
    store u8x16 %3, %p {align 1}            →    %6 = pack u8x64 %5, %5 {from i16x32}
    %4 = convert u8x16 %2 {from i32x16}          (the words of 4 bytes in order: bitcast, shuffle, bitcast)
    step ptr %p, 16; store u8x16 %4              store u8x32 …, %p {align 1}

A conversion wraps and a packing instruction saturates, so only numbers that are seen to lie inside the type are taken.
Vectors of 32-bit numbers alone take two (AVX-512) to four instructions (AVX2) on the way to bytes, four together take one each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf

from convjit.dtypes import limits
from convjit.kernel.ir import For, If, Op, Operand, Stmt, element, lanes, vector
from convjit.kernel.late_order import needed
from convjit.kernel.types import FLOATS, size
from convjit.machine.machine import Machine

PART = 16
"""Bytes of the parts that packing instructions work in."""

LEAST = 32
"""Bytes of a vector from which a conversion to bytes takes several instructions."""

TOGETHER = (4, 2)
"""Vectors that are packed together."""


def narrowed(body: tuple[Stmt, ...], fresh: Callable[[], str], machine: Machine) -> tuple[Stmt, ...]:
    """The same statements; `fresh` gives new names."""
    if machine.kind != "cpu" or machine.vector_bits < 8 * LEAST:
        return body
    walk = Narrow(fresh)
    found = walk.body(body)
    return needed(found, set()) if walk.packed else body


@dataclass(frozen=True)
class Waiting:
    """A store that waits: where it goes, as bytes behind a pointer, and the vector of 32-bit numbers that it comes from."""

    store: Op
    base: str
    offset: int
    wide: str
    type: str


class Narrow:
    """One walk. `made`: the op that gave a value; `packed`: whether anything was."""

    def __init__(self, fresh: Callable[[], str]) -> None:
        self.fresh = fresh
        self.made: dict[str, Op] = {}
        self.packed = False

    def body(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        """The statements of one body; what waits is written before anything else touches memory that is written."""
        found: list[Stmt] = []
        waiting: list[Waiting] = []
        for stmt in body:
            if isinstance(stmt, For | If):
                found += [*self.flush(waiting), replace(stmt, body=self.body(stmt.body))]
                continue
            self.made[stmt.result] = stmt
            if store := self.narrow(stmt):
                if waiting and waiting[0].base != store.base:  # who knows whether they are neighbours, or the same
                    found += self.flush(waiting)
                waiting.append(store)
                continue
            if stmt.name.startswith("store") or (stmt.name.startswith("load") and not stmt.attribute("constant", 0)):
                touched = self.place(stmt.args[1 if stmt.name.startswith("store") else 0])[0]
                if stmt.name.startswith("store") or any(self.root(w.base) == self.root(touched) for w in waiting):
                    found += self.flush(waiting)
            found.append(stmt)
        return (*found, *self.flush(waiting))

    def narrow(self, op: Op) -> Waiting | None:
        """A store of bytes that come from wider numbers inside their type."""
        value = self.made.get(str(op.args[0])) if op.name == "store" else None
        if value is None or value.name != "convert" or element(op.type) not in ("u8", "i8") or not isinstance(value.args[0], str):
            return None
        source = str(value.attribute("from"))
        low, high = limits(element(op.type))
        least, most = self.ends(value.args[0])
        if element(source) != "i32" or size(source) < LEAST or not low <= least <= most <= high:
            return None
        base, offset = self.place(op.args[1])
        return Waiting(op, base, offset, value.args[0], source)

    def place(self, pointer: Operand) -> tuple[str, int]:
        """A pointer as bytes behind another one."""
        name, offset = str(pointer), 0
        while (op := self.made.get(name)) and op.name == "step" and isinstance(op.args[1], int):
            name, offset = str(op.args[0]), offset + op.args[1]
        return name, offset

    def root(self, pointer: str) -> str:
        """The parameter or the memory that a pointer was made from."""
        while (op := self.made.get(pointer)) and op.name == "step":
            pointer = str(op.args[0])
        return pointer

    def ends(self, value: Operand) -> tuple[float, float]:
        """What a number cannot be below and above; everything where it may be no number."""
        if not isinstance(value, str):
            return value, value
        op = self.made.get(value)
        if op is None:
            return -inf, inf
        if op.name in ("max", "min"):
            return self.clamped(op)
        if op.name == "add":
            (a, b), (c, d) = map(self.ends, op.args)
            return (a + c, b + d) if element(op.type) == "i32" else (-inf, inf)
        if op.name in ("rint", "convert"):
            return self.converted(op, *self.ends(op.args[0]))
        return -inf, inf

    def converted(self, op: Op, low: float, high: float) -> tuple[float, float]:
        """To the nearest, or toward zero: whole ends stay. What a type of integers cannot hold wraps."""
        least, most = (-inf, inf) if element(op.type) in FLOATS else limits(element(op.type))
        whole = all(e == round(e) for e in (low, high) if abs(e) != inf)
        return (low, high) if whole and least <= low and high <= most else (-inf, inf)

    def clamped(self, op: Op) -> tuple[float, float]:
        """max gives its second operand where the first is smaller; so a number first, and none that is no number."""
        first, second = op.args
        if op.name == "max" and not isinstance(first, str):
            return first, max(first, self.ends(second)[1])
        (a, b), (c, d) = self.ends(first), self.ends(second)
        if op.name == "min" and a > -inf and c > -inf:
            return min(a, c), min(b, d)
        return -inf, inf

    def flush(self, waiting: list[Waiting]) -> list[Stmt]:
        """Write all that waits, neighbours together."""
        found: list[Stmt] = []
        taken = sorted(waiting, key=lambda w: (w.base, w.offset))
        waiting.clear()
        while taken:
            run = next((taken[:n] for n in TOGETHER if beside(taken[:n], n)), taken[:1])
            found += self.pack(run) if len(run) > 1 else [run[0].store]
            taken = taken[len(run) :]
        return found

    def pack(self, run: list[Waiting]) -> list[Stmt]:
        """One store for several."""
        self.packed = True
        first, bytes_ = run[0], size(run[0].type)
        n, parts, origin = lanes(first.type), bytes_ // PART, first.store.origin
        half, small = vector("i16", 2 * n), vector(element(first.store.type), 4 * n)
        ops: list[Op] = []

        def op(name: str, type_: str, *args: str, **attributes: object) -> str:
            ops.append(Op(self.fresh(), name, type_, args, tuple(attributes.items()), origin))  # type: ignore[arg-type]
            self.made[ops[-1].result] = ops[-1]
            return ops[-1].result

        halves = [op("pack", half, a.wide, b.wide, **{"from": first.type}) for a, b in zip(run[::2], run[1::2], strict=True)]
        whole = op("pack", small, halves[0], halves[-1], **{"from": half})
        words = op("bitcast", first.type, whole, **{"from": small})
        order = tuple(len(TOGETHER) * 2 * part + v for v in range(len(run)) for part in range(parts))
        sorted_ = op("shuffle", vector("i32", len(order)), words, words, order=order, **{"from": first.type})
        stored = vector(element(first.store.type), len(run) * n)
        value = op("bitcast", stored, sorted_, **{"from": vector("i32", len(order))})
        return [*ops, replace(first.store, type=stored, args=(value, first.store.args[1]))]


def beside(run: list[Waiting], many: int) -> bool:
    """Whether so many stand directly behind each other, of one type."""
    first = run[0]
    return len(run) == many and all(
        (w.base, w.offset, w.type, w.store.type) == (first.base, first.offset + i * lanes(first.type), first.type, first.store.type)
        for i, w in enumerate(run)
    )
