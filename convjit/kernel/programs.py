"""Spec and nests → Program: which arrays a call takes, which temporaries it needs, which kernels run in which order."""

from __future__ import annotations

from dataclasses import replace

from convjit.errors import InternalError
from convjit.kernel.alignment import alignments
from convjit.kernel.ir import Kernel, Launch
from convjit.kernel.program import Array, Program, Step, ThreadAxis
from convjit.nest.affine import Affine
from convjit.nest.ir import Buffer, Nest
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor


def program(spec: ConvSpec, nests: tuple[Nest, ...], kernels: tuple[Kernel, ...]) -> Program:
    """The program of one convolution; every nest has its kernel."""
    given = {t.name for t in spec.tensors}
    used = {p.name for k in kernels for p in k.parameters}
    made = {b.name: b for n in nests for b in n.buffers if b.name in used and b.name not in given}
    return Program(
        spec.name, tuple(array(t) for t in spec.arguments), array(spec.output),
        tuple(temporary(b) for b in made.values()),
        tuple(step(n, k) for n, k in zip(nests, kernels, strict=True)),
        next((n.sizes for n in nests if n.sizes), ()),
    )  # fmt: skip


def array(tensor: Tensor) -> Array:
    """A tensor as the caller gives it; an open size by its letter."""
    shape = tuple(a if s is None else s for a, s in zip(tensor.axes, tensor.sizes, strict=True))
    return Array(tensor.name, tensor.dtype, shape)


def temporary(buffer: Buffer) -> Array:
    """A packed tensor, flat where its size is known."""
    assert buffer.layout
    counts = buffer.layout.counts()
    shape: tuple[int | str, ...] = (buffer.layout.elements(),) if all(isinstance(n, int) for n in counts) else counts
    return Array(buffer.name, buffer.dtype, shape)


def step(nest: Nest, kernel: Kernel) -> Step:
    """How one kernel is called."""
    arrays = tuple(p.name for p in kernel.parameters)
    writes = tuple(p.name for p in kernel.parameters if p.written)
    axes = tuple(ThreadAxis(a.name, extent(a.extent), a.step) for a in nest.workers)
    launch = launch_of(kernel.launch) if kernel.launch else None
    wide = tuple(alignments(kernel).items()) if kernel.launch else ()
    return Step(kernel.name, arrays, writes, tuple(s.name for s in nest.sizes), axes, launch, wide)


def launch_of(launch: Launch) -> Launch:
    """The launch with its open sizes named as in the program."""
    blocks = tuple(b.removeprefix("size.") if isinstance(b, str) else b for b in launch.blocks)
    return replace(launch, blocks=blocks)


def extent(size: Affine) -> int | str:
    """A size as a number or the name of an open size."""
    if not size.terms:
        return size.const
    if len(size.terms) == 1 and size.terms[0][1] == 1 and size.const == 0:
        return size.terms[0][0]
    raise InternalError(f"{size} is neither a number nor an open size")
