"""`c:list kh:list kw:list`: only the blocks of the weight that are not all 0 are visited, by lists that are made of it.

    for oc.0 in 0..64                                        a row: what the loops outside choose of the weight
      read first.0 = w.first[oc.0] below 36865
      read count.0 = w.count[oc.0] below 577
      for entry.0 in first.0..first.0+count.0
        read tap.0 = w.taps[entry.0] below 24000             how far along the block's input lies
        … y.r[…] += x.packed[0, 30*oh.0+ow.0+tap.0] * w.values[entry.0]

What an entry reads of the input must be one offset from where the output's element reads its first, so the input is copied
with its borders (`bordered`), and is one dimension here. A block is what the loops inside the list take of the weight: a
number, the numbers that one instruction sums up, a vector of output channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod

from convjit.errors import ConvError
from convjit.nest.affine import Affine, Limit, number, total, var
from convjit.nest.bordered import Bordered, bordered, taps_of
from convjit.nest.context import Context, box, nest_loops
from convjit.nest.convert import converted
from convjit.nest.domain import Domain
from convjit.nest.ir import Apply, Buffer, Expr, Index, Load, Loop, Nest, Number, Read, Stmt, Store
from convjit.nest.layout import Layout
from convjit.nest.pack import read_by
from convjit.nest.split import Plan, Split, split
from convjit.nest.visit import map_loads, substitute
from convjit.schedule.line import LIST
from convjit.schedule.operands import SHORT, pack_of
from convjit.schedule.schedule import Phase
from convjit.spec.conv import ConvSpec

ENTRY, TAP, FIRST, COUNT = (var(f"{word}.0") for word in ("entry", "tap", "first", "count"))
MOST = 2**31 - 1
"""Offsets and numbers of entries are of i32."""
Entry = Callable[[Mapping[str, Affine | int]], tuple[Stmt, ...]]
"""What an entry is, phased loops at these values."""

OURS = "list~"
"""What names of loops begin with in the nest that makes the lists."""


@dataclass(frozen=True)
class Walk:
    """The list of a line: its loops (`walked`), those outside that choose a row, and those inside that make a block, all of
    axes of the weight; `base`: the input's place in terms of all loops that are not walked. `phased` are walked loops whose values
    are written out where the list is made."""

    weight: str
    outside: tuple[Plan, ...]
    walked: tuple[Plan, ...]
    inside: tuple[Plan, ...]
    phased: tuple[Plan, ...]
    base: Affine
    input: Bordered
    parts: Split

    @property
    def row_entries(self) -> int:
        """Entries of a row without zeros."""
        return prod(map(turns, self.walked))

    @property
    def entries(self) -> int:
        """Entries of all rows, at most."""
        return self.row_entries * prod(map(turns, self.outside))

    def tap(self, values: Mapping[str, Affine | int]) -> Affine:
        """How far along the block's input lies, the phased loops at these values."""
        flat = self.input.flat(self.parts, values) - self.base
        return flat.substitute({p.name: var(OURS + p.name) for p in self.walked})

    @property
    def block(self) -> dict[str, tuple[Affine, int]]:
        """Of each axis inside: the index in the block, and the block's size."""
        ranges = {p.name: (0, p.last) for p in self.inside}
        found = {}
        for axis in dict.fromkeys(p.axis for p in reversed(self.inside)):
            index, _, size = box(total(var(p.name) for p in self.inside if p.axis == axis), ranges)
            found[axis] = (index, size)
        return dict(reversed(found.items()))  # the axis that is mentioned last lies fastest

    @property
    def rows(self) -> dict[str, Affine]:
        """Of each axis outside: the index of a row; axes that are walked in part stand first, the others lie side by side."""
        part = {p.axis for p in (*self.walked, *self.inside)}
        axes = dict.fromkeys(p.axis for p in self.outside)
        ordered = sorted(axes, key=lambda a: a not in part)
        return {a: total(var(p.name) for p in self.outside if p.axis == a) for a in ordered}


def turns(plan: Plan) -> int:
    """How often a loop runs, at most."""
    return plan.last // plan.step + 1


def walk(domain: Domain, phase: Phase, parts: Split) -> Walk:
    """The list of a line that has one. Raises ConvError where it would be too long."""
    places = [i for i, p in enumerate(parts.items) if isinstance(p, Plan) and p.kind == LIST]
    axes = {"g", "oc", *domain.reductions}
    own = [(i, p) for i, p in enumerate(parts.items) if isinstance(p, Plan) and p.axis in axes]
    pack = pack_of(phase.packs, domain.x)
    assert pack
    made = bordered(domain, parts, pack)
    walked = tuple(p for i, p in own if i in places)
    phased = taps_of(made, parts)
    flat = made.flat(parts, {p.name: 0 for p in phased})
    found = Walk(
        domain.w, tuple(p for i, p in own if i < places[0]), walked, tuple(p for i, p in own if i > places[-1]),
        phased, flat - flat.only(p.name for p in walked), made, parts,
    )  # fmt: skip
    if max(found.entries, made.elements) > MOST:
        text = f"The weight has {found.entries} blocks and the input {made.elements} numbers with its borders; a list counts to {MOST}."
        raise ConvError.of(text, pack.span, hint="Walk the axes by loops, not by a list.")
    return found


# --- the buffers


def buffers(w: Walk, dtype: str, domain: Domain) -> tuple[Buffer, ...]:
    """Blocks and their offsets in the order of rows, where each row begins, and how long it is."""
    block = [(axis, size) for axis, (_, size) in w.block.items()]
    dims = [("entry", w.entries), *block]
    rows = [(axis, domain.size(axis).const) for axis in w.rows]

    def buffer(word: str, dtype: str, sizes: list[tuple[str, int]]) -> Buffer:
        layout = Layout(tuple((d, 1) for d, _ in sizes), tuple(sizes))
        return Buffer(f"{w.weight}.{word}", tuple(d for d, _ in sizes), dtype, "memory", layout)

    return (
        buffer("values", dtype, dims), buffer("taps", "i32", dims[:1]), buffer("first", "i32", rows), buffer("count", "i32", rows),
    )  # fmt: skip


def value(w: Walk, entry: Affine = ENTRY, rename: dict[str, Affine | int] | None = None) -> Load:
    """A number of an entry's block."""
    inside = (index.substitute(rename or {}) for index, _ in w.block.values())
    return Load(f"{w.weight}.values", (entry, *inside))


def row(w: Walk, word: str, rename: dict[str, Affine | int] | None = None) -> Load:
    """What is known of a row."""
    return Load(f"{w.weight}.{word}", tuple(i.substitute(rename or {}) for i in w.rows.values()))


# --- the walk


def operands(c: Context, w: Walk) -> dict[str, Load]:
    """Where the update reads input and weight, whose buffers take the place of the tensors'."""
    domain = c.domain
    pack = pack_of(c.phase.packs, domain.w)
    dtype = (pack.as_type if pack else "") or domain.buffer(domain.w).dtype
    flat = w.input.as_line
    c.buffers[:] = [b for b in c.buffers if b.name not in (domain.x, domain.w)] + [flat, *buffers(w, dtype, domain)]
    return {domain.x: Load(flat.name, (w.input.image, w.base + TAP)), domain.w: value(w)}


def around(w: Walk, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """The body for every entry of the row."""
    entry, tap, first, count = (a.terms[0][0] for a in (ENTRY, TAP, FIRST, COUNT))
    place = Read(tap, Load(f"{w.weight}.taps", (ENTRY,)), w.input.elements)
    return (
        Read(first, row(w, "first"), w.entries + 1),
        Read(count, row(w, "count"), w.row_entries + 1),
        Loop(entry, (Limit(FIRST),), (Limit(FIRST + COUNT),), 1, "serial", (place, *body)),
    )


# --- making the lists


def list_nest(domain: Domain, spec: ConvSpec, phase: Phase, w: Walk) -> Nest:
    """The nest that makes the lists: every block is written behind the last one that is kept, and kept if it is not all 0."""
    pack = pack_of(phase.packs, domain.w)
    assert pack
    plans, parts = loops(domain, w)
    outside, walked, inside = (plans[: len(w.outside)], plans[len(w.outside) : -len(w.inside) or None], plans[len(plans) - len(w.inside) :])
    rename: dict[str, Affine | int] = {p.name: var(OURS + p.name) for p in (*w.outside, *w.walked, *w.inside)}
    kept, hit = Load("kept", ()), Load("hit", ())
    block = block_of(domain, spec, parts, pack.as_type)
    dtype = pack.as_type or domain.buffer(domain.w).dtype
    zero = is_zero(block, dtype)

    def entry(values: Mapping[str, Affine | int]) -> tuple[Stmt, ...]:
        name = ".".join([f"{OURS}entry", *map(str, values.values())])
        here = var(name)
        copy = (Store(value(w, here, rename), block), Store(hit, Apply("select", (zero, hit, Number(1.0, "i32")), "i32")))
        written = (
            Read(name, kept, w.entries), Store(hit, Number(0.0, "i32")), *nest_loops(copy, inside),
            Store(Load(f"{w.weight}.taps", (here,)), Index(w.tap(values), "i32")), Store(kept, Apply("add", (kept, hit), "i32")),
        )  # fmt: skip
        return substitute(written, {OURS + name: v for name, v in values.items()})

    first = row(w, "first", rename)
    one_row = (
        Store(first, kept), *over(w, walked, entry, {}),
        Store(row(w, "count", rename), Apply("sub", (kept, first), "i32")),
    )  # fmt: skip
    registers = (Buffer("kept", (), "i32", "registers"), Buffer("hit", (), "i32", "registers"))
    vectors = tuple(b for b in domain.buffers if b.name in read_by(spec))
    given = (domain.buffer(domain.w), *vectors, *buffers(w, dtype, domain), *registers)
    return Nest(f"{domain.name}.list", given, (Store(kept, Number(0.0, "i32")), *nest_loops(one_row, outside)))


def over(w: Walk, plans: tuple[Plan, ...], entry: Entry, values: dict[str, Affine | int]) -> tuple[Stmt, ...]:
    """The walked loops around an entry; phased ones are written out."""
    if not plans:
        return entry(values)
    plan, rest = plans[0], plans[1:]
    name = plan.name.removeprefix(OURS)
    if not any(p.name == name for p in w.phased):
        return plan.around(over(w, rest, entry, values))
    made: list[Stmt] = []
    for value in range(0, plan.last + 1, plan.step):
        made += over(w, rest, entry, {**values, name: value})
    return tuple(made)


def loops(domain: Domain, w: Walk) -> tuple[tuple[Plan, ...], Split]:
    """The loops over the weight, those of blocks reaching past its end as the line's do."""
    levels = [replace(p.token, kind="serial") for p in (*w.outside, *w.walked)]
    levels += [replace(p.token, kind=p.kind if p.kind in ("simd", "dot") else "serial") for p in w.inside]
    axes = {a: domain.size(a) for a in dict.fromkeys(l.axis for l in levels)}
    parts = split(tuple(levels), axes, False, OURS)
    return tuple(replace(p, kind="serial") for p in parts.plans()), parts


def is_zero(e: Expr, dtype: str) -> Expr:
    """Whether a number is 0, of either sign. Short floats are looked at as bits: no machine compares them."""
    if dtype in SHORT:
        bits_ = Apply("shl", (Apply("bitcast", (e,), "i16"), Number(1.0, "i16")), "i16")
        return Apply("eq", (bits_, Number(0.0, "i16")), "i1")
    return Apply("eq", (e, Number(0.0, dtype)), "i1")


def block_of(domain: Domain, spec: ConvSpec, parts: Split, as_type: str) -> Expr:
    """A number of the weight as it is multiplied; 0 past its end."""
    at = {a: parts.meaning.get(a, number(0)) for a in ("g", "oc", *domain.reductions)}
    load = domain.original[domain.w]
    read = Load(load.buffer, tuple(i.substitute(at) for i in load.index))
    channel = at["g"] * domain.size("oc").const + at["oc"]
    made = converted(spec, spec.weight, read, as_type, channel)
    guards = tuple(g for _, g in parts.guards)
    return map_loads(made, lambda l: replace(l, inside=guards))
