"""Targets: which machine a name means here, and how a compilation for it becomes something that can be called."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from convjit import __version__
from convjit import machine as machines
from convjit.emit.passes import PASSES
from convjit.emit.ptx import ptx
from convjit.errors import Unavailable
from convjit.machine.machine import Machine
from convjit.pipeline import Compilation, code_target, stage_texts
from convjit.runtime import cache, cuda, geometry
from convjit.runtime.absent import AbsentCall
from convjit.runtime.assemble import VERSIONS, assemble, load
from convjit.runtime.called_conv import CalledConv
from convjit.runtime.compiled import CompiledConv
from convjit.runtime.cuda_call import CudaCall
from convjit.runtime.cuda_code import Code, runs
from convjit.runtime.detect import best_target, missing
from convjit.runtime.interpreted import InterpretedCall
from convjit.runtime.native_conv import NativeConv
from convjit.runtime.plan import Plan
from convjit.runtime.tasks import task_symbols, with_tasks
from convjit.schedule.choose import verdict
from convjit.schedule.density import Density
from convjit.schedule.operands import sum_type
from convjit.schedule.parts import Proof, known
from convjit.schedule.prove import certificate, density, proof
from convjit.spec.certificate import Certificate


def machine_of(name: str) -> Machine:
    """The machine that a target's name means here. `ConvError` where there is no such name, `Unavailable` where it names
    something that is not here."""
    return HERE[name]() if name in HERE else machines.get(name)


def _gpu() -> Machine:
    """The newest named machine whose code the present GPU runs."""
    gpu = cuda.devices()[cuda.current_device()]
    gpus = [m for m in machines.MACHINES.values() if m.kind == "cuda"]
    fitting = [m for m in gpus if runs(gpu.sm, m)]
    if not fitting:
        note = f"'{gpu.name}' is sm_{gpu.sm}; the oldest that code is made for is sm_{min(m.sm for m in gpus)}."
        raise Unavailable.of("The GPU here is too old.", note=note)
    best = max(fitting, key=lambda m: m.sm)
    if gpu.sm > max(m.sm for m in gpus):
        text = f"'{gpu.name}' is sm_{gpu.sm}, newer than any GPU known here: it gets code for {best.llvm_cpu}."
        warnings.warn(text, stacklevel=2)
    return best


HERE: dict[str, Callable[[], Machine]] = {
    "cpu": lambda: machines.get(best_target(machines.MACHINES)),
    "cuda": _gpu,
    "interpret": lambda: machines.get("cpu:scalar"),
}
"""Targets that mean what this machine has."""


def _native(c: Compilation, threads: int | None) -> CompiledConv:
    name = cache.key(__version__, VERSIONS, c.machine, tuple(str(k) for k in c.kernels), c.program)

    def make() -> bytes:
        text = with_tasks(c.llvm, c.program)
        return c.timed("codegen", lambda: assemble(text, code_target(c.machine)))

    image = cache.cached(name, make)
    lacks = missing(c.machine.required)
    if lacks:
        return CalledConv(AbsentCall(_plan(c), _axes(c), c.machine.name, lacks), **_about(c))
    library = c.timed("load", lambda: load(image, task_symbols(c.program)))
    count = c.spec.threads if threads is None else threads
    return NativeConv(c.program, library, threads=count, axes=_axes(c), **_about(c))


def _on_gpu(c: Compilation, threads: int | None) -> CompiledConv:
    geometry.check_bytes(c.program, {})
    for step in c.program.steps:
        geometry.check_blocks(step)
    name = cache.key(__version__, VERSIONS, PASSES["cuda"], c.machine, tuple(str(k) for k in c.kernels), c.program)

    def make() -> bytes:
        text = c.llvm
        return c.timed("codegen", lambda: ptx(text, c.machine)).encode()

    code = Code(cache.cached(name, make).decode(), c.machine, c.program.steps)
    gpu = _present()
    if gpu and runs(gpu.sm, c.machine):
        c.timed("load", lambda: code.on(gpu.number))
    return CalledConv(CudaCall(_plan(c), _axes(c), code), **_about(c))


def _present() -> cuda.Gpu | None:
    """The GPU of this thread; None where there is none (code can be made and read all the same)."""
    try:
        return cuda.devices()[cuda.current_device()]
    except Unavailable:
        return None


def _interpreted(c: Compilation, threads: int | None) -> CompiledConv:
    kernels = {kernel.name: kernel for kernel in c.kernels}
    return CalledConv(InterpretedCall(_plan(c), _axes(c), kernels, c.machine), **_about(c))


CALLABLES: dict[str, Callable[[Compilation, int | None], CompiledConv]] = {
    "cpu": _native,
    "cuda": _on_gpu,
    "interpret": _interpreted,
}
"""By the compilation's runner: what makes a callable of it, with so many threads where that means anything."""


def _plan(c: Compilation) -> Plan:
    return Plan(c.program, {}, c.program.steps, {}, {})


def _axes(c: Compilation) -> dict[str, tuple[str, ...]]:
    return {t.name: t.axes for t in c.spec.tensors}


def _explained(c: Compilation) -> str:
    """What `explain` says; it is loaded here, with all models of cost, since no compilation needs them."""
    text: str = import_module("convjit.explanation").explain(c)
    return text


def _about(c: Compilation) -> dict[str, Any]:
    """What every compiled convolution says of itself."""
    constants = tuple(t.name for t in c.spec.arguments if t.role in ("weight", "bias", "param"))
    return {
        "spec": c.spec,
        "stages": stage_texts(c),
        "explanation": lambda: _explained(c),
        "constants": constants,
        "certify": lambda given: certificate(c.spec, given),
        "weigh": lambda given: density(c.spec, given),
        "specialise": lambda found, share: specialised(c, found, share),
        "remark": lambda found, share: remark(c, found, share),
        "arithmetic": lambda: arithmetic(c),
    }


def arithmetic(c: Compilation) -> tuple[Machine, tuple[str, str, str]]:
    """The machine with the instructions that are exact here, and the types that it multiplies and sums up."""
    phase = c.schedule.phases[0]
    plain, sure = known(c.spec, phase.packs, c.proof, sum_type(c.spec, phase))
    return c.machine.exact(sure.pairs), plain.types


def remark(c: Compilation, found: object, share: object) -> str:
    """What `auto` made of the zeros of a bound weight; "" where it was not asked."""
    if not isinstance(share, Density) or c.spec.dataflow != "auto":
        return ""
    return verdict(c.spec, c.machine, known_of(found, share))[1]


def known_of(found: object, share: object) -> Proof:
    """What the certificate and the zeros of bound weights say."""
    return proof(found if isinstance(found, Certificate) else None, share if isinstance(share, Density) else None)


def specialised(c: Compilation, found: object, share: object) -> CompiledConv | None:
    """The convolution compiled anew where bound weights, or their certificate, allow what nobody knew before."""
    known = known_of(found, share)
    if known == c.proof or c.machine.kind != "cpu":
        return None
    other = Compilation(c.spec, c.machine, c.syntax, c.runner, known)
    return CALLABLES[c.runner](other, None) if str(other.schedule) != str(c.schedule) else None
