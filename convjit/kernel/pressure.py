"""How many registers a kernel needs at least: the most values that live at one point."""

from __future__ import annotations

from collections.abc import Iterable

from convjit.kernel.ir import For, If, Kernel, Op, Stmt, Type, element, lanes, walk
from convjit.kernel.signature import result_type
from convjit.kernel.types import FLOATS, bits


def pressure(kernel: Kernel) -> int:
    """The most values that live at any point.

    On a CPU vectors and floats are counted (they share the vector registers), masks, integers, pointers and constants
    are not. On a GPU every value is counted in registers of 32 bits. What a loop uses from outside lives throughout
    the loop, and so do the values it carries.
    """
    weights = {
        name: weight for stmt in walk(kernel.body) for name, weight in _weights(stmt, bool(kernel.launch))
    }
    return _Liveness(weights).body(kernel.body, set())


def _weights(stmt: Stmt, gpu: bool) -> list[tuple[str, int]]:
    if isinstance(stmt, Op):
        type = result_type(stmt)
        return [(stmt.result, _weight(type, gpu))] if type and stmt.name != "const" else []
    if isinstance(stmt, If):
        return [(m.result, _weight(m.type, gpu)) for m in stmt.merged]
    named = [(name, _weight(c.type, gpu)) for c in stmt.carried for name in (c.name, c.result)]
    return [*named, (stmt.counter, _weight(stmt.type, gpu))]


def _weight(type: Type, gpu: bool) -> int:
    if gpu:
        return -(-bits(type) * lanes(type) // 32)
    return 1 if element(type) in FLOATS or (lanes(type) > 1 and element(type) != "i1") else 0


class _Liveness:
    """One walk backwards over each body; `live` holds what lives after the statement, then before it."""

    def __init__(self, weights: dict[str, int]) -> None:
        self.weights = weights

    def body(self, body: tuple[Stmt, ...], live: set[str]) -> int:
        """The most at any point of the body; `live` becomes what lives at its start."""
        now = most = sum(self.weights[name] for name in live)
        for stmt in reversed(body):
            if not isinstance(stmt, Op):
                most = max(most, self.loop(stmt, live) if isinstance(stmt, For) else self.branch(stmt, live))
                now = sum(self.weights[name] for name in live)
                continue
            if stmt.result in live:
                live.remove(stmt.result)
                now -= self.weights[stmt.result]
            for operand in stmt.args:
                if isinstance(operand, str) and operand in self.weights and operand not in live:
                    live.add(operand)
                    now += self.weights[operand]
            most = max(most, now)
        return most

    def loop(self, loop: For, live: set[str]) -> int:
        through = (live - {c.result for c in loop.carried}) | self._free(loop)
        inside = through | self._named(c.following for c in loop.carried)
        most = self.body(loop.body, inside)
        live.clear()
        live |= inside - {c.name for c in loop.carried} - {loop.counter}
        live |= through | self._named([loop.low, loop.high, *(c.start for c in loop.carried)])
        return most

    def branch(self, branch: If, live: set[str]) -> int:
        skipped = self._named(m.skipped for m in branch.merged)
        through = live - {m.result for m in branch.merged}
        inside = through | skipped | self._named(m.taken for m in branch.merged)
        most = self.body(branch.body, inside)
        live.clear()
        live |= inside | through | skipped | self._named([branch.condition])
        return most

    def _free(self, loop: For) -> set[str]:
        """What the loop uses and does not make."""
        used: set[object] = {c.following for c in loop.carried}
        made = {loop.counter, *(c.name for c in loop.carried)}
        for stmt in walk(loop.body):
            if isinstance(stmt, Op):
                used.update(stmt.args)
                made.add(stmt.result)
            elif isinstance(stmt, If):
                used.update((stmt.condition, *(o for m in stmt.merged for o in (m.taken, m.skipped))))
                made.update(m.result for m in stmt.merged)
            else:
                used.update((stmt.low, stmt.high, *(o for c in stmt.carried for o in (c.start, c.following))))
                made.update((stmt.counter, *(n for c in stmt.carried for n in (c.name, c.result))))
        return self._named(used - made)

    def _named(self, operands: Iterable[object]) -> set[str]:
        return {o for o in operands if isinstance(o, str) and o in self.weights}
