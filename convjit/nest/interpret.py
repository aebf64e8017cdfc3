"""What a nest means: run in order, every access checked. The definition that passes and kernels are compared with.

Loops that units run are plain loops until `bind_units`; after it statements run for all threads of a block at once, and
blocks in a random order. Asynchronous copies arrive as late as the waits allow. What was never written, or is still
under way, is poison; poison that reaches memory is an error, and so are two threads at one place without a barrier.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import cast

import numpy as np

from convjit import dtypes
from convjit.nest.counts import ENTRY, Counts, Ledger, count_read, group_start, taps
from convjit.nest.ir import (
    Apply,
    Expr,
    If,
    Index,
    Let,
    Loop,
    MulAdd,
    Nest,
    Number,
    Par,
    Prefetch,
    Read,
    Stmt,
    Store,
    Sync,
)
from convjit.nest.meaning import apply
from convjit.nest.memory import Memory
from convjit.nest.points import (
    Chain,
    Env,
    Ints,
    Leaf,
    Values,
    all_sizes,
    chain_of,
    digits,
    evaluate,
    expand,
    grid,
    holds,
    length,
    loop_range,
    select,
    spread,
)
from convjit.nest.storage import Tile
from convjit.nest.visit import loads

MANY = 1 << 18
"""Points that are run at once."""


def interpret(
    nest: Nest,
    arrays: Mapping[str, Values],
    sizes: Mapping[str, int] | None = None,
    ranges: Mapping[str, tuple[int, int]] | None = None,
    seed: int = 0,
    counting: bool = True,
) -> Counts:
    """Run the nest; what it writes is written in place, and the loads, stores and operations are counted (`counting`).

    `arrays` holds the elements of every buffer in memory, in the order of its layout, of any shape. `sizes` are the
    open sizes that do not follow from others, `ranges` the part (begin, end) of a thread axis that this worker does.
    Raises InternalError, naming the statement, at an access outside a buffer, at poison that is stored to memory, and
    at a race.
    """
    known = all_sizes(nest, sizes or {})
    run = Interpreter(Memory(nest, arrays, known), counting)
    start: Env = dict(known)
    for worker in nest.workers:
        begin, end = (ranges or {}).get(worker.name, (0, worker.extent.value(known)))
        start |= {f"{worker.name}.begin": begin, f"{worker.name}.end": end}
    if nest.grid is None:
        run.memory.new_block()
        run.body(nest.body, start)
        return run.counts
    blocks = prod(c.value(known) for c in nest.grid.counts)
    for block in np.random.default_rng(seed).permutation(blocks):
        run.memory.new_block()
        run.body(nest.body, {**start, "block": int(block)})
    return run.counts


class Interpreter:
    """One run."""

    def __init__(self, memory: Memory, counting: bool) -> None:
        self.memory, self.counting = memory, counting
        self.counts = Counts()
        self.chains: dict[int, Chain | None] = {}
        self.ledgers: dict[int, Ledger] = {}

    def body(self, body: tuple[Stmt, ...], env: Env) -> None:
        """In order."""
        for stmt in body:
            if isinstance(stmt, Let):
                env = digits(stmt, env)
            elif isinstance(stmt, Read):
                env = {**env, stmt.name: self.read(stmt, env)}
            elif isinstance(stmt, Par):
                self.par(stmt, env)
            elif isinstance(stmt, If):
                if holds((stmt.guard,), env, 1).all():
                    self.body(stmt.body, env)
            elif isinstance(stmt, Sync):
                self.memory.sync(stmt)
            else:
                self.loop_or_leaf(stmt, env)

    def read(self, read: Read, env: Env) -> int:
        """The number that stands there; each entry of the body reads it once."""
        if self.counting:
            self.counts.add(count_read(read, self.memory.buffers))
        tile = self.memory.get(read.load, read, env)
        value = int(tile.values[0])
        if tile.poison[0] or not 0 <= value < read.size:
            self.memory.fail(read, f"{value} is not a number below {read.size} that was written", env, 0)
        return value

    def loop_or_leaf(self, stmt: Loop | Leaf, env: Env) -> None:
        """A loop around a single statement at once, another value by value."""
        if id(stmt) not in self.chains:
            self.chains[id(stmt)] = chain_of(stmt)
        chain = self.chains[id(stmt)]
        if chain is not None:
            self.chain(chain, env)
        elif isinstance(stmt, Loop):
            self.loop(stmt, env)

    def par(self, par: Par, env: Env) -> None:
        """All threads of the block."""
        thread = np.arange(self.memory.team)
        units: Env = {"thread": thread, "warp": thread // 32, "lane": thread % 32, "group": thread // 128}
        env = {**env, **units, "global": env["block"] * self.memory.team + thread}
        for let in par.binds:
            env = digits(let, env)
        self.body(par.body, env)

    def loop(self, loop: Loop, env: Env) -> None:
        """One value after the other; threads that have none left wait."""
        low, count = loop_range(loop, env)
        for turn in range(int(np.max(count)) if np.size(count) else 0):
            here: Env = {**env, loop.name: low + turn * loop.step}
            self.body(loop.body, select(here, count > turn) if isinstance(count, np.ndarray) else here)

    def chain(self, chain: Chain, env: Env) -> None:
        """Loops around one statement, all their points at once."""
        group = group_start(chain.loops)
        if chain.box and not any(isinstance(v, np.ndarray) for v in env.values()):
            ranges = tuple((*cast(tuple[int, int], loop_range(l, env)), l.step) for l in chain.loops)
            if prod(count for _, count, _ in ranges) <= MANY:
                names = [*(l.name for l in chain.loops), ENTRY]
                self.leaf(chain, group, {**env, **dict(zip(names, grid(ranges, group), strict=True))})
                return
        for part in expansions(chain.loops, group, env):
            self.leaf(chain, group, part)

    def leaf(self, chain: Chain, group: int, env: Env) -> None:
        """Count the statement, and do it."""
        if not length(env):
            return
        for let in chain.lets:
            env = digits(let, env)
        if self.counting:
            if id(chain) not in self.ledgers:
                self.ledgers[id(chain)] = Ledger(chain.leaf, chain.loops[group:], chain.lets, self.memory.buffers)
            self.ledgers[id(chain)].count(env, self.counts)
        self.execute(chain.leaf, env)

    def execute(self, stmt: Leaf, env: Env) -> None:
        """One statement at all points, as if one after the other."""
        if isinstance(stmt, Prefetch):
            return
        guards = stmt.when + taps(stmt)
        env = select(env, holds(guards, env, length(env))) if guards else env
        if not length(env):
            return
        places = self.memory.find(stmt.target, stmt, env)
        if length(env) > 1 and depends(stmt, places):
            for point in range(length(env)):
                self.execute(stmt, select(env, np.array([point])))
            return
        tile = self.product(stmt, env) if isinstance(stmt, MulAdd) else self.value(stmt.value, stmt, env)
        self.memory.put(stmt, places, tile, env)

    def product(self, stmt: MulAdd, env: Env) -> Tile:
        """In the type of the sum."""
        a, b = self.value(stmt.a, stmt, env), self.value(stmt.b, stmt, env)
        dtype = self.memory.storage[stmt.target.buffer].values.dtype
        with np.errstate(all="ignore"):
            return Tile(a.values.astype(dtype) * b.values.astype(dtype), a.poison | b.poison)

    def value(self, e: Expr, stmt: Leaf, env: Env) -> Tile:
        """Of an expression at every point."""
        points = length(env)
        if isinstance(e, Number):
            return Tile(np.full(points, e.value, dtypes.get(e.dtype).numpy), np.zeros(points, np.bool_))
        if isinstance(e, Index):
            at = spread(evaluate(e.affine, env), points)
            return Tile(at.astype(dtypes.get(e.dtype).numpy), np.zeros(points, np.bool_))
        if isinstance(e, Apply):
            args = [self.value(a, stmt, env) for a in e.args]
            with np.errstate(all="ignore"):
                made = apply(e.op, e.dtype, [a.values for a in args])
            return Tile(made, np.logical_or.reduce([a.poison for a in args]))
        if not e.inside:
            return self.memory.get(e, stmt, env)
        inside = holds(e.inside, env, points)
        dtype = self.memory.storage[e.buffer].values.dtype
        tile = Tile(np.full(points, e.fill, dtype), np.zeros(points, np.bool_))
        if inside.any():
            read = self.memory.get(e, stmt, select(env, inside))
            tile.values[inside], tile.poison[inside] = read.values, read.poison
        return tile


def depends(stmt: Store | MulAdd, places: Ints) -> bool:
    """Whether a point may read what an earlier point wrote."""
    own = [l for l in loads(stmt) if l.buffer == stmt.target.buffer]
    if not own:
        return False
    same = all((l.index, l.slot) == (stmt.target.index, stmt.target.slot) for l in own)
    return not same or len(np.unique(places)) < len(places)


def expansions(loops: tuple[Loop, ...], group: int, env: Env) -> Iterator[Env]:
    """The points of a chain of loops in order, about MANY at a time; runs of written out loops are not torn apart."""
    for place, loop in enumerate(loops):
        if place == group:
            env = {**env, ENTRY: np.arange(length(env))}
        if place < group and length(env) * int(np.max(loop_range(loop, env)[1], initial=0)) > MANY:
            for part, done in pieces(loop, env):
                yield from expansions(loops[place + done :], group - place - done, part)
            return
        env = expand(loop, env)
    yield env if group < len(loops) else {**env, ENTRY: np.arange(length(env))}


def pieces(loop: Loop, env: Env) -> Iterator[tuple[Env, int]]:
    """Parts of the points, or where there is only one, the loop's values (then one loop is done)."""
    if length(env) > 1:
        for part in np.array_split(np.arange(length(env)), 2):
            yield select(env, part), 0
        return
    low, count = loop_range(loop, env)
    for turn in range(int(np.max(count))):
        yield {**env, loop.name: np.atleast_1d(low + turn * loop.step)}, 1
