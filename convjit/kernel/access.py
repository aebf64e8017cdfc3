"""Loads and stores: the rule that the lane offsets of an access decide.

All lanes at one place: a broadcast. Neighbours: a vector. Every second: two vectors and a shuffle. Inside one aligned
run: a vector and a shuffle. Else each lane on its own. Nothing here knows what kernel it is in.
"""

from __future__ import annotations

from convjit.dtypes import bits
from convjit.errors import InternalError
from convjit.kernel.addresses import Addresses, Spot
from convjit.kernel.every_second import every_second
from convjit.kernel.ir import If, Merged, Operand, Type, vector
from convjit.kernel.part_stores import MOST, part, parts
from convjit.kernel.runs import joined, load_word, store_word, unit
from convjit.kernel.transpose import Waiting
from convjit.kernel.variables import ALWAYS, Where
from convjit.nest.ir import Load


class Access(Addresses):
    """Access to buffers that have addresses."""

    # ---- loads

    def load(self, access: Load, w: Where = ALWAYS, summed: int | None = None) -> str:
        """The value in every lane; 0 where the guards fail (a condition is the caller's, or the GPU's select). Of the
        numbers that are summed in a lane only the first so many are read, the others are 0."""
        spot, n = self.spot(access), self.v.lanes
        group = self.v.dot[1] if self.v.dot else 1
        kind = self.unit(access, spot)
        if group > 1 and self.gpu:
            return load_word(self, access, spot, kind, w)
        steps = [l // group for l in spot.plan.lanes]
        if spot.spread or (isinstance(w.mask, str) and steps != list(range(n))):
            return self.gathered(access, spot, steps, kind, w)
        if summed is not None and summed < group:
            return self.few(access, spot, kind, steps, summed)
        if not any(steps):
            scalar = self.scalar(access, spot, kind, 0, w.condition)
            return scalar if n == 1 else self.b.once("splat", vector(kind, n), scalar)
        if steps == list(range(n)):
            return self.neighbours(access, spot, vector(kind, n), w)
        if group == 1 and n % 2 == 0 and steps == list(range(0, 2 * n, 2)) and not self.gpu and not isinstance(w.mask, str):
            return every_second(self, access, spot, kind, w.mask)
        if w.mask is None and (found := self.permuted(access, spot, steps, kind)):
            return found
        return self.gathered(access, spot, steps, kind, w)

    def unit(self, access: Load, spot: Spot) -> Type:
        """The type of an element, or of a word of those that are summed."""
        if self.v.dot and self.v.dot[1] > 1 and spot.plan.dot != 1:
            raise InternalError(f"{access}: the {self.v.dot[1]} values of a dot must be neighbours")
        return unit(spot.buffer.dtype, self.v.dot)

    def few(self, access: Load, spot: Spot, kind: Type, steps: list[int], summed: int) -> str:
        """The first numbers of a group, the same for all lanes: what lies behind them may not exist."""
        if any(steps):
            raise InternalError(f"{access}: a part of the numbers that are summed is read for all lanes at once")
        one = f"u{bits(spot.buffer.dtype)}"
        read = (self.read(access, "load", one, self.pointer(spot, access, k), align=spot.size) for k in range(summed))
        total = joined(self.b, kind, one, enumerate(read))
        return self.b.once("splat", vector(kind, self.v.lanes), total) if self.v.lanes > 1 else total

    def neighbours(self, access: Load, spot: Spot, type_: Type, w: Where) -> str:
        """One vector; masked where lanes are outside."""
        pointer = self.pointer(spot, access)
        align = self.alignment(spot, spot.size * self.v.lanes)
        if w.mask is None:
            return self.read(access, "load", type_, pointer, align=align)
        return self.read(access, "load_masked", type_, pointer, self.mask(w.mask), align=align)

    def permuted(self, access: Load, spot: Spot, steps: list[int], kind: Type) -> str | None:
        """Lanes that stay inside one aligned run: load the run once and shuffle (few channels per group)."""
        if self.gpu or spot.symbolic:
            return None
        n, start = self.v.lanes, spot.plan.static(self.v.static)
        group = self.v.dot[1] if self.v.dot else 1
        for run in (2, 4, 8, 16):
            unit = run * group
            inside = [start % unit // group + s for s in steps]
            if run > n or max(inside) >= run or min(inside) < 0 or start % group or self.v.grain_of(spot.plan) % unit:
                continue
            pointer = self.pointer(spot, access, -(start % unit))
            from_ = vector(kind, run)
            block = self.read(access, "load", from_, pointer, align=spot.size)
            return self.b.once("shuffle", vector(kind, n), block, block, order=tuple(inside), **{"from": from_})
        return None

    def gathered(self, access: Load, spot: Spot, steps: list[int], kind: Type, w: Where) -> str:
        """Every lane on its own; those of a computed mask behind a branch each."""
        mask, n = w.mask, self.v.lanes
        group = self.v.dot[1] if self.v.dot else 1

        def make() -> str:
            result: Operand = 0
            for lane, step in enumerate(steps):
                if isinstance(mask, str):
                    result = self.guarded_lane(access, spot, step * group, lane, kind, mask, result)
                elif mask is None or mask[lane]:
                    result = self.one_lane(access, spot, step * group, lane, kind, result)
            return result if isinstance(result, str) else self.b.op("splat", vector(kind, n), 0)

        parts = ((), spot.plan), *spot.symbolic
        place = (id(spot), tuple((s, p.static(self.v.static)) for s, p in parts))
        return self.b.remember(("load", access.buffer, "gather", place, tuple(steps), kind, mask), make)

    def one_lane(self, access: Load, spot: Spot, extra: int, lane: int, kind: Type, rest: Operand) -> str:
        """A vector with one lane loaded."""
        pointer = self.lane_pointer(spot, access, extra, lane)
        item = self.read(access, "load", kind, pointer, align=self.alignment(spot, bits(kind) // 8))
        return self.b.op("insert", vector(kind, self.v.lanes), rest, item, lane=lane)

    def guarded_lane(
        self, access: Load, spot: Spot, extra: int, lane: int, kind: Type, mask: str, rest: Operand
    ) -> str:
        """A vector with one lane loaded if its mask says so."""
        b, n = self.b, self.v.lanes
        bit = b.op("extract", "i1", mask, lane=lane, **{"from": f"i1x{n}"})
        outer, _ = b.begin({})
        taken = self.one_lane(access, spot, extra, lane, kind, rest)
        body = b.end(outer)
        result = b.fresh()
        b.lines.append(If(bit, body, (Merged(result, vector(kind, n), taken, rest),), b.origin))
        return result

    def lane_pointer(self, spot: Spot, access: Load, extra: int, lane: int) -> str:
        """The address of one lane."""
        pointer = self.pointer(spot, access, extra)
        for symbols, plan in spot.symbolic:
            if plan.lanes[lane]:
                move = self.product(plan.lanes[lane] * spot.size, symbols)
                pointer = self.b.once("step", "ptr" + (f".{spot.space}" if spot.space else ""), pointer, move)
        return pointer

    # ---- stores

    def store(self, access: Load, value: Operand, dtype: str, w: Where) -> None:
        """Contiguous, or lane by lane."""
        spot, n = self.spot(access), self.v.lanes
        if self.v.dot and self.v.dot[1] > 1:
            store_word(self, access, spot, self.unit(access, spot), value)
            return
        if list(spot.plan.lanes) == list(range(n)) and not spot.spread:
            pointer = self.pointer(spot, access)
            align = self.alignment(spot, bits(dtype) // 8 * n)
            if w.mask is None:
                self.b.do("store", vector(dtype, n), value, pointer, align=align)
            elif isinstance(w.mask, tuple) and isinstance(value, str) and self.in_parts(w.mask):
                for first, size in parts(w.mask):
                    piece = part(self.b, value, dtype, n, first, size)
                    self.b.do("store", vector(dtype, size), piece, self.pointer(spot, access, first), align=spot.size)
            else:
                self.b.do("store_masked", vector(dtype, n), value, pointer, self.mask(w.mask), align=align)
            return
        if isinstance(value, str) and not isinstance(w.mask, str) and not self.gpu:
            self.wait(access, spot, value, dtype, w.mask)
            return
        for lane, step in enumerate(spot.plan.lanes):
            if isinstance(w.mask, str):
                bit = self.b.op("extract", "i1", w.mask, lane=lane, **{"from": f"i1x{n}"})
                outer, _ = self.b.begin({})
                self.scatter_lane(access, spot, value, dtype, lane, step)
                body = self.b.end(outer)
                self.b.lines.append(If(bit, body, (), self.b.origin))
            elif w.mask is None or w.mask[lane]:
                self.scatter_lane(access, spot, value, dtype, lane, step)

    def in_parts(self, mask: tuple[bool, ...]) -> bool:
        """Whether plain stores of a few runs are better than a masked one."""
        return not self.gpu and not self.masks and len(parts(mask)) <= MOST

    def scatter_lane(self, access: Load, spot: Spot, value: Operand, dtype: str, lane: int, step: int) -> None:
        """One lane."""
        from_ = vector(dtype, self.v.lanes)
        item = self.b.op("extract", dtype, value, lane=lane, **{"from": from_}) if isinstance(value, str) else value
        align = self.alignment(spot, bits(dtype) // 8)
        self.b.do("store", dtype, item, self.lane_pointer(spot, access, step, lane), align=align)

    def wait(self, access: Load, spot: Spot, value: str, dtype: str, mask: tuple[bool, ...] | None) -> None:
        """A store whose lanes lie apart: its neighbours along another axis may be written with it."""
        at, lanes = spot.plan.static(self.v.static), spot.plan.lanes
        bases = tuple(self.lane_pointer(spot, access, -at, lane) for lane in range(len(lanes)))
        align = self.alignment(spot, bits(dtype) // 8)
        self.scattered.add((bases, lanes, mask), Waiting(access.buffer, at, value, dtype, lanes, bases, mask, align, self.b.origin))
