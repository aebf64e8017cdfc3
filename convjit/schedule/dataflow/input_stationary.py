"""Input stationary: a tile of the input stays close while all that it contributes to is added."""

from __future__ import annotations

from convjit.machine.machine import Machine
from convjit.schedule import gpu
from convjit.schedule.schedule import Schedule
from convjit.spec.conv import ConvSpec


def on_gpu(spec: ConvSpec, machine: Machine) -> Schedule:
    """A tile with its halo in shared memory; threads run over the output channels."""
    return Schedule((gpu.input_stationary(spec, machine),), "input_stationary")


BY_KIND = {"cuda": on_gpu}
