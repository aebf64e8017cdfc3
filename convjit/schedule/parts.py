"""Sums of 64 bits in parts: of 32 bits, by an instruction that sums products into them; or of f64, whose fused multiply-add
is exact on whole numbers up to 2^53 and twice as fast as a product of 32-bit numbers. Parts are added up.

How many products a part may have must be proved: by the declared ranges of the tensors, or at `bind` by the certificate
of the weights at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

from convjit import dtypes
from convjit.schedule.density import Density
from convjit.schedule.line import axes, loops, sums, tile
from convjit.schedule.operands import TURNED, given_type, multiplied, zero_left
from convjit.schedule.schedule import Item, Level, Pack, Phase, Schedule, Stage
from convjit.spec.conv import ConvSpec

LEAST = 3
"""Products of a part in i32 for each product that an instruction sums from which parts are worth it."""

LEAST_F64 = {True: 8, False: 64}
"""Products of a part in f64 from which they are: it becomes an i64 before it is added, by one instruction where the machine
has it (AVX-512 DQ), else by seven."""


PARTS = {"i32": 2**31 - 1, "f64": 2**53}
"""Types that parts of a sum may have, and up to where they hold every whole number."""


@dataclass(frozen=True)
class Room:
    """Sums that fit a type: of at most so many neighbouring channels of one tap, and of so many whole taps in a row.
    `chunk` channels fit where chunks begin at its multiples: that says nothing of narrower chunks that lie across two."""

    channels: int = 0
    taps: int = 0
    chunk: int = 0

    def fits(self, channels: int, all_channels: int) -> bool:
        """Whether each chunk of so many channels of a tap, from its first on, fits."""
        return channels <= self.channels or self.chunk >= all_channels or self.chunk % channels == 0 < self.chunk

    def widest(self, deep: int) -> int:
        """The most channels that fit and are a multiple of `deep`; 0 where none are."""
        plain = self.channels // deep * deep
        return max(plain, self.chunk) if self.chunk % deep == 0 else plain

    def __or__(self, other: Room) -> Room:
        """What either proves."""
        return Room(max(self.channels, other.channels), max(self.taps, other.taps), max(self.chunk, other.chunk))


NONE = Room()


@dataclass(frozen=True)
class Proof:
    """What is known of the numbers that are multiplied: the sums that fit i32, and those that are exact in f64; and
    whether no pair of products of bytes leaves 16 bits (vpmaddubsw), of the input as it is, or moved by 128 (`turned`).
    `density` is that of weights that are declared sparse."""

    i32: Room = NONE
    f64: Room = NONE
    pairs: bool = False
    turned: bool = False
    density: Density | None = None

    def room(self, part: str) -> Room:
        """For parts of that type."""
        return {"i32": self.i32, "f64": self.f64}[part]


NOTHING = Proof()


def declared(spec: ConvSpec) -> Proof:
    """What types and declared ranges alone prove."""
    if dtypes.is_float(spec.input.dtype) or dtypes.is_float(spec.weight.dtype):
        return NOTHING
    x, w = (ends(t.dtype, t.in_range) for t in (spec.input, spec.weight))
    largest = max(1, *(abs(a * b) for a in x for b in w))
    i32, f64 = (Room(most // largest, most // largest // spec.ic_per_group) for most in PARTS.values())
    pairs = 2 * max(a * b for a in x for b in w) <= 32767 and 2 * min(a * b for a in x for b in w) >= -32768
    return Proof(i32, f64, pairs)


def ends(dtype: str, in_range: tuple[int, int] | None) -> tuple[int, int, int]:
    """Least and greatest number, and the 0 that what lies outside counts as."""
    low, high = in_range or dtypes.limits(dtype)
    return low, high, 0


def both(a: Proof, b: Proof) -> Proof:
    """What either proves."""
    return Proof(a.i32 | b.i32, a.f64 | b.f64, a.pairs or b.pairs, a.turned or b.turned)


def known(spec: ConvSpec, packs: Iterable[Pack], proof: Proof, total: str = "") -> tuple[ConvSpec, Proof]:
    """What is multiplied when operands are packed so, and what is known of it: `proof`, and what its ranges say."""
    packs = tuple(packs)
    plain = multiplied(spec, packs, total)
    if plain.input.dtype == "f64" != spec.input.dtype:
        return plain, both(proof, declared(spec))  # f64 has no ranges; these are the same numbers
    own = given_type(spec, spec.input)
    moved = TURNED.get(own) == plain.input.dtype
    here = replace(proof, pairs=proof.turned if moved else proof.pairs)
    same = plain.weight.dtype == given_type(spec, spec.weight) and plain.input.dtype in (own, TURNED.get(own))
    return plain, both(here if same else replace(here, pairs=False), declared(plain))


def in_parts(schedule: Schedule, spec: ConvSpec, proof: Proof, back: bool, least: int = 0) -> Schedule | None:
    """The schedule of what is multiplied (`spec`) with its sums as parts of whole ones; None where parts would be too
    small (less than `least` products), or its loops do not let them. `back`: taps outside the image are given back to the
    whole sums (`gives_back`)."""
    phase = schedule.phases[0]
    items = phase.items
    place = next(i for i, s in enumerate(items) if isinstance(s, Stage) and s.tensor == spec.output.name)
    summed = [i for i, l in enumerate(items) if isinstance(l, Level) and l.axis in sums(spec) and l.kind != "dot"]
    if not summed or summed[0] < place:
        return None
    found = placed(phase, spec, summed, proof, back, least)
    if found is None:
        return None
    reason = f"64-bit sums are added up from parts of {spec.accumulator}, which are proved to hold them"
    return replace(schedule, phases=(replace(phase, items=found),), reasons=(*schedule.reasons, reason))


def gives_back(spec: ConvSpec, phase_packs: Iterable[Pack]) -> bool:
    """Whether taps outside the image must be given back what a zero point took off (`nest.borders`)."""
    return zero_left(spec, phase_packs) != 0 and any(side for pair in spec.pad for side in pair)


def placed(
    phase: Phase, spec: ConvSpec, summed: list[int], proof: Proof, back: bool, least: int
) -> tuple[Item, ...] | None:
    """The line with the part's stage as far out as the proof allows."""
    items, name = phase.items, spec.output.name
    place = next(i for i, s in enumerate(items) if isinstance(s, Stage) and s.tensor == name)
    part, whole, room = Stage(name, as_type=spec.accumulator), Stage(name, "scratch"), proof.room(spec.accumulator)
    sizes = {a: n or 0 for a, n in axes(spec).items()}
    rolled = all(isinstance(l, Level) and l.kind == "serial" for l in (items[i] for i in summed))
    for at in summed:
        inside = [items[i] for i in summed if i >= at]
        taps = prod(sizes[l.axis] for l in inside if isinstance(l, Level) and l.axis != "c")
        every = {l.axis for l in inside if isinstance(l, Level)}
        if "c" not in every and sizes["c"] > 1:
            return None  # channels lie outside the taps: parts would mix them
        if taps <= room.taps or (taps == 1 and room.fits(sizes["c"], sizes["c"])):
            if at == summed[0] and not back:
                return (*items[:place], part, *items[place + 1 :])
            fine = rolled and taps * sizes["c"] >= least
            return (*items[:place], whole, *items[place + 1 : at], part, *items[at:]) if fine else None
    last = items[summed[-1]]
    assert isinstance(last, Level)
    if not rolled:
        return None
    deep = max(last.step, tile_of_dot(spec, phase))
    size = room.widest(deep)
    if last.axis != "c" or size < max(least, LEAST * deep):
        return None
    at = summed[-1]
    return (*items[:place], whole, *items[place + 1 : at], Level("c", size), part, *items[at:])


def tile_of_dot(spec: ConvSpec, phase: Phase) -> int:
    """Products that an instruction sums."""
    return next((tile(spec, phase, l) or 1 for l in loops(phase) if l.kind == "dot"), 1)


def products(spec: ConvSpec, phase: Phase, stage: Stage) -> tuple[int, int]:
    """Taps, and channels of each, that a part adds up."""
    items = phase.items
    inside = [l for l in items[items.index(stage) :] if isinstance(l, Level) and l.axis in sums(spec)]
    first: dict[str, Level] = {}
    for l in inside:
        first.setdefault(l.axis, l)
    counts = {a: (tile(spec, phase, l) or 1) if l in loops(phase) else 1 for a, l in first.items()}
    channels = counts.pop("c", 1)
    return prod(counts.values()), channels
