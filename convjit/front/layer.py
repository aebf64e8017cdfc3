"""A layer of a network: a convolution whose weights are known, in an arithmetic, compiled for the sizes that it meets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convjit import api, dtypes
from convjit.errors import ConvError
from convjit.front.arithmetic import Array, Program, Scales, known, program
from convjit.runtime.compiled import BoundConv
from convjit.spec import layout
from convjit.spec.build import Conv
from convjit.spec.conv import ConvSpec

Shape = tuple[int | None, ...]
"""Sizes, None where they are open."""


@dataclass(frozen=True)
class Window:
    """Steps and borders, for each axis of space. `pad`: (low, high) for each axis, or `same`, `same_lower`, `valid`."""

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: str | tuple[tuple[int, int], ...]
    groups: int = 1


class ConvLayer:
    """y = convolution of x by bound weights; tensors are channels first: x (N, C, space), w (OC, IC, space), bias (OC,).

    The kernel of the first input's shape is compiled for that shape alone, the next shape brings one with open sizes, which serves
    all others (where padding depends on the size, each shape has its own). `scales` are those of an integer arithmetic.
    Raises `ConvError` for an unknown arithmetic and for arrays whose shapes do not go together.
    """

    def __init__(
        self,
        w: Array,
        bias: Array | None,
        window: Window,
        arithmetic: str = "f32",
        scales: Scales | None = None,
        name: str = "layer",
        target: str | None = None,
        threads: int | None = None,
    ) -> None:
        self.w, self.bias, self.window, self.scales = w, bias, window, scales
        self.arithmetic = known(arithmetic)
        self._name, self._target, self._threads = name, target, threads
        self.dtype = _stored(w)
        self._program = program(self.arithmetic, self.dtype, w, bias, scales)
        self._kernels: dict[Shape, BoundConv] = {}

    def __call__(self, x: Array) -> Array:
        """The output, of the input's type."""
        if not x.shape[0]:
            out = self.plain((1, *x.shape[1:])).out_size
            return np.zeros((0, self.w.shape[0], *map(int, filter(None, out))), x.dtype)
        kernel = self.kernel(x.shape)
        y: Array = self._program.after(kernel(self._program.before(np.ascontiguousarray(x))))
        return y

    def kernel(self, shape: Sequence[int]) -> BoundConv:
        """What runs for inputs of a shape, compiled by the first one."""
        key = self._key(tuple(shape))
        if key not in self._kernels:
            compiled: Any = api.compile(self.spec(key), self._target, self._threads)
            self._kernels[key] = compiled.bind(**self._program.constants)
        return self._kernels[key]

    def _key(self, shape: tuple[int, ...]) -> Shape:
        """The shape itself if it was the first, or if sizes cannot be open; otherwise its channels."""
        sized = isinstance(self.window.pad, str) and self.window.pad != "valid" and set(self.window.stride) != {1}
        if shape in self._kernels or not self._kernels or sized:
            return shape
        return (None, shape[1], *[None] * len(shape[2:]))

    @property
    def text(self) -> str:
        """The program of the first kernel, empty as long as there is none."""
        return next((str(kernel.kernel.spec) for kernel in self._kernels.values()), "")

    def spec(self, shape: Shape) -> ConvSpec:
        """The program that is compiled for inputs of a shape, with its arithmetic."""
        return _spec(self._name, shape, self.w, self.window, self._program)

    def plain(self, shape: Shape) -> ConvSpec:
        """The same layer in the type that its tensors have."""
        bare = program("f32", self.dtype, self.w, self.bias, None)
        return _spec(self._name, shape, self.w, self.window, bare)


def _stored(w: Array) -> str:
    """Our name of an array's type."""
    for name in ("f32", "f16", "bf16", "f64"):
        if w.dtype == dtypes.get(name).numpy:
            return name
    raise ConvError.of(f"A layer of {w.dtype} is none of real numbers.", hint="Its types are f32, f16, bf16 and f64.")


def _spec(name: str, shape: Shape, w: Array, window: Window, p: Program) -> ConvSpec:
    space = layout.SPATIAL[len(shape) - 3]
    x_sizes = dict(zip(("N", "C", *space), shape, strict=True))
    w_sizes = dict(zip(("OC", "IC", *layout.kernel_axes(space)), w.shape, strict=True))
    output = " ".join(("N", "OC", *layout.output_axes(space)))
    return Conv(
        name,
        input=("x", p.input[0], x_sizes, p.input[1]),
        weight=("w", p.weight[0], w_sizes, p.weight[1]),
        bias=None if p.bias is None else ("b", p.bias, "OC"),
        output=("y", p.output, output) if p.output else None,
        param=("ws", "f32", "OC") if "ws" in p.constants else (),
        stride=window.stride,
        dilation=window.dilation,
        groups=window.groups,
        pad=window.pad,
        compute=p.compute,
    )
