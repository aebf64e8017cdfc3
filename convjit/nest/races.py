"""Shared memory and barriers: what one statement of a block writes, another reads only after a barrier.

Followed along the spine, the statements that every thread of the block passes together, once for straight lines and once
more for what a loop's next turn meets. A copy that lands later must be waited for before the barrier. How many
groups a `wait` leaves under way is not counted here; the interpreter does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from convjit.errors import InternalError
from convjit.nest.affine import Affine, var
from convjit.nest.ir import NESTED, Buffer, If, Loop, Nest, Par, Stmt, Store, Sync
from convjit.nest.visit import loads, works


@dataclass(frozen=True)
class Access:
    """Of a shared buffer's slot, not yet behind a barrier. `late`: a copy that was not waited for."""

    buffer: str
    slot: Affine | None
    late: bool = False


@dataclass(frozen=True)
class Shared:
    """The shared buffers. Until `pipeline` has put in what waits for them, no copy is `late`."""

    buffers: Mapping[str, Buffer]
    late: bool


@dataclass
class Pending:
    """What a barrier has not ordered yet."""

    writes: list[Access]
    reads: list[Access]

    def shifted(self, loop: Loop) -> Pending:
        """As the loop's next turn sees it."""
        back = {loop.name: var(loop.name) - loop.step}

        def shift(a: Access) -> Access:
            return a if a.slot is None else replace(a, slot=a.slot.substitute(back))

        return Pending(list(map(shift, self.writes)), list(map(shift, self.reads)))

    def joined(self, other: Pending) -> Pending:
        """Either may have happened."""
        return Pending(
            list(dict.fromkeys(self.writes + other.writes)), list(dict.fromkeys(self.reads + other.reads))
        )


def check_races(nest: Nest) -> None:
    """Raises InternalError, naming the statement that comes too early."""
    shared = {b.name: b for b in nest.buffers if b.level == "shared"}
    if shared:
        follow(nest.body, Pending([], []), Shared(shared, commits(nest.body)))


def follow(body: tuple[Stmt, ...], pending: Pending, shared: Shared) -> Pending:
    """What is pending after the body."""
    for stmt in body:
        if isinstance(stmt, Sync):
            pending = after_sync(stmt, pending)
        elif isinstance(stmt, Loop) and waits(stmt):
            once = follow(stmt.body, pending, shared)
            again = follow(stmt.body, once.shifted(stmt), shared)
            pending = pending.joined(again) if may_skip(stmt) else again
        elif isinstance(stmt, If) and waits(stmt):
            pending = pending.joined(follow(stmt.body, pending, shared))
        else:
            pending = meet(stmt, pending, shared)
    return pending


def commits(body: tuple[Stmt, ...]) -> bool:
    """Whether asynchronous copies are waited for somewhere: before `pipeline` has run they are plain copies."""
    return any(
        s.op == "commit" if isinstance(s, Sync) else isinstance(s, NESTED) and commits(s.body) for s in body
    )


def waits(stmt: Loop | If | Par) -> bool:
    """Whether a barrier or a wait stands inside."""
    return any(isinstance(s, Sync) or (isinstance(s, NESTED) and waits(s)) for s in stmt.body)


def may_skip(loop: Loop) -> bool:
    """Whether its bounds could leave nothing to do."""
    limits = [*loop.low, *loop.high]
    if any(l.affine.terms for l in limits):
        return True
    return max(l.value({}) for l in loop.low) >= min(l.value({}) for l in loop.high)


def after_sync(sync: Sync, pending: Pending) -> Pending:
    """A wait makes copies land, a barrier makes what landed visible."""
    if sync.op == "wait":
        return Pending([replace(w, late=False) for w in pending.writes], pending.reads)
    if sync.op == "barrier":
        return Pending([w for w in pending.writes if w.late], [])
    return pending


def meet(stmt: Stmt, pending: Pending, shared: Shared) -> Pending:
    """The statements inside, which nothing orders, against what is pending and against each other."""
    reads, writes = [], []
    for work, _ in works((stmt,)):
        reads += [(Access(l.buffer, l.slot), work) for l in loads(work) if l.buffer in shared.buffers]
        if work.target.buffer in shared.buffers:
            late = shared.late and isinstance(work, Store) and work.by == "cp.async"
            writes.append((Access(work.target.buffer, work.target.slot, late), work))
    before = pending.writes + [a for a, _ in writes]
    for read, work in reads:
        if any(same(read, w, shared) for w in before):
            fail(work, f"reads {read.buffer}, and no barrier stands between that and what wrote it")
    for write, work in writes:
        if any(same(write, r, shared) for r in pending.reads):
            fail(work, f"writes {write.buffer}, and no barrier stands between that and what still reads it")
    return pending.joined(Pending([a for a, _ in writes], [a for a, _ in reads]))


def same(a: Access, b: Access, shared: Shared) -> bool:
    """Whether they may be one slot of one buffer."""
    if a.buffer != b.buffer:
        return False
    if a.slot is None or b.slot is None:
        return True
    apart = a.slot - b.slot
    return bool(apart.terms) or apart.const % shared.buffers[a.buffer].ring == 0


def fail(stmt: Stmt, what: str) -> NoReturn:
    """Name the statement."""
    raise InternalError(f"{stmt}\n  {what}")
