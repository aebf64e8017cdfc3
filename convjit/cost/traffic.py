"""Accesses per tensor and level of memory, predicted from the nest: exactly what the interpreter would count.

A loop that no guard and no bound inside depends on is counted once, times its length; the others are walked. A number
that is read counts as the largest that it can be: a list of weights is as long as if none of them were 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from convjit import dtypes
from convjit.nest.affine import Affine, var
from convjit.nest.counts import ENTRY, Counts, count, count_read, group_start
from convjit.nest.ir import NESTED, If, Let, Loop, MulAdd, Nest, Par, Read, Stmt, Store, Sync
from convjit.nest.points import (
    Chain,
    Env,
    all_sizes,
    chain_of,
    digits,
    expand,
    holds,
    length,
    loop_range,
    select,
)
from convjit.nest.visit import loads


@dataclass(frozen=True)
class Traffic:
    """Of one buffer: accesses (all lanes of a vector are one) and elements (a broadcast is one).

    `tensor` is the tensor whose elements it holds, `level` the memory that it lies in; `bits` of an element.
    """

    buffer: str
    tensor: str
    level: str
    bits: int
    loads: int
    stores: int
    elements_loaded: int
    elements_stored: int

    @property
    def bytes(self) -> int:
        """Read and written."""
        return (self.elements_loaded + self.elements_stored) * self.bits // 8


def traffic(nest: Nest, sizes: Mapping[str, int] | None = None) -> tuple[Traffic, ...]:
    """Of every buffer that is no register, in the nest's order; `sizes` are the open sizes."""
    counts = predict(nest, sizes)
    rows = []
    for b in nest.buffers:
        load, store = (b.name, "load"), (b.name, "store")
        accesses = counts.accesses[load], counts.accesses[store]
        elements = counts.elements[load], counts.elements[store]
        if b.level != "registers" and any(elements):
            bits = dtypes.bits(b.dtype)
            rows.append(Traffic(b.name, b.name.split(".")[0], b.level, bits, *accesses, *elements))
    return tuple(rows)


def predict(nest: Nest, sizes: Mapping[str, int] | None = None) -> Counts:
    """What the interpreter counts in a run of the whole nest."""
    known = all_sizes(nest, sizes or {})
    env: Env = dict(known)
    for worker in nest.workers:
        env |= {f"{worker.name}.begin": 0, f"{worker.name}.end": worker.extent.value(known)}
    walk = Predictor(nest)
    if nest.grid is None:
        return walk.body(nest.body, env)
    blocks = prod(c.value(known) for c in nest.grid.counts)
    first = nest.body[0] if nest.body else None
    if isinstance(first, Let) and first.of == var("block") and "global" not in walk.mentioned(nest.body[1:]):
        shape = [c.value(known) for c in first.counts]
        if prod(shape) == blocks:
            return walk.over_digits(first, shape, nest.body[1:], {**env, "block": 0})
    total = Counts()
    for block in range(blocks):
        total.add(walk.body(nest.body, {**env, "block": block}))
    return total


class Predictor:
    """Counts of statements, remembered by the values of the variables that matter to them."""

    def __init__(self, nest: Nest) -> None:
        self.team = nest.grid.threads if nest.grid else 1
        self.names = frozenset(b.name for b in nest.buffers if b.level != "registers")
        self.matter: dict[int, frozenset[str]] = {}
        self.chains: dict[int, Chain | None] = {}
        self.known: dict[tuple[int, tuple[int, ...]], Counts] = {}

    def body(self, body: tuple[Stmt, ...], env: Env) -> Counts:
        """All statements, one after the other."""
        total = Counts()
        for stmt in body:
            if isinstance(stmt, Let):
                env = digits(stmt, env)
            elif isinstance(stmt, Read):
                env = {**env, stmt.name: stmt.size - 1}
                total.add(count_read(stmt, self.names))
            elif not isinstance(stmt, Sync):
                total.add(self.statement(stmt, env))
        return total

    def statement(self, stmt: Stmt, env: Env) -> Counts:
        """Looked up where an equal one was counted."""
        values = [env[n] for n in sorted(self.mentioned((stmt,)) & env.keys())]
        if any(isinstance(v, np.ndarray) for v in env.values()):
            return self.fresh(stmt, env)
        key = id(stmt), tuple(v for v in values if isinstance(v, int))
        if key not in self.known:
            self.known[key] = self.fresh(stmt, env)
        return self.known[key]

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
            return self.body(stmt.body, env) if holds((stmt.guard,), env, 1).all() else Counts()
        assert isinstance(stmt, Par)
        thread = np.arange(self.team)
        units: Env = {"thread": thread, "warp": thread // 32, "lane": thread % 32, "group": thread // 128}
        env = {**env, **units, "global": env["block"] * self.team + thread}
        for let in stmt.binds:
            env = digits(let, env)
        return self.body(stmt.body, env)

    def chain(self, chain: Chain, env: Env) -> Counts:
        """A statement in loops that are written out."""
        env = {**env, ENTRY: np.arange(length(env))}
        for loop in chain.loops:
            env = expand(loop, env)
        if not length(env):
            return Counts()
        for let in chain.lets:
            env = digits(let, env)
        return count(chain.leaf, chain.loops, chain.lets, env, self.names)

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

    def over_digits(self, let: Let, shape: list[int], body: tuple[Stmt, ...], env: Env) -> Counts:
        """All blocks, whose numbers have these digits; those that do not matter are counted once."""
        mentioned = self.mentioned(body)
        walked = [n for n in let.names if n in mentioned]
        turns = dict(zip(let.names, shape, strict=True))
        steps = dict(zip(let.names, let.steps, strict=True))
        once = prod(n for name, n in turns.items() if name not in walked)
        total = Counts()
        for point in np.ndindex(*(turns[n] for n in walked)):
            at: Env = {n: i * steps[n] for n, i in zip(walked, point, strict=True)}
            total.add(self.body(body, {**env, **dict.fromkeys(let.names, 0), **at}), once)
        return total

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


def deciding(stmt: Stmt) -> Iterator[Affine]:
    """What decides whether, and how often, something happens, and which digits there are."""
    if isinstance(stmt, Loop):
        yield from (limit.affine for limit in stmt.low + stmt.high)
    elif isinstance(stmt, (Store, MulAdd)):
        for guard in (*stmt.when, *(g for load in loads(stmt) for g in load.inside)):
            yield from (guard.affine, guard.size)
    elif isinstance(stmt, If):
        yield from (stmt.guard.affine, stmt.guard.size)
    elif isinstance(stmt, (Let, Par)):
        for let in (stmt,) if isinstance(stmt, Let) else stmt.binds:
            yield from (let.of, *let.counts)
            if "global" in let.of.names():
                yield var("block")
