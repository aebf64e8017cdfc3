"""Random kernels for a CPU, well-formed and without undefined results; the same for the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from convjit.kernel.ir import (
    Attribute,
    Carried,
    For,
    If,
    Kernel,
    Local,
    Merged,
    Op,
    Operand,
    Parameter,
    Stmt,
    Type,
    element,
    lanes,
    vector,
)
from convjit.kernel.types import COMPUTED, FLOATS, INTEGERS, bits, size
from convjit.machine import Machine

BYTES = 4096
"""Of each parameter; accesses stay in the first half, loops and steps add less than the other half."""
SCRATCH = 256
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 3.25, -1e-40, 1e30, -1e30, float("inf"), 7.0)
ARITHMETIC = ("add", "sub", "mul", "max", "min")


@dataclass
class Maker:
    """Ops appended to `lines`; `pool` holds the visible values by type."""

    machine: Machine
    random: random.Random
    types: tuple[Type, ...]
    pool: dict[Type, list[str]] = field(default_factory=dict)
    lines: list[Stmt] = field(default_factory=list)
    count: int = 0
    depth: int = 0

    def fresh(self) -> str:
        self.count += 1
        return self.random.choice((f"%{self.count}", f"%v{self.count}", f"%v.{self.count}"))

    def op(self, name: str, type: Type, /, *args: Operand, **attributes: Attribute) -> str:
        result = self.fresh()
        self.lines.append(Op(result, name, type, args, tuple(attributes.items())))
        self.pool.setdefault(type, []).append(result)
        return result

    def value(self, type: Type) -> Operand:
        known = self.pool.get(type, [])
        if known and (self.random.random() < 0.85 or type == "ptr"):
            return self.random.choice(known)
        return self.number(element(type))

    def number(self, type: Type) -> int | float:
        if type in FLOATS:
            return self.random.choice(NUMBERS)
        if type == "i1":
            return self.random.randrange(2)
        low = 0 if type[0] == "u" else -100
        return self.random.randrange(low, 100)

    def any_type(self, *kinds: str) -> Type:
        allowed = [t for t in self.types if element(t) in kinds]
        return self.random.choice(allowed)

    def pointer(self, base: str, align: int) -> str:
        """Somewhere in the first half of a parameter, perhaps moved by an index that is visible."""
        at = self.op("step", "ptr", f"%{base}", self.random.randrange(0, BYTES // 2, align))
        if self.random.random() < 0.5 and self.counters:
            scaled = self.op("mul", "i64", self.random.choice(self.counters), align)
            self.pool["i64"].remove(scaled)  # may only be an address: keeps numbers small
            at = self.op("step", "ptr", at, scaled)
        return at

    @property
    def counters(self) -> list[str]:
        return self.pool.get("counter", [])

    def clean(self, type: Type) -> Operand:
        """A value to be stored: which bits a NaN has is not said, so it is none."""
        return self.cleaned(type, self.value(type))

    def cleaned(self, type: Type, value: Operand) -> Operand:
        if element(type) not in FLOATS:
            return value
        mask = self.op("eq", vector("i1", lanes(type)), value, value, type=type)
        return self.op("select", type, mask, value, 0.5)

    # ---- one op of each kind

    def arithmetic(self) -> None:
        type = self.any_type(*(INTEGERS | COMPUTED))
        self.op(self.random.choice(ARITHMETIC), type, self.value(type), self.value(type))

    def unary(self) -> None:
        floats = self.random.random() < 0.6
        type = self.any_type(*(COMPUTED if floats else {"i32", "i64", "i16", "i8"}))
        self.op(
            self.random.choice(("neg", "abs", "sqrt", "rint") if floats else ("neg", "abs")),
            type,
            self.value(type),
        )

    def quotient(self) -> None:
        type = self.any_type(*COMPUTED)
        self.op("div", type, self.value(type), self.value(type))

    def whole_quotient(self) -> None:
        type = self.any_type("i32", "i64")
        self.op(
            self.random.choice(("udiv", "urem")), type, self.value(type), self.random.choice((1, 3, 7, 8, 13))
        )

    def shift(self) -> None:
        type = self.any_type(*INTEGERS)
        words = ("shl", "lshr") if type[0] == "u" else ("shl", "lshr", "ashr")
        self.op(self.random.choice(words), type, self.value(type), self.random.randrange(bits(type)))

    def logic(self) -> None:
        type = self.any_type(*INTEGERS, "i1")
        self.op(self.random.choice(("and", "or", "xor")), type, self.value(type), self.value(type))

    def fma(self) -> None:
        row = self.random.choice(self.machine.rows)
        self.op(row.name, row.operands[2], *map(self.value, row.operands))

    def compare(self) -> None:
        type = self.any_type(*(INTEGERS | COMPUTED))
        names = ("lt", "ge", "eq") + (("ult",) if element(type) in INTEGERS else ())
        mask = vector("i1", lanes(type))
        self.op(self.random.choice(names), mask, self.value(type), self.value(type), type=type)

    def select(self) -> None:
        type = self.any_type(*(INTEGERS | COMPUTED))
        self.op("select", type, self.value(vector("i1", lanes(type))), self.value(type), self.value(type))

    def convert(self) -> None:
        source = self.any_type(*(INTEGERS | COMPUTED))
        one = self.random.choice(sorted(INTEGERS | COMPUTED))
        target = vector(one, lanes(source))
        value = self.value(source)
        if element(source) in FLOATS and one in INTEGERS:
            value = self.tame(source, value, unsigned=one[0] == "u")
        self.op("convert", target, value, **{"from": source})

    def tame(self, type: Type, value: Operand, unsigned: bool) -> str:
        """The value where it is small (and positive for an unsigned target), else 1."""
        mask = vector("i1", lanes(type))
        size = value if unsigned else self.op("abs", type, value)
        small = self.op("lt", mask, size, 100.0, type=type)
        if unsigned:
            positive = self.op("ge", mask, value, 0.0, type=type)
            small = self.op("and", mask, small, positive)
        return self.op("select", type, small, value, 1.0)

    def lanes(self) -> None:
        """splat, const, insert, extract, shuffle."""
        wide = [t for t in self.types if lanes(t) > 1 and element(t) in INTEGERS | COMPUTED]
        if not wide:
            return
        type = self.random.choice(wide)
        one, count = element(type), lanes(type)
        kind = self.random.randrange(5)
        if kind == 0:
            self.op("splat", type, self.value(one))
        elif kind == 1:
            values = tuple(self.number(one) for _ in range(count))
            self.op("const", type, values=values)
        elif kind == 2:
            self.op("insert", type, self.value(type), self.value(one), lane=self.random.randrange(count))
        elif kind == 3:
            self.op("extract", one, self.value(type), lane=self.random.randrange(count), **{"from": type})
        else:
            order = tuple(self.random.randrange(2 * count) for _ in range(count))
            self.op("shuffle", type, self.value(type), self.value(type), order=order, **{"from": type})

    def inside(self) -> None:
        type = self.any_type("i1")
        offsets = tuple(self.random.randrange(-4, 20) for _ in range(lanes(type)))
        choices: list[Operand] = [*self.counters, self.random.randrange(-20, 20)]
        first = self.random.choice(choices)
        self.op("lanes_inside", type, first, self.random.randrange(0, 24), offsets=offsets)

    def load(self) -> None:
        type = self.any_type(*(INTEGERS | COMPUTED))
        align = min(size(type), self.random.choice((1, 4, 8)))
        align = 1 << (align.bit_length() - 1)
        self.op("load", type, self.pointer("x", align), align=1)

    def masked(self) -> None:
        type = self.any_type("f32", "f64", "i32", "i64")
        self.op("load_masked", type, self.pointer("x", 4), self.value(vector("i1", lanes(type))), align=4)

    def store(self) -> None:
        type = self.any_type(*(INTEGERS | COMPUTED))
        self.lines.append(Op("", "store", type, (self.clean(type), self.pointer("y", 8)), (("align", 8),)))

    def masked_store(self) -> None:
        type = self.any_type("f32", "f64", "i32", "i64")
        args = self.clean(type), self.pointer("y", 8), self.value(vector("i1", lanes(type)))
        self.lines.append(Op("", "store_masked", type, args, (("align", 8),)))

    def scratch(self) -> None:
        """Stored and loaded again, as another type."""
        type = self.any_type(*INTEGERS)
        at = self.op("step", "ptr", "%scratch", self.random.randrange(0, SCRATCH // 2, 16))
        self.lines.append(Op("", "store", type, (self.value(type), at), (("align", 1),)))
        self.op("load", type, at, align=1)

    def loop(self) -> None:
        if self.depth == 2:
            return
        outer, pool = self.lines, {t: list(names) for t, names in self.pool.items()}
        carried_types = [self.any_type(*(INTEGERS | COMPUTED)) for _ in range(self.random.randrange(4))]
        starts = [self.value(t) for t in carried_types]
        counter, inside = self.fresh(), [self.fresh() for _ in carried_types]
        self.lines, self.depth = [], self.depth + 1
        self.pool.setdefault("counter", []).append(counter)
        for type, name in zip(carried_types, inside):
            self.pool.setdefault(type, []).append(name)
        self.some(self.random.randrange(2, 8))
        ends = [self.value(t) for t in carried_types]
        body, self.lines, self.pool, self.depth = tuple(self.lines), outer, pool, self.depth - 1
        results = [self.fresh() for _ in carried_types]
        carried = tuple(map(Carried, inside, carried_types, starts, ends, results))
        low = self.random.randrange(4)
        high: Operand = self.random.choice((low + 1, low + 4, "%n", 0))
        sure = isinstance(high, int) and high > low and self.random.random() < 0.5
        self.lines.append(For(counter, "i64", low, high, self.random.choice((1, 2, 3)), carried, body, sure))
        for type, name in zip(carried_types, results):
            self.pool.setdefault(type, []).append(name)

    def branch(self) -> None:
        if self.depth == 2:
            return
        condition = self.op("lt", "i1", self.value("i32"), self.value("i32"), type="i32")
        outer, pool = self.lines, {t: list(names) for t, names in self.pool.items()}
        types = [self.any_type(*(INTEGERS | COMPUTED)) for _ in range(self.random.randrange(3))]
        skipped = [self.value(t) for t in types]
        self.lines, self.depth = [], self.depth + 1
        self.some(self.random.randrange(1, 6))
        taken = [self.value(t) for t in types]
        body, self.lines, self.pool, self.depth = tuple(self.lines), outer, pool, self.depth - 1
        results = [self.fresh() for _ in types]
        self.lines.append(If(condition, body, tuple(map(Merged, results, types, taken, skipped))))
        for type, name in zip(types, results):
            self.pool.setdefault(type, []).append(name)

    def some(self, count: int) -> None:
        for _ in range(count):
            self.random.choices(KINDS, WEIGHTS)[0](self)


KINDS = (
    Maker.arithmetic,
    Maker.unary,
    Maker.quotient,
    Maker.whole_quotient,
    Maker.shift,
    Maker.logic,
    Maker.fma,
    Maker.compare,
    Maker.select,
    Maker.convert,
    Maker.lanes,
    Maker.inside,
    Maker.load,
    Maker.masked,
    Maker.store,
    Maker.masked_store,
    Maker.scratch,
    Maker.loop,
    Maker.branch,
)
WEIGHTS = (6, 2, 1, 1, 2, 2, 4, 3, 3, 3, 5, 2, 6, 3, 3, 2, 1, 2, 2)


def random_kernel(seed: int, machine: Machine) -> Kernel:
    """Parameters x (read) and y (written), a local, a size n (0 to 6), a thread axis oh; `BYTES` bytes each."""
    source = random.Random(seed)
    scalars = ("f32", "f64", "i8", "u8", "i16", "u16", "i32", "u32", "i64", "i1")
    wide = ("f32x8", "f32x4", "f64x4", "f64x2", "i32x8", "i64x4", "i16x8", "u8x16", "i1x8", "i1x4")
    maker = Maker(machine, source, scalars + (wide if machine.vector_bits else ()))
    maker.pool["counter"] = ["%oh.begin", "%n"]
    maker.some(source.randrange(20, 60))
    for type in maker.types:
        for name in [] if element(type) == "i1" else list(maker.pool.get(type, [])):
            address = maker.op("step", "ptr", "%y", source.randrange(BYTES // 2, BYTES - 64, 8))
            maker.lines.append(Op("", "store", type, (maker.cleaned(type, name), address), (("align", 8),)))
    parameters = Parameter("x", "u8", False), Parameter("y", "u8", True)
    return Kernel(
        f"random{seed}",
        machine.name,
        parameters,
        tuple(maker.lines),
        (Local("scratch", SCRATCH),),
        ("n",),
        ("oh",),
    )
