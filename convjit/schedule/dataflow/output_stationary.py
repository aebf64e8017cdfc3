"""Output stationary: a tile of the output stays in registers while all its products are added."""

from __future__ import annotations

from convjit.machine.machine import Machine
from convjit.schedule import gpu
from convjit.schedule.defaults import default
from convjit.schedule.schedule import Schedule
from convjit.spec.conv import ConvSpec


def on_gpu(spec: ConvSpec, machine: Machine) -> Schedule:
    """A tile in the registers of the threads of a block."""
    return Schedule((gpu.output_stationary(spec, machine),), "output_stationary")


BY_KIND = {"cpu": default, "cuda": on_gpu}
