"""What the interpreter would count in a run of a nest, without running it: equal, number for number.

A loop that no guard and no bound inside depends on is counted once, times its length; the others are walked. What was
counted for equal values of the variables that matter is remembered, and threads for which none of them differs count
alike. A number that is read counts as the largest that it can be: a list of weights is as long as if none of them were 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from convjit.nest.affine import Affine, var
from convjit.nest.counts import ENTRY, Counts, Ledger, count_read, group_start
from convjit.nest.ir import NESTED, Guard, If, Let, Loop, MulAdd, Nest, Par, Read, Stmt, Store, Sync
from convjit.nest.points import (
    Chain,
    Env,
    Ints,
    Leaf,
    all_sizes,
    chain_of,
    digits,
    evaluate,
    expand,
    holds,
    length,
    loop_range,
    select,
    spread,
)
from convjit.nest.visit import loads


def predict(nest: Nest, sizes: Mapping[str, int] | None = None) -> Counts:
    """What the interpreter counts in a run of the whole nest."""
    known = all_sizes(nest, sizes or {})
    env: Env = dict(known)
    for worker in nest.workers:
        env |= {f"{worker.name}.begin": 0, f"{worker.name}.end": worker.extent.value(known)}
    walk = Predictor(nest)
    if nest.grid is None:
        return walk.body(nest.body, env)
    total = Counts()
    for some, times in walk.blocks(nest.body, [c.value(known) for c in nest.grid.counts], known):
        total.add(walk.body(nest.body, {**env, **some}), times)
    return total


THREADS = 1 << 16
"""Threads that are looked at together, at most."""


class Predictor:
    """Counts of statements, remembered by the values of the variables that matter to them."""

    def __init__(self, nest: Nest) -> None:
        self.team = nest.grid.threads if nest.grid else 1
        self.buffers = {b.name: b for b in nest.buffers}
        self.matter: dict[int, frozenset[str]] = {}
        self.chains: dict[int, Chain | None] = {}
        self.ledgers: dict[int, Ledger] = {}
        self.shortcuts: dict[int, tuple[Decision, ...] | None] = {}
        self.alike: dict[tuple[int, bytes], Counts] = {}
        self.known: dict[tuple[int, tuple[int | bytes, ...]], Counts] = {}

    def body(self, body: tuple[Stmt, ...], env: Env) -> Counts:
        """All statements, one after the other."""
        total = Counts()
        for stmt in body:
            if isinstance(stmt, Let):
                env = digits(stmt, env)
            elif isinstance(stmt, Read):
                env = {**env, stmt.name: stmt.size - 1}
                total.add(count_read(stmt, self.buffers))
            elif not isinstance(stmt, Sync):
                total.add(*self.statement(stmt, env))
        return total

    def statement(self, stmt: Stmt, env: Env) -> tuple[Counts, int]:
        """Looked up where an equal one was counted; and for how many threads."""
        matter = self.mentioned((stmt,))
        threads = length(env)
        if not threads:
            return Counts(), 0
        env = {n: int(v[0]) if isinstance(v, np.ndarray) and n not in matter else v for n, v in env.items()}
        values = (env[n] for n in sorted(matter & env.keys()))
        key = id(stmt), tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in values)
        if key not in self.known:
            self.known[key] = self.fresh(stmt, env)
        return self.known[key], threads // length(env)

    def fresh(self, stmt: Stmt, env: Env) -> Counts:
        """Count it."""
        if id(stmt) not in self.chains:
            self.chains[id(stmt)] = chain_of(stmt)
        chain = self.chains[id(stmt)]
        if chain is not None and group_start(chain.loops) == 0:
            return self.chain(chain, env)
        if isinstance(stmt, Loop):
            return self.loop(stmt, env)
        if isinstance(stmt, If):
            runs = holds((stmt.guard,), env, length(env))
            return self.body(stmt.body, select(env, runs)) if runs.any() else Counts()
        assert isinstance(stmt, Par)
        thread = np.tile(np.arange(self.team), length(env))
        units: Env = {"thread": thread, "warp": thread // 32, "lane": thread % 32, "group": thread // 128}
        env = {n: v.repeat(self.team) if isinstance(v, np.ndarray) else v for n, v in env.items()} | units
        env["global"] = env["block"] * self.team + thread
        for let in stmt.binds:
            env = digits(let, env)
        return self.body(stmt.body, env)

    def chain(self, chain: Chain, env: Env) -> Counts:
        """A statement in loops that are written out."""
        if id(chain) not in self.shortcuts:
            self.shortcuts[id(chain)] = decisions(chain)
        decided = self.shortcuts[id(chain)]
        if decided is None:
            return self.points(chain, env)
        total = Counts()
        verdicts = np.stack([d.verdicts(env) for d in decided]) if decided else np.zeros((1, length(env)), np.int64)
        different, first, threads = np.unique(verdicts, axis=1, return_index=True, return_counts=True)
        for at, thread in enumerate(first):
            key = id(chain), different[:, at].tobytes()
            if key not in self.alike:
                self.alike[key] = self.points(chain, one(env, int(thread)))
            total.add(self.alike[key], int(threads[at]))
        return total

    def points(self, chain: Chain, env: Env) -> Counts:
        """Point by point."""
        env = {**env, ENTRY: np.arange(length(env))}
        for loop in chain.loops:
            env = expand(loop, env)
        counts = Counts()
        if length(env):
            for let in chain.lets:
                env = digits(let, env)
            if id(chain) not in self.ledgers:
                self.ledgers[id(chain)] = Ledger(chain.leaf, chain.loops, chain.lets, self.buffers)
            self.ledgers[id(chain)].count(env, counts)
        return counts

    def loop(self, loop: Loop, env: Env) -> Counts:
        """Once, times its length, or value by value."""
        low, values = loop_range(loop, env)
        total = Counts()
        if isinstance(values, int) and loop.name not in self.mentioned(loop.body):
            if values:
                total.add(self.body(loop.body, {**env, loop.name: low}), values)
            return total
        for turn in range(int(np.max(values))):
            here: Env = {**env, loop.name: low + turn * loop.step}
            inside = select(here, values > turn) if isinstance(values, np.ndarray) else here
            total.add(self.body(loop.body, inside))
        return total

    def blocks(self, body: tuple[Stmt, ...], shape: list[int], known: Mapping[str, int]) -> Iterator[tuple[Env, int]]:
        """The blocks, some at a time; where they are told apart by digits alone, those that differ in a digit that matters,
        and how many blocks each stands for."""
        numbers, times = np.arange(prod(shape)), 1
        first = body[0] if body else None
        if isinstance(first, Let) and first.of == var("block") and "global" not in self.mentioned(body[1:]):
            matter = self.mentioned(body[1:])
            counts = [c.value(known) for c in first.counts]
            if prod(counts) == len(numbers):
                grid = np.arange(len(numbers)).reshape(counts)
                numbers = grid[tuple(slice(None) if n in matter else slice(1) for n in first.names)].ravel()
                times = grid.size // len(numbers)
        some = max(1, THREADS // self.team)
        for at in range(0, len(numbers), some):
            yield {"block": numbers[at : at + some]}, times

    def mentioned(self, body: tuple[Stmt, ...]) -> frozenset[str]:
        """The variables that guards, bounds and digits in it depend on."""
        found: frozenset[str] = frozenset()
        for stmt in body:
            if id(stmt) not in self.matter:
                self.matter[id(stmt)] = frozenset(n for a in deciding(stmt) for n in a.names())
                if isinstance(stmt, NESTED):
                    self.matter[id(stmt)] |= self.mentioned(stmt.body)
            found |= self.matter[id(stmt)]
        return found


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


NEVER, ALWAYS = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def one(env: Env, thread: int) -> Env:
    """What a single thread sees."""
    return {n: int(v[thread]) if isinstance(v, np.ndarray) else v for n, v in env.items()}


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


def deciding(stmt: Stmt) -> Iterator[Affine]:
    """What decides whether, and how often, something happens, and which digits there are."""
    if isinstance(stmt, Loop):
        yield from (limit.affine for limit in stmt.low + stmt.high)
    elif isinstance(stmt, (Store, MulAdd)):
        yield from (a for guard in guards_of(stmt) for a in (guard.affine, guard.size))
    elif isinstance(stmt, If):
        yield from (stmt.guard.affine, stmt.guard.size)
    elif isinstance(stmt, (Let, Par)):
        for let in (stmt,) if isinstance(stmt, Let) else stmt.binds:
            yield from (let.of, *let.counts)
            if "global" in let.of.names():
                yield var("block")
