"""The named dataflows, one file each: a spec and a machine give the lines of a schedule."""

from collections.abc import Callable

from convjit.machine.machine import Machine
from convjit.schedule.dataflow import output_stationary
from convjit.schedule.schedule import Schedule
from convjit.spec.conv import ConvSpec

DATAFLOWS: dict[str, Callable[[ConvSpec, Machine], Schedule]] = {
    "auto": output_stationary.schedule,
    "output_stationary": output_stationary.schedule,
}
