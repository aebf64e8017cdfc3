"""`convjit targets`: every target, what it needs, and whether this machine has it."""

from __future__ import annotations

import click

from convjit import machine as machines
from convjit.cli.table import table
from convjit.machine.machine import Machine
from convjit.runtime.detect import best_target, host, missing
from convjit.runtime.peak import measure

HEAD = ("target", "features", "here", "f32 peak of one core")


@click.command("targets")
def command() -> None:
    """List the targets, their features, whether this machine has them, and the peak that they reach here."""
    click.echo(f"{host().name}, {host().cores} cores: target cpu is {best_target(machines.MACHINES)} here")
    click.echo(table(HEAD, [_row(machine) for machine in machines.MACHINES.values()]))


def _row(machine: Machine) -> tuple[str, str, str, str]:
    if machine.kind != "cpu":
        return machine.name, f"{machine.llvm_cpu}, PTX {machine.ptx // 10}.{machine.ptx % 10}", "-", "-"
    lacks = missing(machine.required)
    peak = None if lacks else measure(machine, ("f32", "f32", "f32"))
    return (
        machine.name,
        _features(machine),
        "no" if lacks else "yes",
        f"{peak.operations / 1e9:.1f} GFLOP/s" if peak else "-",
    )


def _features(machine: Machine) -> str:
    """The features, those of another target by its name."""
    inside = [m for m in machines.MACHINES.values() if m.required and set(m.required) < set(machine.required)]
    most = max(inside, key=lambda m: len(m.required), default=None)
    if most is None:
        return " ".join(machine.required)
    return " ".join([most.name, *(f"+{name}" for name in machine.required if name not in most.required)])
