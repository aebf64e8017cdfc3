"""A convolution compiled for one target, its constants bound, called once: ready to be checked and timed.

Times of a CPU are wall-clock times of a call; those of a GPU are its own, between two events, on arrays that lie in
its memory: copies to it and back are no part of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.kernel.program import Program
from convjit.machine.machine import Machine
from convjit.pipeline import Compilation
from convjit.runtime import cuda
from convjit.runtime.burst import burst
from convjit.runtime.compiled import BoundConv, CompiledConv
from convjit.runtime.device_array import DeviceArray
from convjit.runtime.placement import aligned, empty
from convjit.schedule.prove import proof
from convjit.spec.certificate import Certificate
from convjit.spec.conv import ConvSpec
from convjit.spec.unsupported import refuse
from convjit.study.real import Arrays, Form
from convjit.targets import CALLABLES

CONSTANT = ("weight", "bias", "param")
"""Roles of the tensors that are bound."""

BATCH, LEAST = 2e-3, 3
"""Calls on a GPU are timed in batches of about so many seconds, and in at least so many batches."""


@dataclass(frozen=True)
class Candidate:
    """`result` is what the first call gave, `once` the seconds of a later one. `burst(threads, seconds)` calls it for about
    that long and gives the median seconds of a call; `call(threads)` calls it once and returns when it is done. `threads`
    is the number of CPU workers that it has when nothing is asked (1 on a GPU, where it means nothing). `packed` are the
    bytes of what is packed at `bind` or in a call, `compilation` is that of what runs."""

    compilation: Compilation
    result: NDArray[Any]
    once: float
    threads: int
    packed: int
    burst: Callable[[int, float], float]
    call: Callable[[int], object]


def candidate(form: Form, machine: Machine, threads: int | None = None) -> Candidate:
    """Compile a form without open sizes and call it. `ConvError` where it is refused, `Unavailable` for what is not here."""
    refuse(form.spec)
    compilation = Compilation(form.spec, machine)
    kernel = CALLABLES[compilation.runner](compilation, threads)
    return MAKERS[compilation.runner](compilation, kernel, form)


def _on_cpu(c: Compilation, kernel: CompiledConv, form: Form) -> Candidate:
    given = {name: aligned(array) for name, array in form.given.items()}
    bound = kernel.bind(**_chosen(form.spec, given, constant=True))
    out = empty(_shape(form.spec), dtypes.get(form.spec.output.dtype).numpy)
    out.view(np.uint8).fill(0xA5)  # what an earlier kernel left there must not look like a result
    call = partial(bound.function, **_chosen(form.spec, given, constant=False), out=out)
    call()
    result = out.copy()
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    return Candidate(
        _taken(c, kernel, bound), result, once, kernel.threads, packed_bytes(bound.program),
        partial(_burst, bound, call), partial(_with_threads, bound, call),
    )  # fmt: skip


def _taken(c: Compilation, kernel: CompiledConv, bound: BoundConv) -> Compilation:
    """The compilation of what runs: for integers perhaps one that relies on the certificate of the bound weights."""
    if bound.kernel is kernel or not isinstance(bound.certificate, Certificate):
        return c
    return Compilation(c.spec, c.machine, c.syntax, c.runner, proof(bound.certificate))


def _burst(bound: BoundConv, call: Callable[[], object], threads: int, seconds: float) -> float:
    bound.threads = threads
    return burst(call, seconds).median


def _with_threads(bound: BoundConv, call: Callable[[], object], threads: int) -> object:
    bound.threads = threads
    return call()


def _on_gpu(c: Compilation, kernel: CompiledConv, form: Form) -> Candidate:
    device = cuda.current_device()
    there = {name: DeviceArray.of(array, device) for name, array in form.given.items()}
    bound = kernel.bind(**_chosen(form.spec, there, constant=True))
    out = DeviceArray(_shape(form.spec), form.spec.output.dtype, device)
    call = partial(bound, **_chosen(form.spec, there, constant=False), out=out)
    call()
    result = out.numpy()
    seconds_of = partial(cuda.seconds, device, 0, call)
    packed = packed_bytes(bound.program)

    def done(threads: int) -> None:
        call()
        cuda.synchronize(device, 0)

    return Candidate(c, result, seconds_of(LEAST), 1, packed, lambda _, seconds: batches(seconds_of, seconds), done)


MAKERS: dict[str, Callable[[Compilation, CompiledConv, Form], Candidate]] = {"cpu": _on_cpu, "cuda": _on_gpu}


def batches(seconds_of: Callable[[int], float], seconds: float) -> float:
    """The median over batches; `seconds_of` a number of calls gives the seconds of one among them."""
    one = max(seconds_of(LEAST), 1e-9)
    repeat = max(1, round(BATCH / one))
    rounds = max(LEAST, round(seconds / (repeat * one)))
    return statistics.median(seconds_of(repeat) for _ in range(rounds))


def packed_bytes(program: Program) -> int:
    """Bytes of the arrays that a program makes beside its output: packed weights and inputs."""
    total = 0
    for array in program.temporaries:
        count = 1
        for size in array.shape:
            count *= int(size)
        total += -(-count * dtypes.bits(array.dtype) // 8)
    return total


def _chosen(spec: ConvSpec, given: Arrays | dict[str, DeviceArray], constant: bool) -> dict[str, Any]:
    return {t.name: given[t.name] for t in spec.arguments if (t.role in CONSTANT) == constant}


def _shape(spec: ConvSpec) -> tuple[int, ...]:
    return tuple(size or 0 for size in spec.output.sizes)
