"""The buffers of vectors over the output channels that are made of weights, bias and scales alone (`prepare`)."""

from __future__ import annotations

from convjit.nest import requantize
from convjit.nest.epilogue import offset, outside
from convjit.nest.ir import Buffer
from convjit.nest.layout import Extent, Layout
from convjit.spec.conv import ConvSpec
from convjit.spec.layout import kernel_axes

MOST_LANES = 64
"""No vector has more."""


def vectors(spec: ConvSpec, zero: int) -> tuple[Buffer, ...]:
    """The buffers that this convolution needs."""
    found: list[Buffer] = []
    if zero:
        found += [over_taps(spec), vector(offset(spec), spec.accumulator, spec)]
    if requantized(spec):
        if requantize.fixed(spec):
            found += [vector(f(spec), "i32", spec) for f in (requantize.multiplier_name, requantize.shift_name)]
        else:
            found.append(vector(requantize.factor_name(spec), "f32", spec))
    return tuple(found)


def requantized(spec: ConvSpec) -> bool:
    """Whether each output channel has a factor of its own."""
    return spec.input.quantised and isinstance(spec.weight.scale, str)


def vector(name: str, dtype: str, spec: ConvSpec) -> Buffer:
    """A number for each output channel."""
    return Buffer(name, ("oc",), dtype, "memory", Layout((("oc", 1),), (("oc", spec.out_channels),)))


def over_taps(spec: ConvSpec) -> Buffer:
    """A number for each output channel and tap, channels side by side, and room for a vector that runs past their end."""
    axes = [a.lower() for a in kernel_axes(spec.spatial)]
    sizes: list[tuple[str, Extent]] = [("oc", -(-spec.out_channels // MOST_LANES) * MOST_LANES), *zip(axes, spec.kernel_size, strict=True)]
    parts = tuple((d, 1) for d in (*axes, "oc"))
    return Buffer(outside(spec), ("oc", *axes), spec.accumulator, "memory", Layout(parts, tuple(sizes)))
