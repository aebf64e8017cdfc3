"""A convolution on a GPU with its buffers: PyTorch's calls of it, and ours under a schedule."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

import convjit
from bench.gpu_shapes import Shape
from bench.gpu_timing import Call, buffers
from convjit.runtime.compiled import CompiledConv

LIMIT64 = 1e-6
"""The NRMSE that the first images may have against float64."""


@dataclass(frozen=True)
class Contender:
    """Somebody's call, its result for the first buffers, and what its row says besides times."""

    name: str
    call: Call
    about: dict[str, Any]


class Problem:
    """A shape at a batch size, with its buffers: NHWC inputs and KH KW OC IC weights, all with the same values."""

    def __init__(self, shape: Shape, n: int) -> None:
        torch.manual_seed(ord(shape.name))
        self.shape, self.n = shape, n
        self.count = buffers(shape.bytes(n))
        x = torch.randn(n, shape.size, shape.size, shape.c, device="cuda")
        w = torch.randn(shape.k, shape.k, shape.oc, shape.c // shape.groups, device="cuda")
        w /= math.sqrt(shape.k**2 * shape.c / shape.groups)
        self.xs = [x.clone() for _ in range(self.count)]
        self.ws = [w.clone() for _ in range(self.count)]

    def conv(self, x: Any, w: Any) -> Any:
        """PyTorch's, on NCHW views."""
        s = self.shape
        return functional.conv2d(x, w, None, s.stride, s.pad, s.dilation, s.groups)

    def exact(self) -> Any:
        """The first images in float64, NHWC."""
        images = min(self.n, 4) if self.shape.size <= 60 else 1
        x, w = self.xs[0][:images].permute(0, 3, 1, 2).double(), self.ws[0].permute(2, 3, 0, 1).double()
        return self.conv(x, w).permute(0, 2, 3, 1)

    def cudnn(self) -> Iterator[Contender]:
        """cuDNN on channels-last and on NCHW tensors; each searched twice (with `deterministic` there is a new search)."""
        for layout, format in (("NHWC", torch.channels_last), ("NCHW", torch.contiguous_format)):
            xs = [x.permute(0, 3, 1, 2).contiguous(memory_format=format) for x in self.xs]
            ws = [w.permute(2, 3, 0, 1).contiguous(memory_format=format) for w in self.ws]
            for deterministic in (False, True):
                name = f"cudnn {layout}{' det' if deterministic else ''}"
                yield Contender(name, self._searched(xs, ws, deterministic), {})

    def _searched(self, xs: list[Any], ws: list[Any], deterministic: bool) -> Call:
        def call(i: int) -> object:
            torch.backends.cudnn.deterministic = deterministic
            return self.conv(xs[i], ws[i])

        return call

    def ours(self, name: str, dataflow: str, want: Any, every: Any) -> Contender:
        """A schedule of ours, checked. `ConvError` where it is refused, `AssertionError` where it is wrong."""
        start = time.perf_counter()
        kernel = convjit.compile(self.shape.text(self.n, dataflow), target="cuda")
        compile_ms = (time.perf_counter() - start) * 1e3
        assert isinstance(kernel, CompiledConv)
        bound = [kernel.bind(w) for w in self.ws]
        ys = [torch.full(every.shape, math.nan, device="cuda") for _ in range(self.count)]
        bound[0](self.xs[0], out=ys[0])
        about: dict[str, Any] = {"compile_ms": compile_ms, "schedule": " ".join(kernel.dump("schedule").split())}
        about |= {"error64": nrmse(ys[0][: len(want)], want), "error_all": nrmse(ys[0], every)}
        assert about["error64"] < LIMIT64, f"NRMSE against float64 is {about['error64']:.1e}"
        assert about["error_all"] < 2 * LIMIT64, f"NRMSE against cuDNN is {about['error_all']:.1e}"
        functions = list(kernel._python.code.on(0).values())  # type: ignore[attr-defined]
        worst = max(functions, key=lambda f: f.registers)
        about |= {"registers": worst.registers, "blocks": worst.blocks, "local": max(f.local for f in functions)}
        return Contender(name, lambda i: bound[i](self.xs[i], out=ys[i]), about)


def nrmse(result: Any, want: Any) -> float:
    """sqrt(mean((y - ref)^2)) / (max(ref) - min(ref)); infinite where something is not a number."""
    error = float((result.double() - want.double()).square().mean().sqrt() / (want.max() - want.min()))
    return error if math.isfinite(error) else math.inf
