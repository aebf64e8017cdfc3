"""Where an access lies: flattened offsets, pointers stepped scope by scope, what divides them, whether it exists; and the
load from there, once."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from convjit.dtypes import bits
from convjit.kernel.builder import Builder
from convjit.kernel.ir import Attribute, Operand, Type
from convjit.kernel.transpose import Scattered
from convjit.kernel.variables import Plan, Variables
from convjit.machine.machine import Machine
from convjit.nest.affine import Affine
from convjit.nest.ir import Buffer, Load
from convjit.nest.layout import Symbols

GPU_ALIGNMENT = 16
"""What is known of the start of a buffer on a GPU; a CPU array is aligned to its elements only, which costs nothing."""

ZERO = Affine()


@dataclass(frozen=True)
class Spot:
    """An access flattened: the plan of its offset in elements, and the parts that open sizes multiply."""

    buffer: Buffer
    plan: Plan
    symbolic: tuple[tuple[Symbols, Plan], ...]
    space: str

    @property
    def spread(self) -> bool:
        """Whether lanes lie along a dimension whose stride is known only at the call."""
        return any(any(p.lanes) for _, p in self.symbolic)

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return bits(self.buffer.dtype) // 8


class Addresses:
    """Addresses in buffers that have such, and what is read there. `constant` are buffers that nobody writes."""

    def __init__(
        self, b: Builder, v: Variables, buffers: dict[str, Buffer], machine: Machine, constant: frozenset[str]
    ) -> None:
        self.b, self.v, self.buffers, self.constant = b, v, buffers, constant
        self.gpu, self.masks = machine.kind == "cuda", machine.masks
        self.late = False  # whether lanes were put in order that could be so later
        self.scattered = Scattered(b, machine.masks)
        self.spots: dict[tuple[int, int], tuple[Load, Spot]] = {}
        self.bases: dict[int, tuple[Spot, str]] = {}

    def spot(self, access: Load) -> Spot:
        """Flattened once per place, not once per unrolled copy."""
        key = (id(access), self.b.scopes[-1].number)
        known = self.spots.get(key)
        if known is not None and known[0] is access:
            return known[1]
        buffer = self.buffers[access.buffer]
        assert buffer.layout is not None
        index = dict(zip(buffer.dims, access.index, strict=True))
        offset = buffer.layout.flatten(index, self.v.grain)
        plain = self.v.plan(offset.pop((), ZERO))
        rest = tuple((s, self.v.plan(a)) for s, a in sorted(offset.items()))
        space = "" if not self.gpu else "shared" if buffer.level == "shared" else "global"
        made = Spot(buffer, plain, rest, space)
        self.spots[key] = (access, made)
        return made

    def pointer(self, spot: Spot, access: Load, extra: int = 0, condition: str = "") -> str:
        """The address: running terms scope by scope, then a constant. Under a condition that fails: the start."""
        constant = (spot.plan.static(self.v.static) + extra) * spot.size
        return self.gpu_pointer(spot, access, constant, condition) if self.gpu else self.cpu_pointer(spot, constant)

    def cpu_pointer(self, spot: Spot, constant: int) -> str:
        """A pointer stepped once per scope, then by a constant."""
        known = self.bases.get(id(spot))
        if known is None or known[0] is not spot:
            self.bases[id(spot)] = known = (spot, self.chained(spot))
        pointer = known[1]
        for symbols, plan in spot.symbolic:
            if fixed := plan.static(self.v.static) * spot.size:
                pointer = self.b.once("step", "ptr", pointer, self.product(fixed, symbols))
        return self.b.once("step", "ptr", pointer, constant) if constant else pointer

    def chained(self, spot: Spot) -> str:
        """The running terms: one step in the preamble of every scope that binds one."""
        b, v = self.b, self.v
        pointer = f"%{spot.buffer.name}"
        path: tuple[object, ...] = ()
        terms: list[tuple[str, int, Symbols]] = [(n, c, ()) for n, c in spot.plan.running]
        for symbols, plan in spot.symbolic:
            terms += [(n, c, symbols) for n, c in plan.running]
        for name, c, symbols in sorted(terms, key=lambda t: v.scope_of(t[0])[0]):
            _, scope, value = v.scope_of(name)
            path = (*path, name, c, symbols)
            key = ("address", spot.buffer.name, path)
            if key not in scope.known:
                move = b.arith("mul", value, c * spot.size, scope.preamble)
                for s in symbols:
                    move = b.arith("mul", move, v.value_of(s), scope.preamble)
                scope.known[key] = b.op_in(scope.preamble, "step", "ptr", pointer, move)
            pointer = scope.known[key]
        return pointer

    def product(self, factor: int, symbols: Symbols) -> Operand:
        """factor * open sizes, computed at the function's start."""
        first = self.b.scopes[0]
        key = ("product", factor, symbols)
        if key not in first.known:
            value: Operand = factor
            for s in symbols:
                value = self.b.arith("mul", value, self.v.value_of(s), first.preamble)
            first.known[key] = str(value)
        return first.known[key]

    def gpu_pointer(self, spot: Spot, access: Load, constant: int, condition: str) -> str:
        """One 32-bit sum, then one step from the base, then a constant."""
        b, v = self.b, self.v
        base, type_ = f"%{spot.buffer.name}", f"ptr.{spot.space}"
        offset = v.chain(tuple((n, c * spot.size) for n, c in spot.plan.running))
        for symbols, plan in spot.symbolic:
            scaled = tuple((n, c * spot.size) for n, c in plan.running)
            offset = b.arith("add", offset, v.chain(scaled, symbols))
            if fixed := plan.static(v.static) * spot.size:
                offset = b.arith("add", offset, self.product(fixed, symbols))
        if access.slot is not None and spot.buffer.ring > 1:
            offset = b.arith("add", offset, self.slot(spot.buffer, access.slot))
        if condition:
            whole = b.arith("add", offset, constant)
            return b.op("step", type_, base, b.op("select", b.index, condition, whole, 0))
        pointer = b.once("step", type_, base, offset) if offset != 0 else base
        return b.once("step", type_, pointer, constant) if constant else pointer

    def slot(self, buffer: Buffer, turn: Affine) -> Operand:
        """Bytes from the ring's start to the slot: the turn modulo the ring's length, carried where a loop has it."""
        assert buffer.layout is not None
        size = buffer.layout.elements() * bits(buffer.dtype) // 8
        number = self.v.slots.get((turn, buffer.ring))
        if number is None:
            number = self.b.arith("urem", self.v.sum(turn), buffer.ring)
        if not isinstance(number, str):
            return self.b.arith("mul", number, size)
        return self.b.once("mul", self.b.index, number, size)

    def exists(self, spot: Spot, ends: tuple[int, int]) -> bool:
        """Whether the elements from the first to the last of `ends`, counted from lane 0's, lie in the buffer, whatever
        the loops' counters are."""
        layout = spot.buffer.layout
        if spot.symbolic or layout is None or any(isinstance(count, str) for count in layout.counts()):
            return False
        low = high = spot.plan.static(self.v.static)
        known = self.v.known_ranges()
        for name, factor in spot.plan.running:
            if name not in known:
                return False
            reached = [factor * end for end in known[name]]
            low, high = low + min(reached), high + max(reached)
        return low + ends[0] >= 0 and high + ends[1] < layout.elements()

    def alignment(self, spot: Spot, bytes_: int) -> int:
        """What divides the address, up to the access's own size."""
        if not self.gpu:
            return spot.size
        ring = spot.buffer.layout.elements() if spot.buffer.layout and spot.buffer.ring > 1 else 0
        parts = (spot.plan, *(plan for _, plan in spot.symbolic))  # open sizes multiply what divides a part
        steps = (step for plan in parts for step in (self.v.grain_of(plan), plan.static(self.v.static)))
        known = gcd(GPU_ALIGNMENT, *(step * spot.size for step in (ring, *steps)))
        return min(known, bytes_)

    # ---- reading

    def read(self, access: Load, op: str, type_: Type, *args: Operand, align: int) -> str:
        """A load that is remembered until its buffer is written."""
        b = self.b
        self.scattered.before_read(access.buffer)
        constant = op == "load" and access.buffer in self.constant
        extra: dict[str, Attribute] = {"constant": 1} if constant else {}
        key = ("load", access.buffer, type_, args)
        return b.remember(key, lambda: b.op(op, type_, *args, align=align, **extra))

    def scalar(self, access: Load, spot: Spot, kind: Type, extra: int, condition: str = "") -> str:
        """One element."""
        pointer = self.pointer(spot, access, extra, condition)
        value = self.read(access, "load", kind, pointer, align=self.alignment(spot, bits(kind) // 8))
        return self.b.op("select", kind, condition, value, 0) if condition else value

    def mask(self, mask: tuple[bool, ...] | str) -> str:
        """A mask as a value."""
        if isinstance(mask, str):
            return mask
        return self.b.once("const", f"i1x{len(mask)}", values=tuple(int(m) for m in mask))
