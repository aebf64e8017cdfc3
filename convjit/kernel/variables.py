"""What the variables of the nest are at this point: numbers (unrolled), values (loops, digits, sizes), lanes."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd

from convjit.kernel.builder import Builder, Scope
from convjit.kernel.ir import Operand
from convjit.nest.affine import Affine, Limit, Range, high_range, low_range
from convjit.nest.ir import Guard
from convjit.nest.layout import Symbols


@dataclass(frozen=True)
class Plan:
    """An affine expression sorted by who knows its variables.

    `running` are the terms with run-time values, in the order in which their scopes were opened.
    """

    const: int
    unrolled: tuple[tuple[str, int], ...]
    running: tuple[tuple[str, int], ...]
    lanes: tuple[int, ...]
    dot: int

    def static(self, values: dict[str, int]) -> int:
        """The part that is known now."""
        total = self.const
        for name, coefficient in self.unrolled:
            total += coefficient * values[name]
        return total


class Variables:
    """The environment. `grain[v]` divides every value of v."""

    def __init__(self, b: Builder) -> None:
        self.b = b
        self.static: dict[str, int] = {}
        self.ranges: dict[str, Range] = {}
        self.grain: dict[str, int] = {}
        self.simd: list[tuple[str, int]] = []
        self.dot: tuple[str, int] | None = None
        self.slots: dict[tuple[Affine, int], Operand] = {}

    @property
    def lanes(self) -> int:
        """Lanes of a vector here."""
        n = 1
        for _, extent in self.simd:
            n *= extent
        return n

    def scope_of(self, name: str) -> tuple[int, Scope, Operand]:
        """Where a running variable got its value."""
        scopes = self.b.scopes
        for depth in range(len(scopes) - 1, -1, -1):
            value = scopes[depth].bindings.get(name)
            if value is not None:
                return depth, scopes[depth], value
        return 0, scopes[0], f"%size.{name}" if name[:1].isupper() else f"%{name}"

    def value_of(self, name: str) -> Operand:
        """A variable's value: a number or an operand."""
        return self.static[name] if name in self.static else self.scope_of(name)[2]

    def known_ranges(self) -> dict[str, Range]:
        """Every variable's range, the unrolled ones' a single number."""
        return {**self.ranges, **{n: (v, v) for n, v in self.static.items()}}

    def plan(self, affine: Affine) -> Plan:
        """Sort the terms."""
        simd = dict(self.simd)
        dot = self.dot[0] if self.dot else ""
        unrolled, running = [], []
        for name, c in affine.terms:
            if name in self.static:
                unrolled.append((name, c))
            elif name not in simd and name != dot:
                running.append((self.scope_of(name)[0], name, c))
        lanes = [0]
        for name, extent in self.simd:
            c = affine.coefficient(name)
            lanes = [l + c * i for l in lanes for i in range(extent)]
        ordered = tuple((n, c) for _, n, c in sorted(running))
        return Plan(affine.const, tuple(unrolled), ordered, tuple(lanes), affine.coefficient(dot))

    def grain_of(self, plan: Plan) -> int:
        """What divides the running part (0: there is none)."""
        return gcd(*(c * self.grain.get(n, 1) for n, c in plan.running)) if plan.running else 0

    def sum(self, affine: Affine) -> Operand:
        """The value of an expression without lanes; one addition per scope, each written where its scope begins."""
        plan = self.plan(affine)
        return self.b.arith("add", self.chain(plan.running), plan.static(self.static))

    def chain(self, terms: tuple[tuple[str, int], ...], symbols: Symbols = ()) -> Operand:
        """The running terms added up, in the order in which the variables were bound."""
        total: Operand = 0
        path: tuple[tuple[str, int], ...] = ()
        for name, c in terms:
            _, scope, value = self.scope_of(name)
            path = (*path, (name, c))
            key = ("sum", path, symbols, value)
            if key not in scope.known:
                lines = scope.preamble
                part = self.b.arith("mul", value, c, lines)
                for s in symbols:
                    part = self.b.arith("mul", part, self.value_of(s), lines)
                whole = self.b.arith("add", total, part, lines)
                if not isinstance(whole, str):
                    return whole
                scope.known[key] = whole
            total = scope.known[key]
        return total

    def limit(self, limit: Limit) -> Operand:
        """scale * ceil(affine / divisor)."""
        low, high = limit.range(self.known_ranges())
        if low == high:
            return low
        value = self.sum(limit.affine)
        if limit.divisor > 1:
            shift = max(0, -(limit.affine.range(self.known_ranges())[0] // limit.divisor))
            up = self.b.arith("add", value, (shift + 1) * limit.divisor - 1)
            value = self.b.arith("sub", self.b.arith("udiv", up, limit.divisor), shift)
        return self.b.arith("mul", value, limit.scale)

    def bound(self, limits: tuple[Limit, ...], low: bool) -> Operand:
        """The max of low limits, the min of high ones."""
        first, last = (low_range if low else high_range)(limits, self.known_ranges())
        if first == last:
            return first
        value: Operand | None = None
        for limit in limits:
            here = self.limit(limit)
            value = here if value is None else self.b.arith("max" if low else "min", value, here)
        assert value is not None
        return value


def summed(v: Variables, guards: tuple[Guard, ...]) -> int:
    """How many of the products that an instruction sums up have factors under these guards: the first so many."""
    if v.dot is None:
        return 1
    name, count = v.dot
    for guard in guards:
        step = guard.affine.coefficient(name)
        plan = v.plan(guard.affine)
        if step and not plan.running and not guard.size.terms:
            at = plan.static(v.static)
            count = min(count, sum(0 <= at + step * k < guard.size.const for k in range(count)))
    return count


@dataclass(frozen=True)
class Where:
    """Where guards hold: `never`; else in the lanes of `mask` (None: all; known lanes; a value), if `condition` (an
    i1, "" for always) holds."""

    never: bool = False
    mask: tuple[bool, ...] | str | None = None
    condition: str = ""


ALWAYS = Where()


def where(v: Variables, guards: tuple[Guard, ...]) -> Where:
    """Test guards as far as they can be known, write code for the rest."""
    if not guards:
        return ALWAYS
    b = v.b
    known: list[bool] | None = None
    computed = condition = ""
    ranges: dict[str, Range] | None = None
    for guard in guards:
        plan = v.plan(guard.affine)
        at = plan.static(v.static)
        if ranges is None:
            ranges = v.ranges
        low, high = Affine(plan.running).range(ranges)
        low, high = at + low + min(plan.lanes), at + high + max(plan.lanes)
        size_low, size_high = guard.size.range(v.known_ranges()) if guard.size.terms else (guard.size.const,) * 2
        if low >= 0 and high < size_low:
            continue
        if high < 0 or low >= size_high:
            return Where(True)
        if not plan.running and not guard.size.terms:
            here = [0 <= at + l < size_low for l in plan.lanes]
            known = here if known is None else [p and q for p, q in zip(known, here, strict=True)]
            if not any(known):
                return Where(True)
            continue
        first = b.arith("add", v.chain(plan.running), at)
        size = v.sum(guard.size)
        if len(set(plan.lanes)) == 1:
            test = b.once("ult", "i1", first, size, type=b.index)
            condition = b.once("and", "i1", condition, test) if condition else test
            continue
        mask_type = f"i1x{len(plan.lanes)}"
        test = b.once("lanes_inside", mask_type, first, size, offsets=plan.lanes)
        computed = b.once("and", mask_type, computed, test) if computed else test
    return Where(False, joined(v, known, computed), condition)


def joined(v: Variables, known: list[bool] | None, computed: str) -> tuple[bool, ...] | str | None:
    """Known lanes and computed ones together."""
    if known is None or all(known):
        return computed or None
    if not computed:
        return tuple(known)
    constant = v.b.once("const", f"i1x{len(known)}", values=tuple(int(k) for k in known))
    return v.b.once("and", f"i1x{len(known)}", computed, constant)
