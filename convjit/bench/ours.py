"""Our own kernels: weights bound, the output's memory given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from convjit import __version__, api, dtypes
from convjit.bench.candidate import Array, Arrays, Builder, Candidate
from convjit.runtime.assemble import VERSIONS
from convjit.runtime.compiled import CompiledConv
from convjit.runtime.placement import aligned, empty
from convjit.spec import layout
from convjit.spec.conv import ConvSpec

CONSTANT = ("weight", "bias", "param")


@dataclass(frozen=True)
class Variant:
    """A program that computes the same convolution, perhaps in other orders of axes, and how it is compiled. `placed`: its
    arrays lie as everybody's do here; otherwise where NumPy puts them."""

    name: str
    program: str
    target: str
    threads: int
    placed: bool = True


def versions() -> str:
    """Ours, and that of what makes our machine code."""
    return f"{__version__}, {VERSIONS}"


def builders(spec: ConvSpec, given: Arrays, variants: tuple[Variant, ...]) -> dict[str, Builder]:
    """Each variant, on the same data: `given` stands in the orders of `spec`."""
    return {variant.name: partial(_candidate, spec, given, variant) for variant in variants}


def _candidate(base: ConvSpec, given: Arrays, variant: Variant) -> Candidate:
    ((spec, syntax),) = api.read(variant.program).values()
    kernel = api.compile_one(spec, syntax, variant.target, variant.threads)
    arrays = {t.name: _ordered(base, spec, t.name, given[t.name]) for t in spec.arguments}
    return candidate(kernel, spec, arrays, variant.placed)


def candidate(kernel: CompiledConv, spec: ConvSpec, given: Arrays, placed: bool = True) -> Candidate:
    """A kernel with its constants bound, on copies of these arrays. `spec` has no open sizes."""
    copy, new = (aligned, empty) if placed else (np.array, np.empty)
    given = {name: copy(array) for name, array in given.items()}
    bound = kernel.bind(**{t.name: given[t.name] for t in spec.arguments if t.role in CONSTANT})
    varying = [given[t.name] for t in spec.arguments if t.role not in CONSTANT]
    out = new(tuple(size or 0 for size in spec.output.sizes), dtypes.get(spec.output.dtype).numpy)
    order = layout.permutation(spec.output.axes, ("N", "OC", *layout.output_axes(spec.spatial)))
    call = partial(bound.function, *varying, out=out)

    def result() -> Array:
        call()
        return out.transpose(order)

    filling = np.nan if dtypes.is_float(spec.output.dtype) else dtypes.limits(spec.output.dtype)[1]
    return Candidate(call, result, lambda: out.fill(filling))


def _ordered(base: ConvSpec, spec: ConvSpec, name: str, array: Array) -> Array:
    order = layout.permutation(base.tensor(name).axes, spec.tensor(name).axes)
    return np.ascontiguousarray(array.transpose(order))
