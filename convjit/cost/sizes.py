"""Values for open sizes, where a figure is wanted before a call."""

from __future__ import annotations

from convjit.spec import geometry
from convjit.spec.conv import ConvSpec

OPEN = {"N": 1, "D": 8, "H": 56, "W": 56}
"""Open sizes for which traffic is shown."""


def open_sizes(spec: ConvSpec) -> dict[str, int]:
    """Values for the open sizes of a spec, at least as large as the kernel spans."""
    reach = zip(spec.spatial, spec.kernel_size, spec.dilation, strict=True)
    least = {axis: geometry.reach(kernel, dilation) for axis, kernel, dilation in reach}
    return {axis: max(OPEN[axis], least.get(axis, 1)) for axis in spec.open_sizes}
