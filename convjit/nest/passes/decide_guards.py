"""Drop the guards that intervals decide, and nothing else: on a GPU borders are filled with zeros, not cut off.

Must run while the threads' loops are still loops: their ranges are what decides.
"""

from __future__ import annotations

from dataclasses import replace

from convjit.nest.ir import Nest
from convjit.nest.passes.peel_borders import Peeler


def decide_guards(nest: Nest) -> Nest:
    """The nest without guards that always hold, and without statements that never run."""
    types = {b.name: b.dtype for b in nest.buffers}
    return replace(nest, body=Peeler(types, cut=False, clip=False).block(nest.body, {}))
