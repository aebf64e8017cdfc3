"""Guards inside loops of fixed lengths: at which points they hold depends on what their variables outside add up to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from convjit.nest.affine import Affine
from convjit.nest.ir import Guard, MulAdd, Store
from convjit.nest.points import Chain, Env, Ints, Leaf, evaluate, length, loop_range, spread
from convjit.nest.visit import loads

NEVER, ALWAYS = np.iinfo(np.int64).min, np.iinfo(np.int64).max
"""Verdicts that do not depend on the point."""


@dataclass(frozen=True)
class Decision:
    """A guard inside loops of fixed lengths, by what its variables outside add up to: below `never` or from `beyond` on
    it holds nowhere, from `always` to `until` everywhere."""

    outside: Affine
    never: int
    always: int
    until: int
    beyond: int

    def verdicts(self, env: Env) -> Ints:
        """For every thread: when it holds; where that depends on the point, the value outside."""
        value = spread(evaluate(self.outside, env), length(env))
        open_ = np.where((value >= self.never) & (value < self.beyond), value, NEVER)
        return np.where((value >= self.always) & (value <= self.until), ALWAYS, open_)


def decisions(chain: Chain) -> tuple[Decision, ...] | None:
    """The guards of a chain whose loops have fixed lengths; None where something else decides what happens."""
    bounds = [limit.affine for loop in chain.loops for limit in loop.low + loop.high]
    guards = {g for g in guards_of(chain.leaf)}
    if chain.lets or any(a.terms for a in bounds) or any(g.size.terms for g in guards):
        return None
    ranges = {}
    for loop in chain.loops:
        low, values = loop_range(loop, {})
        assert isinstance(low, int) and isinstance(values, int)
        ranges[loop.name] = low, low + (values - 1) * loop.step
    found = []
    for g in sorted(guards, key=str):
        outside = g.affine.only(g.affine.names() - ranges.keys())
        low, high = (g.affine - outside).range(ranges)
        found.append(Decision(outside, -high, -low, g.size.const - 1 - high, g.size.const - low))
    return tuple(found)


def guards_of(stmt: Leaf) -> Iterator[Guard]:
    """Of a statement and of its loads."""
    if isinstance(stmt, (Store, MulAdd)):
        yield from (*stmt.when, *(g for load in loads(stmt) for g in load.inside))
