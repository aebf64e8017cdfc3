"""Call a compiled convolution on arrays, and measure it, wherever its target runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from convjit import api, dtypes
from convjit.cli.stored import Array, shape_of
from convjit.cli.timing import batch_seconds, median_seconds
from convjit.errors import Unavailable
from convjit.pipeline import Compilation
from convjit.runtime import cuda
from convjit.runtime.compiled import BoundConv, CompiledConv
from convjit.runtime.cuda_code import check_runs
from convjit.runtime.detect import missing
from convjit.runtime.device_array import DeviceArray
from convjit.runtime.peak import Peak, measure_now, of_gpu
from convjit.spec.conv import ConvSpec

CONSTANT = ("weight", "bias", "param")
"""Roles of the tensors that do not change between calls."""

Call = Callable[[], object]


@dataclass(frozen=True)
class Measured:
    """A result, the median time of the call that made it, where it ran ("cpu:avx2, 2 threads"), the peak there (None where
    unknown), and what the certificate of the bound weights says."""

    result: Array
    seconds: float
    place: str
    peak: Peak | None
    certificate: str = ""


def check_runnable(c: Compilation) -> None:
    """`Unavailable` where this machine cannot run what the compilation is for."""
    lacks = missing(c.machine.required)
    if c.runner == "cpu" and lacks:
        name = c.machine.name
        hint = f"`convjit dump FILE --stage asm --target {name}` shows its code; `convjit targets` what runs here."
        raise Unavailable.of(f"This machine cannot run {name}: it has no {' '.join(lacks)}.", hint=hint)
    if c.runner == "cuda":
        check_runs(cuda.devices()[cuda.current_device()], c.machine)


def run_on(c: Compilation, threads: int | None, spec: ConvSpec, given: Mapping[str, Array]) -> Measured:
    """Compile, bind, call, and time such calls. `spec` is the compilation's, without open sizes."""
    return RUNNERS[c.runner](c, api.finish(c, threads), spec, given)


def bound_call(kernel: CompiledConv, spec: ConvSpec, given: Mapping[str, Array]) -> tuple[Call, Array, BoundConv]:
    """The call with everything bound that stays the same, the array that it writes, and what is bound. `spec` has no open
    sizes."""
    constant = {t.name: given[t.name] for t in spec.arguments if t.role in CONSTANT}
    varying = {t.name: given[t.name] for t in spec.arguments if t.name not in constant}
    bound = kernel.bind(**constant)
    out = np.empty(shape_of(spec.output), dtypes.get(spec.output.dtype).numpy)
    return lambda: bound(**varying, out=out), out, bound


def _on_cpu(c: Compilation, kernel: CompiledConv, spec: ConvSpec, given: Mapping[str, Array]) -> Measured:
    """The peak is the better one of two, before and after: a neighbour that slows it down may be gone by then."""
    call, out, bound = bound_call(kernel, spec, given)
    call()
    result = out.copy()
    machine, types = bound.kernel.arithmetic()
    before = measure_now(machine, types, kernel.threads)
    seconds = median_seconds(call)
    after = measure_now(machine, types, kernel.threads)
    peak = max((p for p in (before, after) if p), key=lambda p: p.operations, default=None)
    workers = f"{kernel.threads} thread{'s' * (kernel.threads > 1)}"
    return Measured(result, seconds, f"{c.machine.name}, {workers}", peak, str(bound.certificate or ""))


def _on_gpu(c: Compilation, kernel: CompiledConv, spec: ConvSpec, given: Mapping[str, Array]) -> Measured:
    """On copies of the arrays on the GPU; times are the GPU's own."""
    device = cuda.current_device()
    there = {name: DeviceArray.of(array, device) for name, array in given.items()}
    bound = kernel.bind(**{t.name: there[t.name] for t in spec.arguments if t.role in CONSTANT})
    varying = {t.name: there[t.name] for t in spec.arguments if t.role not in CONSTANT}
    out = DeviceArray(shape_of(spec.output), spec.output.dtype, device)

    def call() -> object:
        return bound(**varying, out=out)

    call()
    result = out.numpy()
    seconds = batch_seconds(partial(cuda.seconds, device, 0, call))
    gpu = cuda.devices()[device]
    return Measured(result, seconds, f"{c.machine.name}, {gpu.name}", of_gpu(gpu, spec.types))


def _interpreted(c: Compilation, kernel: CompiledConv, spec: ConvSpec, given: Mapping[str, Array]) -> Measured:
    call, out, _ = bound_call(kernel, spec, given)
    seconds = median_seconds(call, once=True)
    return Measured(out, seconds, f"interpret, the kernel for {c.machine.name}", None)


RUNNERS: dict[str, Callable[[Compilation, CompiledConv, ConvSpec, Mapping[str, Array]], Measured]] = {
    "cpu": _on_cpu,
    "cuda": _on_gpu,
    "interpret": _interpreted,
}
