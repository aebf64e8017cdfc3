"""A convolution of 8-bit tensors as other libraries take it: arrays in their order, every scale and zero point by itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convjit.bench.candidate import Array, Arrays, channels_first, output_shape
from convjit.runtime.placement import aligned
from convjit.spec.conv import ConvSpec


@dataclass(frozen=True)
class Quantised:
    """`x` NCHW, `w` OIHW with symmetric scales, one f32 for each output channel; `bias` i32, in units of a sum. A real number
    is (value - zero) * scale. `pad` has a low and a high side for each axis of space."""

    x: Array
    w: Array
    bias: Array
    x_scale: float
    x_zero: int
    w_scales: Array
    y_scale: float
    y_zero: int
    y_shape: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[tuple[int, int], ...]
    groups: int

    @property
    def low(self) -> list[int]:
        """The low sides of the padding."""
        return [p[0] for p in self.pad]

    @property
    def high(self) -> list[int]:
        """The high sides."""
        return [p[1] for p in self.pad]

    @property
    def bias_scales(self) -> Array:
        """What one unit of a sum stands for, f32, by output channel."""
        scales: Array = np.float32(self.x_scale) * self.w_scales
        return scales

    @property
    def real_bias(self) -> Array:
        """The bias as f32 numbers."""
        real: Array = (self.bias.astype(np.float64) * self.bias_scales).astype(np.float32)
        return real


def quantised(spec: ConvSpec, given: Arrays) -> Quantised:
    """From a spec whose tensors are quantised (weights symmetric; no `then` clauses) and the arrays of its arguments."""
    x, w, bias = channels_first(spec, given)
    channels = int(spec.out_channels)
    scale = spec.weight.scale
    scales = given[scale] if isinstance(scale, str) else np.full(channels, scale, np.float32)
    return Quantised(
        x=x,
        w=w,
        bias=np.zeros(channels, np.int32) if bias is None else bias,
        x_scale=_number(spec.input.scale),
        x_zero=int(_number(spec.input.zero)),
        w_scales=aligned(scales),
        y_scale=_number(spec.output.scale),
        y_zero=int(_number(spec.output.zero)),
        y_shape=output_shape(spec),
        stride=spec.stride,
        dilation=spec.dilation,
        pad=spec.pad,
        groups=spec.groups,
    )


def _number(value: float | str | None) -> float:
    """Of a scale or zero point of a whole tensor; a zero point that was left out is 0."""
    return float(value or 0)
