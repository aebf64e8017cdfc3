"""The input copied with its borders: every tap of every output reads a number that is there, at a fixed distance from the first.

Taps need no guards then, and one offset says where a tap and a channel lie, whatever output it is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product

from convjit.dtypes import bits
from convjit.nest.affine import Affine, number
from convjit.nest.context import dimension_size, nest_loops
from convjit.nest.convert import converted
from convjit.nest.domain import Domain
from convjit.nest.ir import Buffer, Guard, Load, Nest, Store, WorkerAxis
from convjit.nest.layout import Extent, Layout
from convjit.nest.pack import by_vectors
from convjit.nest.split import Plan, Split, split
from convjit.nest.visit import map_loads
from convjit.schedule.schedule import Level, Pack
from convjit.spec.conv import ConvSpec

AT = "at"
PHASE = "_phase"
"""What the name of a phased dimension's remainder ends with."""
LINE = 64
"""Bytes of a cache line."""


@dataclass(frozen=True)
class Bordered:
    """`buffer` with the input's dimensions. `index`: of the update in them, in terms of the line's loops; `low`: the input's
    own index at place 0 of each (negative in the border)."""

    buffer: Buffer
    index: dict[str, Affine]
    low: dict[str, int]

    @property
    def plane(self) -> Layout:
        """The layout of one image."""
        layout = self.buffer.layout
        assert layout
        sizes = tuple((d, n) for d, n in layout.sizes if d != "n")
        return Layout(tuple(p for p in layout.parts if p[0] != "n"), sizes)

    @property
    def elements(self) -> int:
        """Numbers of one image."""
        return self.plane.elements()

    @property
    def image(self) -> Affine:
        """Which image."""
        return self.index["n"]

    @property
    def as_line(self) -> Buffer:
        """The same memory, an image as one dimension."""
        layout = self.buffer.layout
        assert layout
        images = dict(layout.sizes)["n"]
        flat = Layout((("n", 1), (AT, 1)), (("n", images), (AT, self.elements)))
        return replace(self.buffer, dims=("n", AT), layout=flat, packed=False)

    @property
    def phased(self) -> tuple[str, ...]:
        """Dimensions whose places are sorted by what is left of a division: those of one output each, side by side."""
        layout = self.buffer.layout
        assert layout
        return tuple(d for d, block in layout.parts if d != "c" and block > 1)

    def flat(self, parts: Split, values: Mapping[str, Affine | int] | None = None) -> Affine:
        """The place in an image, some of the loops at these values."""
        grain = {p.name: p.step for p in parts.plans()}
        index = {d: i.substitute(values or {}) for d, i in self.index.items() if d != "n"}
        return self.plane.flatten(index, grain).get((), Affine())


def bordered(domain: Domain, parts: Split, pack: Pack) -> Bordered:
    """What the convolution reads in each dimension, in the order of the pack line.

    Lanes that run past the end of an axis read what follows, the next row; for those of the last row the slowest dimension
    is longer. Rows begin at cache lines: fewer vectors lie across two of them.
    """
    source = domain.buffer(domain.x)
    assert source.layout
    given = dict(source.layout.sizes)
    ranges = {a: (0, size.const - 1) for a, size in domain.axes if not size.terms}
    index: dict[str, Affine] = {}
    low: dict[str, int] = {}
    sizes: dict[str, Extent] = {}
    for dim, own in zip(source.dims, domain.original[domain.x].index, strict=True):
        first, last = (0, 0) if isinstance(given[dim], str) else own.range(ranges)
        index[dim], low[dim] = own.substitute(parts.meaning) - first, first
        sizes[dim] = last - first + 1 if isinstance(given[dim], int) else given[dim]
    order = [(l.axis, l.step) for l in pack.parts if sizes.get(l.axis, 1) != 1 and l.axis != "n"]
    dtype = pack.as_type or source.dtype
    buffer = Buffer(f"{domain.x}.packed", source.dims, dtype, "memory", None, packed=True)

    def laid_out() -> Bordered:
        layout = Layout((("n", 1), *order), tuple(sizes.items()))
        return Bordered(replace(buffer, layout=layout), index, low)

    align_rows(order, sizes, bits(dtype) // 8)
    made = laid_out()
    reach = reached(made, parts)
    if reach > made.elements and order:
        slowest, unit = order[0]
        lacking = -(-(reach - made.elements) // made.plane.strides()[0].coefficient)
        sizes[slowest] = whole(sizes[slowest], unit) + lacking * unit
        made = laid_out()
    return made


def reached(made: Bordered, parts: Split) -> int:
    """One more than the last place that the loops read."""
    ranges = {p.name: (0, p.last) for p in parts.plans() if not p.extent.terms}
    return 1 + max(made.flat(parts, values).range(ranges)[1] for values in each(taps_of(made, parts)))


def taps_of(made: Bordered, parts: Split) -> tuple[Plan, ...]:
    """The loops over taps along phased dimensions: at each of their values the place is another expression."""
    return tuple(p for p in parts.plans() if p.axis in {f"k{d}" for d in made.phased})


def each(plans: tuple[Plan, ...]) -> Iterator[dict[str, Affine | int]]:
    """Every choice of their values."""
    for values in product(*(range(0, p.last + 1, p.step) for p in plans)):
        yield dict(zip((p.name for p in plans), values, strict=True))


def whole(size: Extent, block: int) -> int:
    """A size, rounded up to whole blocks."""
    assert isinstance(size, int)
    return -(-size // block) * block


def align_rows(order: list[tuple[str, int]], sizes: dict[str, Extent], element: int) -> None:
    """Make rows of pixels so long that each begins at a cache line, or, where it is short, lies in one."""
    rows = [place for place, (d, _) in enumerate(order) if d != "c"]
    if not rows or rows[-1] == 0:
        return
    row = order[rows[-1]][0]
    blocks = [block for d, block in order[: rows[-1]] if d == "c" and block > 1]
    pixel, phases = element * (blocks[-1] if rows[-1] < len(order) - 1 and blocks else 1), order[rows[-1]][1]
    length = whole(sizes[row], phases) // phases * pixel
    unit = LINE if length > LINE // 2 else 1 << (length - 1).bit_length()
    if unit % pixel == 0:
        sizes[row] = whole(sizes[row], unit // pixel * phases)


def border_nest(domain: Domain, spec: ConvSpec, pack: Pack, made: Bordered, lanes: int) -> Nest:
    """The copy; outside the image stands what counts as 0."""
    buffer, source = made.buffer, domain.buffer(domain.x)
    assert buffer.layout
    sizes = copied(made)
    named = [Level(d, step) for d, step in walked_steps(made) if d in sizes]
    levels = transposed(named, buffer, source, lanes) or by_vectors(along_source(named, source), buffer, lanes, True)
    parts = split(tuple(levels), sizes, False, "pack~")
    at = {d: parts.meaning.get(d, number(0)) for d in buffer.dims}
    at |= {d: at[d] * phases(made, d) + parts.meaning[d + PHASE] for d in made.phased}
    index = {d: at[d] + made.low[d] for d in buffer.dims}
    inside = tuple(g for d in buffer.dims if (g := Guard(index[d], dimension_size(source, d))) and leaves(made, source, d))
    value = converted(spec, spec.input, Load(source.name, tuple(index.values())), pack.as_type, number(0))
    value = map_loads(value, lambda l: replace(l, inside=inside, fill=float(spec.input.zero or 0)))
    when = tuple(g for _, g in parts.guards)
    body = (Store(Load(buffer.name, tuple(at.values())), value, when),)
    workers = tuple(WorkerAxis(p.axis, sizes[p.axis], p.step) for p in parts.plans() if p.kind == "worker")
    name = f"{domain.name}.pack_{domain.x}"
    return Nest(name, (source, buffer), nest_loops(body, parts.plans()), domain.sizes, workers)


def phases(made: Bordered, dim: str) -> int:
    """By what the places of a phased dimension are divided."""
    layout = made.buffer.layout
    assert layout
    return max(block for d, block in layout.parts if d == dim)


def walked_steps(made: Bordered) -> list[tuple[str, int]]:
    """What the copy walks, slowest first, and by which steps: of a phased dimension what is left, and the quotient."""
    layout = made.buffer.layout
    assert layout
    return [(d, block) if d not in made.phased else (d if block > 1 else d + PHASE, 1) for d, block in layout.parts]


def copied(made: Bordered) -> dict[str, Affine]:
    """The sizes of that, but for sizes of 1."""
    found: dict[str, Affine] = {}
    for d, _ in walked_steps(made):
        own = d.removesuffix(PHASE)
        size = dimension_size(made.buffer, own)
        if own in made.phased:
            size = number(phases(made, own)) if d != own else number(size.const // phases(made, own))
        found[d] = size
    return {d: n for d, n in found.items() if n != number(1) or d.removesuffix(PHASE) in made.phased}


def leaves(made: Bordered, source: Buffer, dim: str) -> bool:
    """Whether the copy's index can be outside the input."""
    size = dimension_size(made.buffer, dim)
    return bool(made.low[dim]) or (size != dimension_size(source, dim) and not size.terms)


def along_source(levels: list[Level], source: Buffer) -> list[Level]:
    """The loops with the outer one over what lies fastest in the input further in: rows are read while they are close."""
    assert source.layout
    near = source.layout.parts[-1][0]
    place = next((i for i, l in enumerate(levels) if l.axis == near), len(levels))
    inner = 2 if levels[-1].axis == near else 1
    if place >= len(levels) - inner:
        return levels
    rest = [l for i, l in enumerate(levels) if i != place]
    return [*rest[:-inner], levels[place], *rest[-inner:]]


def transposed(levels: list[Level], made: Buffer, source: Buffer, lanes: int) -> list[Level] | None:
    """Lanes along what lies fastest in the input, as many rows of what lies fastest in the copy written out: they are
    transposed in registers. None where that is the same dimension, or too few numbers."""
    assert made.layout and source.layout
    (fast, _), near = made.layout.parts[-1], source.layout.parts[-1][0]
    sizes = dict(made.layout.sizes)
    blocked = any(l.axis in (fast, near) and l.step > 1 for l in levels)
    short = any(not isinstance(n := sizes.get(a, 1), int) or n < lanes for a in (fast, near))
    if lanes == 1 or fast == near or blocked or short:
        return None
    outer = [l for l in levels if l.axis not in (fast, near)]
    shared = [replace(l, kind="thread") if i < 2 else l for i, l in enumerate(outer)]
    first = Level(near, lanes, "serial" if shared else "thread")
    return [*shared, first, Level(fast, lanes), Level(fast, 1, "unroll"), Level(near, 1, "simd")]
