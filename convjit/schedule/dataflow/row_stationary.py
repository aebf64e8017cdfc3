"""Row stationary: a row of weights stays in registers and is slid along rows of the input (Chen et al., Eyeriss,
ISSCC 2016, where each processing element does so; here one register tile)."""

from __future__ import annotations

from collections.abc import Callable

from convjit.machine.machine import Machine
from convjit.schedule.schedule import Schedule
from convjit.spec.conv import ConvSpec

BY_KIND: dict[str, Callable[[ConvSpec, Machine], Schedule]] = {}
