"""A kernel as machine code, called on NumPy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from convjit.emit.llvm import emit_module
from convjit.kernel.ir import Kernel
from convjit.machine import Machine
from convjit.runtime.assemble import CodeTarget, Library, assemble, load

Array = np.ndarray[Any, Any]


def target(machine: Machine) -> CodeTarget:
    """The machine as the assembler takes it."""
    return CodeTarget(machine.llvm_cpu, machine.llvm_features)


def run(
    kernel: Kernel,
    machine: Machine,
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int] | None = None,
    ranges: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Compile the kernel for a CPU and call it once, as `interpret` takes its arguments."""
    call(compiled((kernel,), machine), kernel, arrays, sizes, ranges)


def compiled(kernels: tuple[Kernel, ...], machine: Machine) -> Library:
    """Several kernels in one object."""
    image = assemble(emit_module(kernels, machine), target(machine))
    return load(image, [kernel.name for kernel in kernels])


def call(
    library: Library,
    kernel: Kernel,
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int] | None = None,
    ranges: Mapping[str, tuple[int, int]] | None = None,
) -> None:
    """Call one of them."""
    numbers = [arrays[p.name].ctypes.data for p in kernel.parameters]
    numbers += [(sizes or {})[size] for size in kernel.sizes]
    numbers += [end for axis in kernel.threads for end in (ranges or {})[axis]]
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * len(numbers))(library.address(kernel.name))
    function(*numbers)
