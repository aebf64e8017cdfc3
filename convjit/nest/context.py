"""What the parts of `from_schedule` share while one phase is built."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from convjit.nest.affine import Affine, Range, number, var
from convjit.nest.domain import Domain
from convjit.nest.ir import UNITS, Buffer, Guard, Let, Load, Loop, Stmt
from convjit.nest.split import Plan, Split
from convjit.schedule.schedule import Phase, Stage

THREAD_UNITS = tuple(u for u in UNITS if u != "block")
"""Wherever they stand, the threads of a block lie inside its staged tiles."""


@dataclass
class Context:
    """`now` says where each tensor is read at this point; `buffers` grows with every stage. `sums` is where sums lie that
    are visited again: in the output, or in memory of their own where its type does not hold them. `by_list` puts a list's loop around a body."""

    domain: Domain
    phase: Phase
    parts: Split
    gpu: bool
    lanes: int
    fused: tuple[str, ...]
    now: dict[str, Load]
    sums: str
    buffers: list[Buffer] = field(default_factory=list)
    by_list: Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]] | None = None

    def buffer(self, name: str) -> Buffer:
        """The buffer of that name."""
        return next(b for b in self.buffers if b.name == name)

    def uses(self, tensor: str, axis: str) -> bool:
        """Whether the tensor's index moves with the axis."""
        if axis not in dict(self.domain.axes):  # the fused one, even where all that it is made of has size 1
            return tensor != self.domain.w
        return any(a.coefficient(axis) for a in self.domain.original[tensor].index)

    def inner(self, place: int) -> list[Plan]:
        """The loops to the right of an item, and all threads of a block."""
        every = enumerate(self.parts.items)
        return [p for i, p in every if isinstance(p, Plan) and (i > place or p.kind in THREAD_UNITS)]

    def right(self, place: int) -> list[Plan]:
        """The loops to the right of an item."""
        return [p for p in self.parts.items[place + 1 :] if isinstance(p, Plan)]

    def outer(self, place: int) -> list[Plan]:
        """The loops to the left of an item."""
        return [p for p in self.parts.items[:place] if isinstance(p, Plan)]

    def reductions_outside(self, place: int) -> bool:
        """Whether a loop over the sum stands to the left: the output is then visited again and again."""
        return any(p.axis in self.domain.reductions for p in self.outer(place))

    def digits(self, load: Load, guards: Iterable[Guard] = ()) -> tuple[Let, ...]:
        """The digits of the fused axis, where an access needs them."""
        if not self.fused:
            return ()
        used = set().union(*(i.names() for i in load.index), *(g.affine.names() for g in guards))
        if not used & set(self.fused):
            return ()
        counts = tuple(self.domain.size(a) for a in self.fused)
        return (Let(self.fused, counts, (1,) * len(counts), self.parts.meaning[self.phase.fuses[0].name]),)


def nest_loops(body: tuple[Stmt, ...], plans: Iterable[Plan]) -> tuple[Stmt, ...]:
    """The loops around the body, first one outermost."""
    for plan in reversed(list(plans)):
        body = plan.around(body)
    return body


def box(index: Affine, inside: dict[str, Range]) -> tuple[Affine, Affine, int]:
    """An index inside a tile, the tile's corner, and its size, from the ranges of the loops inside."""
    part = index.only(inside)
    low, high = part.range(inside)
    return part - low, index - part + low, high - low + 1


def dimension_size(buffer: Buffer, dim: str) -> Affine:
    """How far an index may go: the size, or whole blocks where the buffer is packed; 1 where it has no part."""
    assert buffer.layout
    size = dict(buffer.layout.sizes).get(dim, 1)
    if isinstance(size, str):
        return var(size)
    block = next((b for n, b in buffer.layout.parts if n == dim), 1)
    return number(-(-size // block) * block if buffer.packed else size)


def unrolled(stmt: Stmt) -> Stmt:
    """The same with serial loops unrolled: registers have no address."""
    if not isinstance(stmt, Loop):
        return stmt
    kind = "unroll" if stmt.kind == "serial" else stmt.kind
    return Loop(stmt.name, stmt.low, stmt.high, stmt.step, kind, tuple(map(unrolled, stmt.body)))


def stages_of(parts: Split, tensor: str, level: str) -> list[int]:
    """Where the tensor is staged at this level."""
    return [
        i for i, s in enumerate(parts.items) if isinstance(s, Stage) and s.tensor == tensor and s.level == level
    ]
