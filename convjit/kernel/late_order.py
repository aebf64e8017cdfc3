"""Lanes are put in order once, behind the sums, not after every load.

    %3 = shuffle %1, %2 (two cheap halves, out of order)          %3 = shuffle %1, %2
    %4 = shuffle %3, %3 {order (0 1 4 5 2 3 6 7)}          →      %9 = fma %3, %5, %8
    %6 = fma %4, %5, %7     (%5 the same in all lanes)            %6 = shuffle %9, %9 {order (0 1 4 5 2 3 6 7)}

An op on each lane commutes with an order of lanes when all its operands are in that order, or the same in all lanes, or
constants (which are put in the other order here). Loops carry values out of order where all that comes back is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from convjit.kernel.ir import Carried, For, Op, Operand, Stmt, lanes, walk

Order = tuple[int, ...]

ON_EACH_LANE = frozenset((
    "add", "sub", "mul", "div", "neg", "abs", "sqrt", "max", "min", "rint", "and", "or", "xor", "shl", "lshr", "ashr", "select",
    "convert", "fma",
))  # fmt: skip


def late_order(body: tuple[Stmt, ...], fresh: Callable[[], str]) -> tuple[Stmt, ...]:
    """The same with orders of lanes moved behind what computes; `fresh` gives new names."""
    return needed(Late(fresh).body(body), set())


def order_of(op: Op) -> Order | None:
    """The order that an op puts one vector in; None where it does anything else."""
    if op.name != "shuffle" or op.args[0] != op.args[1] or op.attribute("from") != op.type:
        return None
    order = op.attribute("order")
    assert isinstance(order, tuple)
    found = tuple(int(k) for k in order)
    return found if sorted(found) == list(range(lanes(op.type))) else None


def ordered(result: str, value: str, type_: str, order: Order, origin: int) -> Op:
    """The op that puts a vector in order."""
    return Op(result, "shuffle", type_, (value, value), (("order", order), ("from", type_)), origin)


class Late:
    """One walk. `moved`: values that are others in another order; `made`: the op that gave a value; `again`: what was
    written anew for an order, as far as it is visible."""

    def __init__(self, fresh: Callable[[], str]) -> None:
        self.fresh = fresh
        self.made: dict[str, Op] = {}
        self.moved: dict[str, tuple[str, Order]] = {}
        self.again: dict[tuple[str, Order], str] = {}

    def body(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        """The statements of one body."""
        outside, self.again = self.again, dict(self.again)
        found: list[Stmt] = []
        for stmt in body:
            if isinstance(stmt, Op):
                found += self.op(stmt)
            elif isinstance(stmt, For):
                found += self.loop(stmt)
            else:
                found.append(replace(stmt, body=self.body(stmt.body)))
        self.again = outside
        return tuple(found)

    def op(self, op: Op) -> list[Op]:
        """The op, or the same on vectors out of order and the order behind it."""
        self.made[op.result] = op
        order = order_of(op)
        if order:
            self.moved[op.result] = str(op.args[0]), order
            return [op]
        orders = {self.moved[str(a)][1] for a in op.args if a in self.moved}
        if op.name not in ON_EACH_LANE or len(orders) != 1:
            return [op]
        (order,) = orders
        new: list[Op] = []
        args = [self.before(a, order, new) for a in op.args]
        if None in args:
            return [op]
        early = replace(op, result=self.fresh(), args=tuple(a for a in args if a is not None))
        self.moved[op.result] = early.result, order
        return [*new, early, ordered(op.result, early.result, op.type, order, op.origin)]

    def before(self, value: Operand, order: Order, new: list[Op]) -> Operand | None:
        """What is `value` once it is put in that order; None where nothing is."""
        if not isinstance(value, str):
            return value
        if value in self.moved and self.moved[value][1] == order:
            return self.moved[value][0]
        if (value, order) in self.again:
            return self.again[value, order]
        op = self.made.get(value)
        if op is None or op.name == "splat" or lanes(op.type) != len(order):
            return value if op and op.name == "splat" else None
        if op.name == "const":
            values = op.attribute("values")
            assert isinstance(values, tuple)
            swapped = tuple(v for _, v in sorted(zip(order, values, strict=True)))
            changed = replace(op, result=self.fresh(), attributes=(("values", swapped),))
        elif op.name in ON_EACH_LANE:
            args = [self.before(a, order, new) for a in op.args]
            if None in args:
                return None
            changed = replace(op, result=self.fresh(), args=tuple(a for a in args if a is not None))
        else:
            return None
        self.again[value, order] = changed.result
        new.append(changed)
        return changed.result

    def loop(self, loop: For) -> list[Stmt]:
        """The loop, its carried vectors out of order where they come back so."""
        found = {o for s in walk(loop.body) if isinstance(s, Op) and (o := order_of(s))}
        order = found.pop() if len(found) == 1 else None
        starts: dict[str, Operand] = {}
        new: list[Op] = []
        for c in loop.carried:
            start = self.before(c.start, order, new) if order and lanes(c.type) == len(order) else None
            if start is not None:
                starts[c.name] = start
        outside = dict(self.moved)
        while order and starts:
            names = {name: self.fresh() for name in starts}
            self.moved |= {name: (early, order) for name, early in names.items()}
            body = self.body(loop.body)
            ends = {c.name: self.moved.get(str(c.following), ("", ())) for c in loop.carried if c.name in starts}
            if all(end[1] == order for end in ends.values()):
                return [*new, *self.carried(loop, body, order, starts, names)]
            starts = {name: start for name, start in starts.items() if ends[name][1] == order}
            self.moved = dict(outside)  # what a failed try moved does not exist
        return [*new, replace(loop, body=self.body(loop.body))]

    def carried(
        self, loop: For, body: tuple[Stmt, ...], order: Order, starts: dict[str, Operand], names: dict[str, str]
    ) -> list[Stmt]:
        """The loop over vectors out of order, and the orders behind it."""
        kept: list[Carried] = []
        head: list[Op] = []
        behind: list[Op] = []
        for c in loop.carried:
            if c.name not in starts:
                kept.append(c)
                continue
            result = self.fresh()
            kept.append(Carried(names[c.name], c.type, starts[c.name], self.moved[str(c.following)][0], result))
            head.append(ordered(c.name, names[c.name], c.type, order, loop.origin))
            behind.append(ordered(c.result, result, c.type, order, loop.origin))
            self.moved[c.result] = result, order
        return [replace(loop, carried=tuple(kept), body=(*head, *body)), *behind]


def needed(body: tuple[Stmt, ...], used: set[object]) -> tuple[Stmt, ...]:
    """Without values that nothing uses any more; `used` are those wanted behind the body, then those it wants."""
    kept: list[Stmt] = []
    for stmt in reversed(body):
        if isinstance(stmt, Op):
            if stmt.result not in used and stmt.name in (*ON_EACH_LANE, "shuffle", "const"):
                continue
            used.update(stmt.args)
        elif isinstance(stmt, For):
            used.update((stmt.low, stmt.high, *(o for c in stmt.carried for o in (c.start, c.following))))
            stmt = replace(stmt, body=needed(stmt.body, used))
        else:
            used.update((stmt.condition, *(o for m in stmt.merged for o in (m.taken, m.skipped))))
            stmt = replace(stmt, body=needed(stmt.body, used))
        kept.append(stmt)
    return tuple(reversed(kept))
