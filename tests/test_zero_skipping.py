"""Lists of the weights that are not 0: every form computes what the reference says, whatever is 0."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from convjit.kernel.interpret import interpret as interpret_kernel
from convjit.machine.registry import get
from convjit.nest.interpret import interpret
from convjit.nest.parse import parse
from convjit.nest.verify import verify
from convjit.pipeline import Compilation
from convjit.schedule.dataflow.zero_skipping import impossible
from convjit.spec.conv import ConvSpec
from convjit.spec.reference import reference
from convjit.spec.unsupported import refuse
from tests.compiled import call, compiled
from tests.conftest import processor_flags
from tests.fuzz import Arrays, named, same
from tests.random_specs import random_arrays, random_sizes, random_spec

SHARES = (0.0, 0.3, 0.7, 0.9, 1.0)


def draw(seed: int) -> tuple[ConvSpec, Arrays, dict[str, int]]:
    """A convolution whose taps can be walked, and arrays; its weights are 0 in part, some output channels as a whole."""
    r = random.Random(seed)
    while True:
        spec = random_spec(r)
        if not impossible(spec):
            break
    spec = replace(spec, dataflow="zero_skipping")
    sizes = random_sizes(r, spec)
    arrays = random_arrays(seed, spec, sizes)
    w, rng = arrays["w"], np.random.default_rng(seed)
    w[rng.random(w.shape) < r.choice(SHARES)] = 0
    empty = rng.random(spec.out_channels) < r.choice([0, 0, 0.3])
    np.moveaxis(w, spec.weight.axes.index("OC"), 0)[empty] = 0
    return spec, arrays, sizes


def check(seed: int, target: str) -> None:
    """The nests, the kernels and the machine code."""
    spec, arrays, sizes = draw(seed)
    machine = get(target)
    refuse(spec)
    c = Compilation(spec, machine)
    want = reference(spec, **{t.name: arrays[t.name] for t in spec.arguments})
    flags = set(machine.required) <= processor_flags()
    library = compiled(c.kernels, machine) if flags else None
    for form in ("nest", "kernel", *(["code"] if library else [])):
        memory = {**arrays, "y": np.full_like(arrays["y"], 99)}
        for nest, kernel in zip(c.nests, c.kernels, strict=True):
            assert parse(str(verify(nest))) == nest
            known = {a: arrays["y"].shape[spec.output.axes.index(a)] for a in spec.output.axes} | sizes
            parts = {w.name: (0, w.extent.value(known)) for w in nest.workers}
            for b in nest.buffers:
                if b.level == "memory" and b.name not in memory:
                    assert b.layout
                    counts = [known[n] if isinstance(n, str) else n for n in b.layout.counts()]
                    memory[b.name] = np.full(int(np.prod(counts)), 55, dtype_of(b.dtype))
            if form == "nest":
                interpret(nest, memory, sizes, parts)
            elif form == "kernel":
                given = {p.name: memory[p.name] for p in kernel.parameters}
                interpret_kernel(kernel, machine, given, named(sizes), parts)
            elif library:
                call(library, kernel, memory, named(sizes), parts)
        assert same(spec, memory["y"], want), f"{form} is wrong"


def dtype_of(dtype: str) -> np.dtype[np.generic]:
    """NumPy's."""
    return np.dtype({"u8": "u1", "i8": "i1", "i16": "i2", "i32": "i4", "i64": "i8", "f32": "f4", "f64": "f8"}[dtype])


@pytest.mark.parametrize("seed", range(24))
def test_random_convolutions(seed: int) -> None:
    check(seed, "cpu:avx2")
