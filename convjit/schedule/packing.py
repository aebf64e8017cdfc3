"""In which type and order operands are multiplied, where the schedule is ours to choose.

Some tensors must be packed: those that `compute` makes integers of, weights with a zero point, short floats. Others are
where the machine multiplies another type faster: 8-bit numbers as i16 for vpmaddwd, i8 as u8 for vpdpbusd. What is
packed in every call must be read often enough to be worth a pass over it.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from convjit.dtypes import bits, is_float
from convjit.machine.machine import Machine
from convjit.schedule.operands import TURNED, given_type, in_pairs, kinds
from convjit.schedule.parts import NOTHING, Proof, known
from convjit.schedule.schedule import Level, Pack, Phase, Schedule
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor

OFTEN = 24
"""Products that each number of the input must enter to be worth packing."""


def packing(spec: ConvSpec, machine: Machine, total: str, proof: Proof = NOTHING) -> tuple[Pack, ...]:
    """The operands that are packed in another type or order; the weight's order is the generator's. `total`: the type
    that products are added up in."""
    x, w = must(spec)
    if "f32" not in (x, w):
        more = better(spec, machine, total, proof)
        x, w = more[0] or x, more[1] or w
    packs = []
    deep = channels_last(spec, machine, (x or spec.input.dtype, w or spec.weight.dtype, total))
    if x or deep:
        axes = tuple(a for a in spec.input.axes if a != "C") + ("C",) if deep else spec.input.axes
        packs.append(Pack(spec.input.name, tuple(Level(a.lower()) for a in axes), x))
    if w:
        packs.append(Pack(spec.weight.name, (), w))
    return tuple(packs)


def whole_packs(spec: ConvSpec, machine: Machine, proof: Proof) -> tuple[Pack, ...]:
    """The same for sums in their own type."""
    return packing(spec, machine, spec.accumulator, proof)


def list_packs(spec: ConvSpec, machine: Machine, proof: Proof) -> tuple[Pack, ...]:
    """The types that a list multiplies: those of all numbers, but what `compute` quantises is not moved by 128 (that is
    taken off again by the weights' sums, which are not those of the list)."""
    x, w = must(spec)
    if "f32" not in (x, w):
        more = better(spec, machine, spec.accumulator, proof)
        moved = more[0] in ("u8", "i8") and spec.computes_integers
        more = widest(spec, machine) if moved or not any(more) else more
        x, w = more[0] or x, more[1] or w
    return tuple(Pack(t.name, (), kind) for t, kind in ((spec.input, x), (spec.weight, w)) if kind)


def widest(spec: ConvSpec, machine: Machine) -> tuple[str, str]:
    """Bytes as numbers of 16 bits, where an instruction sums up two of their products."""
    own = given_type(spec, spec.input)
    small = not is_float(own) and bits(own) <= 8 and spec.accumulator == "i32" and spec.ic_per_group > 1
    return ("i16", "i16") if small and dots(machine, "i16", "i16", "i32") > 1 else ("", "")


def must(spec: ConvSpec) -> tuple[str, str]:
    """The types that input and weight must be packed as, "" where they need not be."""
    x, w = (kinds(spec, t)[0] for t in (spec.input, spec.weight))
    if w and not x:
        x = w  # they multiply numbers of the same type
    return x, w


def reuse(spec: ConvSpec) -> float:
    """Products that a number of the input enters."""
    return spec.oc_per_group * prod(spec.kernel_size) / prod(spec.stride)


def dots(machine: Machine, x: str, w: str, total: str) -> int:
    """Products that the best instruction for these types sums up."""
    return max((r.role("k") for r in machine.rows_for((x, w, total))), default=0)


def better(spec: ConvSpec, machine: Machine, total: str, proof: Proof) -> tuple[str, str]:
    """Types that the machine multiplies faster."""
    x, w = given_type(spec, spec.input), must(spec)[1] or spec.weight.dtype
    ways = ("", TURNED.get(x, ""))
    if x == w == "i32" and bits(total) == 64 and not spec.input.zero and not spec.weight.zero:
        wide = machine.kind == "cpu" and reuse(spec) >= OFTEN and dots(machine, "i64", "i64", "i64")
        return ("i64", "i64") if wide else ("", "")
    if is_float(x) or machine.kind != "cpu" or total != "i32" or bits(x) > 8 or spec.ic_per_group < 2 or reuse(spec) < OFTEN:
        return "", ""
    for way in ways:
        lines = (Pack(spec.input.name, (), way or must(spec)[0]), Pack(spec.weight.name, (), must(spec)[1]))
        _, sure = known(spec, lines, proof)
        if dots(machine.exact(sure.pairs), way or x, w, total) == 4:
            return way, ""
    return ("i16", "i16") if dots(machine, "i16", "i16", total) else ("", "")


def as_doubles(spec: ConvSpec, machine: Machine) -> tuple[Pack, ...]:
    """32-bit numbers packed as f64, where vectors of those are worth a pass over the input; else nothing."""
    own = given_type(spec, spec.input), given_type(spec, spec.weight)
    fits = all("f64" in kinds(spec, t) for t in (spec.input, spec.weight)) and own == ("i32", "i32")
    if not fits or not machine.vector_bits or reuse(spec) < OFTEN:
        return ()
    axes = tuple(Level(a.lower()) for a in spec.input.axes)
    return Pack(spec.input.name, axes, "f64"), Pack(spec.weight.name, (), "f64")


def channels_last(spec: ConvSpec, machine: Machine, types: tuple[str, str, str]) -> bool:
    """Whether channels are brought side by side, so that an instruction can sum up their products."""
    if in_pairs(types, spec):
        return spec.input.axes[-1] != "C"
    apart = spec.input.axes[-1] != "C" and spec.input.axes[-1] != "N"
    worth = spec.ic_per_group >= 4 and spec.oc_per_group >= 8 and reuse(spec) >= OFTEN
    return machine.kind == "cpu" and apart and worth and dots(machine, *types) > 1


def with_packs(schedule: Schedule, spec: ConvSpec, packs: tuple[Pack, ...]) -> Schedule:
    """The schedule of what is multiplied, with the lines that bring it about."""
    types = {p.tensor: p.as_type for p in packs}
    more = tuple(p for p in packs if p.tensor == spec.input.name)
    phases = tuple(phase_with(p, spec.weight, types.get(spec.weight.name, ""), more) for p in schedule.phases)
    words = {spec.input.name: "input", spec.weight.name: "weight"}
    why = tuple(f"the {words[t]} is multiplied as {kind}" for t, kind in types.items() if kind)
    return replace(schedule, phases=phases, reasons=(*why, *schedule.reasons))


def phase_with(phase: Phase, weight: Tensor, kind: str, more: tuple[Pack, ...]) -> Phase:
    """One phase."""
    given = {p.tensor for p in phase.packs}
    types = {weight.name: kind, **{p.tensor: p.as_type for p in more}}
    own = tuple(replace(p, as_type=types.get(p.tensor, "")) for p in phase.packs)
    more = tuple(p for p in more if p.tensor not in given)
    if kind and not any(p.tensor == weight.name for p in own):
        own = (*own, Pack(weight.name, tuple(Level(a) for a in pack_axes(weight)), kind))
    return replace(phase, packs=(*own, *more))


def pack_axes(weight: Tensor) -> list[str]:
    """The loops over a weight in its own order, its channels apart by groups."""
    names = {"OC": ["g", "oc"], "IC": ["c"]}
    return [name for a in weight.axes for name in names.get(a, [a.lower()])]
