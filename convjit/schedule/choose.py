"""Which schedule: the user's own, a named dataflow's, or the one that suits shape and machine."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.schedule import from_ast
from convjit.schedule.available import refuse_on
from convjit.schedule.break_even import cost
from convjit.schedule.dataflow import DATAFLOWS, MISSING, Generator
from convjit.schedule.dataflow.zero_skipping import impossible
from convjit.schedule.legal import check
from convjit.schedule.packing import as_doubles, dots, list_packs, packing, whole_packs, with_packs
from convjit.schedule.parts import LEAST_F64, NOTHING, Proof, gives_back, in_parts, known
from convjit.schedule.schedule import Schedule
from convjit.spec.conv import ConvSpec

CONSTANTS = 3
"""Registers of the constants of a requantisation. Where the sum is one loop LLVM keeps them across it, and rather moves sums
through memory in every turn than reads the constants again."""

IN_PARTS = ("auto", "output_stationary")
"""Dataflows that keep a sum in one place until it is whole."""


def choose(spec: ConvSpec, machine: Machine, proof: Proof = NOTHING) -> Schedule:
    """The schedule of a spec on a machine. `proof`: what is known of the numbers beyond types and declared ranges. Raises
    ConvError where the dataflow cannot be realised there, Unavailable for what is not implemented there."""
    refuse_on(spec, machine)
    if not isinstance(spec.dataflow, str):
        schedule = from_ast.lower(spec.dataflow)
        check(spec, schedule, machine, proof)
        return schedule
    if spec.dataflow == "auto" and spec.weight.sparse:
        return sparse(spec, machine, proof)
    generators = DATAFLOWS[spec.dataflow]
    if machine.kind not in generators:
        why, nearest = MISSING[spec.dataflow, machine.kind]
        text = f"The dataflow {spec.dataflow} cannot be realised on {machine.name}."
        raise ConvError.of(text, dict(spec.places).get("dataflow"), note=why, hint=f"The nearest is {nearest}.")
    return made(spec, machine, generators[machine.kind], proof)


def sparse(spec: ConvSpec, machine: Machine, proof: Proof) -> Schedule:
    """Of a weight that is declared sparse: a list of what is not 0 where that is known to pay, or all of it."""
    dense = made(spec, machine, DATAFLOWS["auto"][machine.kind], proof)
    taken, why = verdict(spec, machine, proof)
    schedule = made(spec, machine, DATAFLOWS["zero_skipping"][machine.kind], proof) if taken else dense
    return replace(schedule, reasons=(why, *schedule.reasons))


def verdict(spec: ConvSpec, machine: Machine, proof: Proof) -> tuple[bool, str]:
    """Whether a list walks the weight, and why."""
    kinds = DATAFLOWS["zero_skipping"]
    if machine.kind not in kinds or (why := impossible(spec)):
        why = why if machine.kind in kinds else MISSING["zero_skipping", machine.kind][0]
        return False, f"the weight's zeros are multiplied: {why[:1].lower()}{why[1:].rstrip('.')}"
    if proof.density is None:
        return False, "the weight's zeros are multiplied: how many there are is known when it is bound"
    figures = cost(spec, machine, proof)
    here = proof.density.of(figures.run)
    what = "numbers" if figures.run == 1 else f"runs of {figures.run} channels"
    taken = here < figures.break_even
    done = "they are walked by a list" if taken else "all are multiplied"
    return taken, f"{here:.1%} of the weight's {what} are not 0, {done}: by the model a list pays below {figures.break_even:.1%}"


def made(spec: ConvSpec, machine: Machine, generator: Generator, proof: Proof) -> Schedule:
    """By a dataflow's generator, over the operands as they are best multiplied; 64-bit sums in parts where that is proved."""
    by_list = generator is DATAFLOWS["zero_skipping"].get(machine.kind)
    if not by_list and spec.accumulator == "i64" and machine.kind == "cpu" and spec.dataflow in IN_PARTS:
        packs = packing(spec, machine, "i32", proof)
        plain, sure = known(spec, packs, proof, "i32")
        exact = machine.exact(sure.pairs)
        if dots(exact, *plain.types) > 1:
            schedule = in_parts(generator(plain, exact), plain, sure, gives_back(spec, packs))
            if schedule:
                return with_packs(schedule, spec, packs)
        if packs := as_doubles(spec, machine):
            plain, sure = known(spec, packs, proof, "f64")
            schedule = in_parts(generator(plain, machine), plain, sure, False, LEAST_F64["avx512dq" in machine.features])
            if schedule:
                return with_packs(schedule, spec, packs)
    packs = (list_packs if by_list else whole_packs)(spec, machine, proof)
    plain, sure = known(spec, packs, proof)
    return with_packs(generator(plain, _left(spec, machine.exact(sure.pairs))), spec, packs)


def _left(spec: ConvSpec, machine: Machine) -> Machine:
    """The machine with the registers that are left to the sum."""
    kept = spec.output.quantised and prod(spec.kernel_size) == 1 and machine.masks
    return replace(machine, vector_registers=machine.vector_registers - CONSTANTS) if kept else machine
