"""Weight stationary: a few weights stay in registers while all pixels pass; the output is visited again and again."""

from __future__ import annotations

from convjit.machine.machine import Machine
from convjit.schedule import gpu
from convjit.schedule.schedule import Schedule
from convjit.spec.conv import ConvSpec


def on_gpu(spec: ConvSpec, machine: Machine) -> Schedule:
    """Weights in the registers of each thread."""
    return Schedule((gpu.weight_stationary(spec, machine),), "weight_stationary")


BY_KIND = {"cuda": on_gpu}
