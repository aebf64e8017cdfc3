"""The targets that this machine has, and those that it lacks, with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from convjit import machine as machines
from convjit.errors import Unavailable
from convjit.machine.machine import Machine
from convjit.runtime import cuda
from convjit.runtime.cuda_code import check_runs
from convjit.runtime.detect import missing
from convjit.study.forms import reason
from convjit.targets import machine_of

SCALAR = "cpu:scalar"


@dataclass(frozen=True)
class Hosts:
    """`here` can be run, from the plainest to the best; `absent` are names of others, and why they are."""

    here: tuple[Machine, ...]
    absent: tuple[tuple[str, str], ...]


def hosts(wanted: Iterable[str] = ()) -> Hosts:
    """All CPUs and the GPU, or only those wanted, and the scalar CPU, which others are compared with.

    `ConvError` for a name that is no target.
    """
    names = [*wanted] or [*(m.name for m in machines.MACHINES.values() if m.kind == "cpu"), "cuda"]
    here: dict[str, Machine] = {SCALAR: machines.get(SCALAR)}
    absent: dict[str, str] = {}
    for name in names:
        try:
            machine = machine_of(name)
            _check(machine)
            here[machine.name] = machine
        except Unavailable as error:
            absent[name] = reason(error)
    return Hosts(tuple(here.values()), tuple(absent.items()))


def _check(machine: Machine) -> None:
    """`Unavailable` where this machine cannot run it."""
    if machine.kind == "cuda":
        check_runs(cuda.devices()[cuda.current_device()], machine)
    lacks = missing(machine.required) if machine.kind == "cpu" else ()
    if lacks:
        raise Unavailable.of(f"This machine cannot run {machine.name}: it has no {' '.join(lacks)}.")
