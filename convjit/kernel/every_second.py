"""Every second element, as columns in lanes read at stride 2: two vectors that overlap, and a shuffle.

    x[0] x[2] … x[14]  =  even places of x[0..7], odd places of x[7..14]      (8 lanes)

The second vector starts one element early, so that nothing behind the last wanted element is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convjit.kernel.ir import Operand, Type, vector
from convjit.nest.ir import Load

if TYPE_CHECKING:
    from convjit.kernel.access import Access, Spot


def every_second(memory: Access, access: Load, spot: Spot, kind: Type, mask: tuple[bool, ...] | None) -> str:
    """Lane i is element 2i; of lanes outside the mask nothing is read and 0 given."""
    n = memory.v.lanes
    from_ = vector(kind, n)
    wanted = mask or (True,) * n
    first = tuple(k % 2 == 0 and wanted[k // 2] for k in range(n))
    second = tuple(k % 2 == 1 and wanted[(n - 1 + k) // 2] for k in range(n))
    halves: list[Operand] = []
    for extra, lanes in ((0, first), (n - 1, second)):
        pointer = memory.pointer(spot, access, extra)
        if mask is None:
            halves.append(memory.read(access, "load", from_, pointer, align=spot.size))
        else:
            halves.append(memory.read(access, "load_masked", from_, pointer, memory.mask(lanes), align=spot.size))
    order = (*range(0, n, 2), *range(n + 1, 2 * n, 2))
    return memory.b.once("shuffle", from_, *halves, order=order, **{"from": from_})
