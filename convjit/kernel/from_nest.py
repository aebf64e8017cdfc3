"""Nest → kernel: statements become instances. Unrolled loops are written out, register tiles become values that loops
carry, addresses are built in the scope that binds their last variable. Every rule looks at the access, none at the
kernel it stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

from convjit.dtypes import bits
from convjit.errors import InternalError
from convjit.kernel.access import Access
from convjit.kernel.builder import Builder, flat
from convjit.kernel.ir import (
    Carried,
    For,
    If,
    Kernel,
    Launch,
    Local,
    Merged,
    Operand,
    Parameter,
    Type,
    vector,
)
from convjit.kernel.select import find_row
from convjit.kernel.variables import ALWAYS, Variables, Where, where
from convjit.kernel.wide import Wide
from convjit.machine.machine import Machine
from convjit.nest import ir
from convjit.nest.affine import Affine, Range, high_range, low_range
from convjit.nest.guards import skips
from convjit.nest.ir import Expr, Let, Load, Loop, MulAdd, Nest, Number, Par, Prefetch, Stmt, Store, Sync
from convjit.nest.visit import loads, typed, works, written

Register = tuple[str, tuple[int, ...]]


def lower(nest: Nest, machine: Machine) -> Kernel:
    """The kernel of a nest. Raises InternalError where a statement has no realisation."""
    return Lowering(nest, machine).kernel()


@dataclass(frozen=True)
class RingSlot:
    """A slot carried by a loop: (turn, length of the ring), its value in the loop, its first value."""

    key: tuple[Affine, int]
    name: str
    start: int


class Lowering:
    """One function being written."""

    def __init__(self, nest: Nest, machine: Machine) -> None:
        self.nest, self.machine = nest, machine
        self.gpu = machine.kind == "cuda"
        self.buffers = {b.name: b for b in nest.buffers}
        self.b = Builder("i32" if self.gpu else "i64")
        self.v = Variables(self.b)
        self.writes = written(nest.body)
        constant = frozenset(b.name for b in nest.buffers if b.level == "memory" and b.name not in self.writes)
        self.memory = Access(self.b, self.v, self.buffers, self.gpu, constant)
        self.registers: dict[Register, Operand] = {}
        self.shapes: dict[str, Type] = {}
        self.keys: dict[tuple[int, int], tuple[Load, list[tuple[int, tuple[tuple[str, int], ...]]]]] = {}
        self.wide = Wide(self)

    # ---- the function

    def kernel(self) -> Kernel:
        """Parameters, locals and the body."""
        nest = self.nest
        for axis in nest.workers:
            top = axis.extent.range({})[1]
            self.v.ranges |= {f"{axis.name}.begin": (0, top), f"{axis.name}.end": (0, top)}
            self.v.grain[f"{axis.name}.begin"] = axis.step
        self.block(nest.body)
        used = {l.buffer for s, _ in works(nest.body) for l in (*loads(s), s.target)}
        space = "global" if self.gpu else ""
        parameters = tuple(
            Parameter(b.name, b.dtype, b.name in self.writes, space)
            for b in nest.buffers
            if b.level == "memory" and b.name in used
        )
        locals_, shared = self.locals_()
        launch = None
        if nest.grid:
            blocks = tuple(c.const if not c.terms else f"size.{c}" for c in nest.grid.counts)
            launch = Launch(blocks, nest.grid.threads, shared, nest.grid.min_blocks)
        return Kernel(
            nest.name, self.machine.name, parameters, tuple(flat(self.b.lines)), locals_,
            tuple(f"size.{s.name}" for s in nest.sizes), tuple(a.name for a in nest.workers), launch,
        )  # fmt: skip

    def locals_(self) -> tuple[tuple[Local, ...], int]:
        """Scratch and shared buffers, and how many bytes of shared memory they take."""
        found, at = [], 0
        for b in self.nest.buffers:
            if b.level not in ("scratch", "shared"):
                continue
            assert b.layout
            size = b.layout.elements() * bits(b.dtype) // 8 * b.ring
            found.append(Local(b.name, size, "shared" if b.level == "shared" else "", at))
            at += -(-size // 128) * 128
        return tuple(found), at if self.gpu else 0

    # ---- statements

    def block(self, body: tuple[Stmt, ...]) -> None:
        """Statements in order; digits that a `Let` binds are visible to its end."""
        opened = 0
        before: dict[str, int | None] = {}
        for stmt in body:
            if isinstance(stmt, Let):
                before = {**{n: self.v.static.get(n) for n in stmt.names}, **before}
                opened += self.let(stmt)
            else:
                TABLE[type(stmt)](self, stmt)
        for _ in range(opened):
            self.b.close_scope()
        for name, value in before.items():
            self.v.static.pop(name, None)
            if value is not None:
                self.v.static[name] = value

    def loop(self, loop: Loop) -> None:
        """By kind."""
        if loop.kind in ("serial", "worker"):
            self.serial(loop)
        elif loop.kind == "unroll":
            self.unroll(loop)
        elif loop.kind == "simd":
            self.v.simd.append((loop.name, extent(loop)))
            self.v.grain[loop.name] = 1
            self.block(loop.body)
            self.v.simd.pop()
        elif loop.kind == "dot":
            self.v.dot = (loop.name, extent(loop))
            self.block(loop.body)
            self.v.dot = None
        elif loop.kind == "vec":
            self.wide.loop(loop)
        else:
            raise InternalError(f"a loop of kind {loop.kind} must be bound to threads first")

    def unroll(self, loop: Loop) -> None:
        """Write every turn out; a turn that may not be is tested."""
        known = self.v.known_ranges()
        lows, highs = low_range(loop.low, known), high_range(loop.high, known)
        self.v.grain[loop.name] = loop.step
        if lows[0] == lows[1] and highs[0] == highs[1]:
            for point in range(lows[0], highs[0], loop.step):
                self.v.static[loop.name] = point
                self.block(loop.body)
        else:
            top = min(h.affine.const for h in loop.high if not h.affine.terms)
            low, high = self.v.bound(loop.low, True), self.v.bound(loop.high, False)
            for point in range(lows[0], top, loop.step):
                self.v.static[loop.name] = point
                inside = self.b.op("lt", "i1", point, high, type=self.b.index)
                if lows[1] > lows[0]:
                    first = self.b.op("ge", "i1", point, low, type=self.b.index)
                    inside = self.b.op("and", "i1", inside, first)
                self.branch(inside, lambda: self.block(loop.body))
        self.v.static.pop(loop.name, None)

    def serial(self, loop: Loop) -> None:
        """A loop at run time: registers that it adds to are carried."""
        b, v = self.b, self.v
        known = v.known_ranges()
        lows, highs = low_range(loop.low, known), high_range(loop.high, known)
        low, high = v.bound(loop.low, True), v.bound(loop.high, False)
        b.forget(written(loop.body))
        names = carried_buffers(loop.body)
        carried = [k for k in self.registers if k[0] in names]
        start = [self.registers[k] for k in carried]
        counter = b.fresh()
        outer, _ = b.begin({loop.name: counter})
        v.ranges[loop.name] = (lows[0], max(lows[0], highs[1] - 1))
        first = lows[0] if lows[0] == lows[1] else None
        v.grain[loop.name] = gcd(loop.step, first) if first is not None else start_grain(v, loop)
        slots = self.ring_slots(loop, low)
        inside = [b.fresh() for _ in carried]
        self.registers.update(zip(carried, inside, strict=True))
        self.block(loop.body)
        after = [self.registers[k] for k in carried]
        handed = tuple(self.next_slot(s) for s in slots)
        body = b.end(outer)
        del v.ranges[loop.name]
        results = [b.fresh() for _ in carried]
        handed += tuple(
            Carried(name, self.shapes[k[0]], s, a, r)
            for k, name, s, a, r in zip(carried, inside, start, after, results, strict=True)
        )
        b.lines.append(For(counter, b.index, low, high, loop.step, handed, body, lows[1] < highs[0]))
        for key in [k for k in self.registers if k[0] in written(loop.body) and k not in set(carried)]:
            del self.registers[key]
        self.registers.update(zip(carried, results, strict=True))
        b.forget(written(loop.body))

    def ring_slots(self, loop: Loop, low: Operand) -> list[RingSlot]:
        """The ring slots that move with the loop: they go along, since a division in each turn costs more than work."""
        found: dict[tuple[Affine, int], None] = {}
        for stmt, _ in works(loop.body):
            for load in (*loads(stmt), stmt.target):
                if load.slot is not None and load.slot.coefficient(loop.name) == 1 and loop.step == 1:
                    found[load.slot, self.buffers[load.buffer].ring] = None
        made = []
        for turn, ring in found:
            start = turn.substitute({loop.name: 0}) + (low if isinstance(low, int) else 0)
            if not isinstance(low, int) or start.terms:
                continue
            slot = RingSlot((turn, ring), self.b.fresh(), start.const % ring)
            self.v.slots[slot.key] = slot.name
            made.append(slot)
        return made

    def next_slot(self, slot: RingSlot) -> Carried:
        """One further, at the end back to the first."""
        b = self.b
        last = b.op("eq", "i1", slot.name, slot.key[1] - 1, type=b.index)
        following = b.op("select", b.index, last, 0, b.op("add", b.index, slot.name, 1))
        del self.v.slots[slot.key]
        return Carried(slot.name, b.index, slot.start, following, b.fresh())

    def branch(self, condition: str, write: Callable[[], None]) -> None:
        """What `write` writes happens where the condition holds; registers keep their value elsewhere."""
        before = dict(self.registers)
        outer, _ = self.b.begin({})
        write()
        after = self.registers
        changed = [k for k, value in after.items() if before.get(k) is not value]
        body = self.b.end(outer)
        merged = []
        self.registers = dict(before)
        for key in changed:
            result = self.b.fresh()
            merged.append(Merged(result, self.shapes[key[0]], after[key], before.get(key, 0)))
            self.registers[key] = result
        if body or merged:
            self.b.lines.append(If(condition, body, tuple(merged)))

    def let(self, let: Let) -> int:
        """Digits of a number: known ones are numbers, the rest get a scope. How many scopes were opened."""
        unit = str(let.of) if str(let.of) in ir.UNITS else ""
        bindings = self.digits(let, self.unit(unit) if unit else self.v.sum(let.of))
        if unit:
            self.v.ranges[let.names[0]] = slowest(let)
        for name, value in list(bindings.items()):
            if isinstance(value, int):
                self.v.static[name] = bindings.pop(name)  # type: ignore[assignment]
            else:
                self.v.static.pop(name, None)
        if not bindings:
            return 0
        self.b.open_scope(bindings)
        return 1

    def digits(self, let: Let, whole: Operand) -> dict[str, Operand]:
        """Mixed radix, the slowest digit takes what is left."""
        found: dict[str, Operand] = {}
        rest = whole
        for place in range(len(let.names) - 1, -1, -1):
            name, step = let.names[place], let.steps[place]
            count = self.v.sum(let.counts[place])
            digit = rest if place == 0 else self.b.arith("urem", rest, count)
            rest = rest if place == 0 else self.b.arith("udiv", rest, count)
            found[name] = self.b.arith("mul", digit, step)
            top = let.counts[place].const if not let.counts[place].terms else 1 << 31
            self.v.ranges[name] = (0, max(0, top - 1) * step) if place else (0, (1 << 31) - 1)
            self.v.grain[name] = step
        if not let.of.terms or let.of.names() <= self.v.ranges.keys():
            low, high = let.of.range(self.v.known_ranges())
            inner = 1
            for count_ in let.counts[1:]:
                inner *= count_.const if not count_.terms else 1
            self.v.ranges[let.names[0]] = (0, max(0, high // inner) * let.steps[0])
        return found

    def par(self, par: Par) -> None:
        """Digits of the thread: they are the same all through the function, so they are made at its start."""
        root = self.b.scopes[0]
        saved, self.b.lines = self.b.lines, root.preamble
        for bind in par.binds:
            if bind.names[0] in root.bindings:
                continue
            whole = self.unit(str(bind.of))
            root.bindings.update(self.digits(bind, whole))
            self.v.ranges[bind.names[0]] = slowest(bind)
        self.b.lines = saved
        self.block(par.body)

    def unit(self, name: str) -> Operand:
        """The number of the thread, warp, lane …"""
        b = self.b

        def special(register: str) -> str:
            return b.once("special", "i32", register=register)

        if name == "block":
            return special("ctaid")
        tid = special("tid")
        assert self.nest.grid
        if name == "global":
            first = b.once("mul", "i32", special("ctaid"), self.nest.grid.threads)
            return b.once("add", "i32", first, tid)
        shift = {"thread": 0, "warp": 5, "group": 7}
        if name == "lane":
            return b.once("and", "i32", tid, 31)
        return b.once("lshr", "i32", tid, shift[name]) if shift[name] else tid

    def if_(self, stmt: ir.If) -> None:
        """Under a condition that all threads agree on."""
        w = where(self.v, (stmt.guard,))
        if w.never:
            return
        if w.condition:
            self.branch(w.condition, lambda: self.block(stmt.body))
        else:
            self.block(stmt.body)

    def sync(self, stmt: Sync) -> None:
        """Barriers and groups of asynchronous copies; what was read from shared memory may have changed."""
        names = {"barrier": "barrier", "commit": "cp_async_commit", "wait": "cp_async_wait"}
        extra = {"groups": stmt.count} if stmt.op == "wait" else {}
        self.b.do(names[stmt.op], "", **extra)
        self.b.forget(frozenset(b.name for b in self.nest.buffers if b.level == "shared"))

    def prefetch(self, stmt: Prefetch) -> None:
        """Ask for the line; the address may lie outside, nothing is read."""
        self.b.do("prefetch", "", self.memory.pointer(self.memory.spot(stmt.target), stmt.target))

    # ---- work

    def store(self, stmt: Store) -> None:
        """Copy, or compute and store."""
        w = where(self.v, stmt.when)
        if w.never:
            return
        if w.condition:
            self.branch(w.condition, lambda: self.assign(stmt, Where(False, w.mask)))
        else:
            self.assign(stmt, w)

    def assign(self, stmt: Store, w: Where) -> None:
        """The statement's guards are dealt with but for the mask."""
        target = self.buffers[stmt.target.buffer]
        if stmt.by == "cp.async":
            self.wide.asynchronous(stmt, 1)
        elif target.level != "registers":
            value = self.expr(stmt.value, target.dtype, w)
            self.b.forget(frozenset((target.name,)))
            self.memory.store(stmt.target, value, target.dtype, w)
        else:
            key = self.key(stmt.target)
            self.shapes.setdefault(target.name, vector(target.dtype, self.v.lanes))
            self.registers[key] = self.expr(stmt.value, target.dtype, w)

    def muladd(self, stmt: MulAdd) -> None:
        """One instruction, unless the tap is known to be outside."""
        w = where(self.v, skips(stmt))
        if w.never:
            return
        if w.condition:
            self.branch(w.condition, lambda: self.multiply(stmt, Where(False, w.mask)))
        else:
            self.multiply(stmt, w)

    def multiply(self, stmt: MulAdd, w: Where) -> None:
        """The row for the types and roles here."""
        v = self.v
        key = self.key(stmt.target)
        target = self.buffers[stmt.target.buffer]
        shape = self.shapes.setdefault(target.name, vector(target.dtype, v.lanes))
        a, b = (self.operand(e, w) for e in (stmt.a, stmt.b))
        roles = (("n", v.lanes), *((("k", v.dot[1]),) if v.dot else ()))
        types = (*(typed(e, self.dtype_of) for e in (stmt.a, stmt.b)), target.dtype)
        row = find_row(self.machine, types, roles)  # type: ignore[arg-type]
        if row is None:
            raise InternalError(f"{self.machine.name} has no instruction for {types} with {roles}: {stmt}")
        old = self.registers[key]
        if old == 0 and not isinstance(old, str) and row.name == "fma":
            self.registers[key] = self.b.op("mul", shape, a, b)
        else:
            self.registers[key] = self.b.op(row.name, shape, a, b, old)

    def operand(self, e: Expr, w: Where) -> Operand:
        """An operand of a product; its guards were tested for the whole statement."""
        if isinstance(e, Load) and self.buffers[e.buffer].level != "registers":
            mask = w.mask if e.inside else None
            return self.memory.load(e, Where(False, mask))
        return self.expr(e, typed(e, self.dtype_of), w)

    def dtype_of(self, buffer: str) -> str:
        """The type of a buffer."""
        return self.buffers[buffer].dtype

    # ---- expressions

    def expr(self, e: Expr, dtype: str, w: Where = ALWAYS) -> Operand:
        """The value in every lane."""
        if isinstance(e, Number):
            return e.value if dtype[0] in "fb" else int(e.value)
        if isinstance(e, Load):
            return self.element(e, w)
        types = [typed(a, self.dtype_of) or e.dtype for a in e.args]
        args = [self.expr(a, t, w) for a, t in zip(e.args, types, strict=True)]
        if e.op == "convert":
            return self.b.op("convert", vector(e.dtype, self.v.lanes), *args, **{"from": vector(types[0], self.v.lanes)})
        return self.b.op(e.op, vector(e.dtype, self.v.lanes), *args)

    def element(self, load: Load, outer: Where) -> Operand:
        """A load under its own guards (and the statement's mask: lanes that do not exist are not touched)."""
        if self.buffers[load.buffer].level == "registers":
            return self.registers[self.key(load)]
        w = where(self.v, load.inside)
        if w.never:
            return load.fill
        mask = outer.mask if w.mask is None else w.mask
        if w.mask is None and not self.buffers[load.buffer].packed and mask is not None:
            spot = self.memory.spot(load)
            mask = mask if spot.spread or any(spot.plan.lanes) else None
        if not w.condition:
            return self.memory.load(load, Where(False, mask))
        if self.gpu:
            return self.memory.load(load, Where(False, mask, w.condition))
        return self.conditional(load, Where(False, mask), w.condition)

    def conditional(self, load: Load, w: Where, condition: str) -> str:
        """A load behind a branch; 0 where it is skipped."""
        outer, _ = self.b.begin({})
        value = self.memory.load(load, w)
        body = self.b.end(outer)
        result = self.b.fresh()
        shape = vector(self.buffers[load.buffer].dtype, self.v.lanes)
        self.b.lines.append(If(condition, body, (Merged(result, shape, value, load.fill),)))
        return result

    def key(self, load: Load) -> Register:
        """Which register: an index of numbers, lanes left out. Sorted once per place, evaluated per copy."""
        place = (id(load), len(self.v.simd))
        known = self.keys.get(place)
        if known is None or known[0] is not load:
            lanes = {n for n, _ in self.v.simd} | ({self.v.dot[0]} if self.v.dot else set())
            index = [(a.const, a.terms) for a in load.index if not a.names() & lanes]
            self.keys[place] = known = (load, index)
        static = self.v.static
        try:
            return load.buffer, tuple(c + sum(k * static[n] for n, k in terms) for c, terms in known[1])
        except KeyError as missing:
            raise InternalError(f"{load}: a register needs a number that is known, {missing} is not") from None


def slowest(let: Let) -> Range:
    """The range of the slowest digit of a thread's or block's number: there are no more than the product of counts,
    but for idle threads, of a grid of global threads or of a copy (~)."""
    count = let.counts[0]
    if count.terms or str(let.of) == "global" or "~" in let.names[0]:
        return (0, (1 << 31) - 1)
    return (0, (count.const - 1) * let.steps[0])


def extent(loop: Loop) -> int:
    """Turns of a loop over lanes."""
    return high_range(loop.high, {})[0]


def start_grain(v: Variables, loop: Loop) -> int:
    """What divides the counter of a loop that starts at a run-time value."""
    parts = [loop.step]
    for limit in loop.low:
        inner = gcd(limit.affine.const, *(c * v.grain.get(n, 1) for n, c in limit.affine.terms))
        parts.append((inner if limit.divisor == 1 else 1) * limit.scale)
    return gcd(*parts)


def carried_buffers(body: tuple[Stmt, ...]) -> frozenset[str]:
    """Register buffers that a loop hands from one turn to the next: not those it first overwrites."""
    first: dict[str, bool] = {}
    for stmt, _ in works(body):
        for load in loads(stmt):
            first.setdefault(load.buffer, True)
        first.setdefault(stmt.target.buffer, isinstance(stmt, MulAdd))
    changed = written(body)
    return frozenset(n for n, reads in first.items() if reads and n in changed)


TABLE: dict[type, Callable[..., None]] = {
    Loop: Lowering.loop,
    Par: Lowering.par,
    ir.If: Lowering.if_,
    Sync: Lowering.sync,
    Prefetch: Lowering.prefetch,
    Store: Lowering.store,
    MulAdd: Lowering.muladd,
}


