"""Drop the guards that intervals decide, and nothing else: on a GPU borders are filled with zeros, not cut off.

Must run while the threads' loops are still loops: their ranges are what decides.
"""

from __future__ import annotations

from dataclasses import replace

from convjit.nest.affine import Range
from convjit.nest.ir import Let, Nest
from convjit.nest.passes.peel_borders import Peeler
from convjit.nest.visit import walk


def decide_guards(nest: Nest) -> Nest:
    """The nest without guards that always hold, and without statements that never run."""
    ranges: dict[str, Range] = {}
    for stmt, _ in walk(nest.body):
        if isinstance(stmt, Let):
            for name, count in zip(stmt.names[1:], stmt.counts[1:], strict=True):
                ranges[name] = (0, count.range({})[1] - 1)
            ranges.setdefault(stmt.names[0], (0, (1 << 31) - 1))
    types = {b.name: b.dtype for b in nest.buffers}
    return replace(nest, body=Peeler(types, cut=False, clip=False).block(nest.body, ranges))
