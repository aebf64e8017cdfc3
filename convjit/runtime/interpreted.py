"""A call by the kernel's interpreter: slow, and exactly what the kernel's text says."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from convjit.kernel.interpret import interpret
from convjit.kernel.ir import Kernel
from convjit.kernel.meaning import NUMPY
from convjit.kernel.program import Array, Step
from convjit.machine.machine import Machine
from convjit.runtime.array_call import bytes_of
from convjit.runtime.arrays import View
from convjit.runtime.checks import Axes
from convjit.runtime.host_call import HostCall
from convjit.runtime.plan import Plan


class InterpretedCall(HostCall):
    """Runs the kernels of a machine statement by statement, and checks every access."""

    def __init__(self, plan: Plan, axes: Axes, kernels: Mapping[str, Kernel], machine: Machine) -> None:
        super().__init__(plan, axes)
        self.kernels = kernels
        self.machine = machine

    def with_plan(self, plan: Plan) -> InterpretedCall:
        """The same for another plan."""
        return InterpretedCall(plan, self.axes, self.kernels, self.machine)

    def run(self, views: Mapping[str, View], sizes: Mapping[str, int]) -> None:
        """The steps."""
        program = self.plan.program
        made = {a.name: self.memory(bytes_of(a, sizes), None) for a in self.plan.temporaries}
        addresses = {name: region.begin for name, region in {**self.plan.bound, **made}.items()}
        addresses |= {name: view.address for name, view in views.items()}
        known = {a.name: a for a in (*program.inputs, program.output, *program.temporaries)}
        for step in self.plan.steps:
            given = {name: memory(known[name], addresses[name], sizes) for name in step.arrays}
            self._step(step, given, sizes)

    def _step(self, step: Step, given: Mapping[str, np.ndarray[Any, Any]], sizes: Mapping[str, int]) -> None:
        kernel = self.kernels[step.symbol]
        ranges = {axis.name: (0, n if isinstance(n := axis.extent, int) else sizes[n]) for axis in step.threads}
        named = dict(zip(kernel.sizes, (sizes[name] for name in step.sizes), strict=True))
        interpret(kernel, self.machine, given, named, ranges)


def memory(array: Array, address: int, sizes: Mapping[str, int]) -> np.ndarray[Any, Any]:
    """The elements at an address, flat."""
    size = bytes_of(array, sizes)
    if not size:
        return np.empty(0, NUMPY[array.dtype])
    data: Any = (ctypes.c_char * size).from_address(address)
    return np.frombuffer(memoryview(data), NUMPY[array.dtype])
