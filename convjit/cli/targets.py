"""`convjit targets`: every target, what it needs, and whether this machine has it."""

from __future__ import annotations

import click

from convjit import machine as machines
from convjit.cli.table import table
from convjit.errors import Unavailable
from convjit.machine.machine import Machine
from convjit.runtime import cuda
from convjit.runtime.cuda_code import runs
from convjit.runtime.detect import host, missing
from convjit.runtime.peak import Peak, measure, of_gpu
from convjit.targets import machine_of

HEAD = ("target", "features", "here", "f32 peak of a core or GPU")
F32 = ("f32", "f32", "f32")


@click.command("targets")
def command() -> None:
    """List the targets, their features, whether this machine has them, and the peak that they reach here."""
    gpu = _gpu()
    click.echo(f"{host().name}, {host().cores} cores: target cpu is {machine_of('cpu').name} here")
    click.echo(f"{gpu.name}: target cuda is {machine_of('cuda').name} here" if gpu else "no GPU")
    click.echo(table(HEAD, [_row(machine, gpu) for machine in machines.MACHINES.values()]))


def _gpu() -> cuda.Gpu | None:
    try:
        return cuda.devices()[cuda.current_device()]
    except Unavailable:
        return None


def _row(machine: Machine, gpu: cuda.Gpu | None) -> tuple[str, str, str, str]:
    if machine.kind == "cpu":
        here = not missing(machine.required)
        peak = measure(machine, F32) if here else None
    else:
        here = gpu is not None and runs(gpu.sm, machine)
        peak = of_gpu(gpu, F32) if gpu and here else None
    return machine.name, _features(machine), "yes" if here else "no", _speed(peak)


def _speed(peak: Peak | None) -> str:
    return f"{peak.operations / 1e9:.1f} GFLOP/s" if peak else "-"


def _features(machine: Machine) -> str:
    """What it needs: features, those of another target by its name, or an architecture and a version of PTX."""
    if machine.kind != "cpu":
        return f"{machine.llvm_cpu}, PTX {machine.ptx // 10}.{machine.ptx % 10}"
    inside = [m for m in machines.MACHINES.values() if m.required and set(m.required) < set(machine.required)]
    most = max(inside, key=lambda m: len(m.required), default=None)
    if most is None:
        return " ".join(machine.required)
    return " ".join([most.name, *(f"+{name}" for name in machine.required if name not in most.required)])
