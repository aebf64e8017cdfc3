"""Call a compiled convolution on arrays, and measure it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from convjit import dtypes
from convjit.cli.stored import Array, shape_of
from convjit.cli.timing import median_seconds
from convjit.errors import Unavailable
from convjit.machine.machine import Machine
from convjit.runtime.compiled import CompiledConv
from convjit.runtime.detect import missing
from convjit.runtime.peak import Peak, measure
from convjit.spec.conv import ConvSpec

CONSTANT = ("weight", "bias", "param")
"""Roles of the tensors that do not change between calls."""


@dataclass(frozen=True)
class Measured:
    """A result, the median time of the call that made it, and the peak of what it ran on (None where unknown)."""

    result: Array
    seconds: float
    target: str
    threads: int
    peak: Peak | None


def check_here(machine: Machine) -> None:
    """`Unavailable` where this machine cannot run the target's code."""
    lacks = missing(machine.required)
    if machine.kind == "cpu" and lacks:
        hint = f"`convjit dump FILE --stage asm --target {machine.name}` shows its code; `convjit targets` what runs here."
        raise Unavailable.of(
            f"This machine cannot run {machine.name}: it has no {' '.join(lacks)}.", hint=hint
        )


def bound_call(
    kernel: CompiledConv, spec: ConvSpec, given: Mapping[str, Array]
) -> tuple[Callable[[], object], Array]:
    """The call with everything bound that stays the same, and the array that it writes. `spec` has no open sizes."""
    constant = {t.name: given[t.name] for t in spec.arguments if t.role in CONSTANT}
    varying = {t.name: given[t.name] for t in spec.arguments if t.name not in constant}
    bound = kernel.bind(**constant)
    out = np.empty(shape_of(spec.output), dtypes.get(spec.output.dtype).numpy)
    return lambda: bound(**varying, out=out), out


def run_on(kernel: CompiledConv, machine: Machine, spec: ConvSpec, given: Mapping[str, Array]) -> Measured:
    """The result of a call, the time of such calls, and the machine's peak for the same types."""
    call, out = bound_call(kernel, spec, given)
    call()
    result = out.copy()
    seconds = median_seconds(call)
    peak = measure(machine, (spec.input.dtype, spec.weight.dtype, spec.accumulator), kernel.threads)
    return Measured(result, seconds, machine.name, kernel.threads, peak)
