"""Which schedule: the user's own, a named dataflow's, or the one that suits shape and machine."""

from __future__ import annotations

from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.schedule import from_ast
from convjit.schedule.dataflow import DATAFLOWS, MISSING
from convjit.schedule.legal import check
from convjit.schedule.operands import multiplied
from convjit.schedule.packing import packing, with_packs
from convjit.schedule.schedule import Schedule
from convjit.spec.conv import ConvSpec


def choose(spec: ConvSpec, machine: Machine) -> Schedule:
    """The schedule of a spec on a machine. Raises ConvError where the dataflow cannot be realised there."""
    if not isinstance(spec.dataflow, str):
        schedule = from_ast.lower(spec.dataflow)
        check(spec, schedule, machine)
        return schedule
    generators = DATAFLOWS[spec.dataflow]
    if machine.kind not in generators:
        why, nearest = MISSING[spec.dataflow, machine.kind]
        text = f"The dataflow {spec.dataflow} cannot be realised on {machine.name}."
        raise ConvError.of(text, dict(spec.places).get("dataflow"), note=why, hint=f"The nearest is {nearest}.")
    packs = packing(spec, machine)
    return with_packs(generators[machine.kind](multiplied(spec, packs), machine), spec, packs)
