"""Axes and their order in memory."""

from __future__ import annotations

from collections.abc import Sequence

SPATIAL: tuple[tuple[str, ...], ...] = (("W",), ("H", "W"), ("D", "H", "W"))
"""The spatial axes of 1-D, 2-D and 3-D convolutions, outermost first."""

MEANING: dict[str, str] = {
    "N": "batch",
    "C": "input channels",
    "D": "input depth",
    "H": "input height",
    "W": "input width",
    "OC": "output channels",
    "IC": "input channels of a group",
    "KD": "kernel depth",
    "KH": "kernel height",
    "KW": "kernel width",
    "OD": "output depth",
    "OH": "output height",
    "OW": "output width",
}


def role_axes(role: str, spatial: Sequence[str]) -> tuple[str, ...]:
    """The axes that a tensor of this role has, in the order N, channels, space (any order is legal in a program)."""
    if role == "input":
        return ("N", "C", *spatial)
    if role == "weight":
        return ("OC", "IC", *kernel_axes(spatial))
    if role in ("output", "residual"):
        return ("N", "OC", *output_axes(spatial))
    return ("OC",)


def kernel_axes(spatial: Sequence[str]) -> tuple[str, ...]:
    """("H", "W") -> ("KH", "KW")"""
    return tuple("K" + axis for axis in spatial)


def output_axes(spatial: Sequence[str]) -> tuple[str, ...]:
    """("H", "W") -> ("OH", "OW")"""
    return tuple("O" + axis for axis in spatial)


def as_output(axis: str) -> str:
    """The output's axis that stands where an input has `axis`: N -> N, C -> OC, H -> OH."""
    return axis if axis == "N" else "O" + axis


def strides(sizes: Sequence[int]) -> tuple[int, ...]:
    """Elements between neighbours along each axis of a dense array, last axis fastest."""
    steps = [1] * len(sizes)
    for i in reversed(range(len(sizes) - 1)):
        steps[i] = steps[i + 1] * sizes[i + 1]
    return tuple(steps)


def permutation(source: Sequence[str], wanted: Sequence[str]) -> tuple[int, ...]:
    """For `np.transpose`: where each wanted axis stands in `source`."""
    return tuple(source.index(axis) for axis in wanted)
