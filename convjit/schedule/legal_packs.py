"""What pack lines may say: types that hold the numbers of an operand, and that the machine multiplies."""

from __future__ import annotations

from collections.abc import Iterator

from convjit.errors import Diagnostic
from convjit.machine.machine import Machine
from convjit.schedule.operands import SHORT, kinds, multiplied, pack_of
from convjit.schedule.schedule import Pack, Phase
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor

Found = Iterator[Diagnostic]


def packs(spec: ConvSpec, phase: Phase, machine: Machine) -> Found:
    """What operands are packed as: types that hold their numbers, and that the machine multiplies."""
    wrong = [d for tensor in (spec.input, spec.weight) for d in packed_as(spec, tensor, phase)]
    yield from wrong
    types = multiplied(spec, phase.packs).types
    if not wrong and not machine.rows_for(types):
        x, w, total = types
        text = f"{machine.name} has no instruction that multiplies {x} and {w} into {total}."
        yield Diagnostic(text, spec.place("dataflow"), hints=("Pack both operands as one type.",))


def packed_as(spec: ConvSpec, tensor: Tensor, phase: Phase) -> Found:
    """Whether one operand's type in memory holds what is multiplied."""
    known, pack = kinds(spec, tensor), pack_of(phase.packs, tensor.name)
    given = pack.as_type if pack else ""
    if given in known or (given == tensor.dtype and "" in known):
        return
    span = (pack.span if pack else None) or spec.place("dataflow")
    listed = ", ".join(k for k in known if k)
    if given:
        note = f"It may be {listed}." if listed else "Its type stays as it is."
        yield Diagnostic(f"'{pack}': {tensor.name} cannot be packed as {given}.", span, notes=(note,))
        return
    why = "its numbers are rounded there" if spec.compute else "its zero points are taken off there"
    why = f"{tensor.dtype} is multiplied as {known[0]}" if tensor.dtype in SHORT else why
    hint = f"Write 'pack {tensor.name}: … as {known[0]}'."
    yield Diagnostic(f"The block must pack the {tensor.role} '{tensor.name}': {why}.", span, hints=(hint,))


def pack_line(pack: Pack) -> Found:
    """A memory order has steps, no kinds."""
    for l in pack.parts:
        if l.kind != "serial" or l.tap:
            yield Diagnostic(f"'{l}': a pack line is an order in memory; its parts have no kind.", l.span or pack.span)
