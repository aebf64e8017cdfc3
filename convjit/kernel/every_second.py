"""Every second element, as columns in lanes read at stride 2: two vectors and a shuffle.

    x[0] x[2] … x[14]  =  even places of x[0..7] and x[8..15]      (8 lanes)
    x[1] x[3] … x[15]  =  odd places of the same two vectors

A shuffle is cheap within blocks of lanes, takes its second vector from memory and needs no register for the order; it
leaves the elements out of order, and a second one puts them in order, which `late_order` moves behind the sums. Where
x[15] may not exist, the second vector starts one element early, and its odd places are taken: nothing behind the last
wanted element is read.
"""

from __future__ import annotations

from convjit.dtypes import bits
from convjit.kernel.addresses import Addresses, Spot
from convjit.kernel.ir import Operand, Type, vector
from convjit.nest.ir import Load

BLOCK = 128
"""Bits within which x86 shuffles two vectors by an order that is part of the instruction (vshufps, vshufpd)."""


def every_second(memory: Addresses, access: Load, spot: Spot, kind: Type, mask: tuple[bool, ...] | None) -> str:
    """Lane i is element 2i; of lanes outside the mask nothing is read and 0 given."""
    n = memory.v.lanes
    from_ = vector(kind, n)
    odd = spot.plan.static(memory.v.static) % 2
    wanted = mask or (True,) * n
    first, last = wanted.index(True), n - 1 - wanted[::-1].index(True)
    paired = memory.exists(spot, (2 * first - odd, 2 * last - odd + 1))
    starts, places = ((-odd, n - odd), (odd, odd)) if paired else ((0, n - 1), (0, 1))
    halves: list[Operand] = []
    for half, (start, place) in enumerate(zip(starts, places, strict=True)):
        pointer = memory.pointer(spot, access, start)
        lanes = tuple(wanted[(half * n + k) // 2] and (paired or k % 2 == place) for k in range(n))
        if all(lanes) or mask is None:
            halves.append(memory.read(access, "load", from_, pointer, align=spot.size))
        elif any(lanes):
            halves.append(memory.read(access, "load_masked", from_, pointer, memory.mask(lanes), align=spot.size))
        else:
            halves.append(0)
    found, order = blockwise(n, min(n, BLOCK // bits(kind)), places)
    value = memory.b.once("shuffle", from_, *halves, order=found, **{"from": from_})
    if order == tuple(range(n)):
        return value
    memory.late = True
    return memory.b.once("shuffle", from_, value, value, order=order, **{"from": from_})


def blockwise(n: int, block: int, places: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """A shuffle that takes every second place, by blocks of lanes, and the order that it leaves for a second one."""
    taken: list[int] = []
    for start in range(0, n, block):
        for half, place in enumerate(places):
            taken += [half * n + k for k in range(start + place, start + block, 2)]
    elements = [(k % n - places[k // n]) // 2 + k // n * (n // 2) for k in taken]
    return tuple(taken), tuple(elements.index(i) for i in range(n))
