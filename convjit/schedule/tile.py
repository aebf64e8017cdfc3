"""The register tile of a CPU kernel: which sums are kept in registers at a time, and into what it cuts a loop."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod

from convjit.schedule.lanes import Lanes

PAGE = 4096
"""Lines whose addresses differ by a multiple of this share one place of the first cache, which holds WAYS of them."""

WAYS = 8

ISSUE = 5.0
"""Instructions that a core starts in a cycle."""

Counts = tuple[tuple[str, int], ...]
"""Loops, and how many of each a tile has beside its vectors: (("ow", 6),)."""


@dataclass(frozen=True)
class Tile:
    """`vectors` of the lanes side by side, times `counts` of other loops. `spread`: taps written out, () where the
    sum's loops are all rolled; `deep`: its channels, too. `chunk`: so many of the fused pixels are copied first,
    channel by channel, 0 where none are. `cycles` are those of the whole convolution."""

    lanes: Lanes
    vectors: int
    counts: Counts
    spread: tuple[str, ...]
    cycles: float
    chunk: int = 0
    deep: bool = False

    @property
    def acc(self) -> int:
        """Registers that hold sums."""
        return self.vectors * prod(n for _, n in self.counts)

    def count(self, loop: str) -> int:
        """How many of a loop."""
        return dict(self.counts).get(loop, 1)

    def step(self, loop: str) -> int:
        """How far a tile reaches along a loop."""
        return self.vectors * dict(self.lanes.loops)[loop] if loop == self.lanes.axis else self.count(loop)


def pieces(size: int, tile: int) -> list[tuple[int, int]]:
    """(length, how many) of the tiles that a loop is cut into."""
    whole, rest = divmod(size, tile)
    return [(n, times) for n, times in ((tile, whole), (rest, 1)) if n and times]


def moves_x(loop: str) -> bool:
    """Whether the input moves along a loop of the output."""
    return loop != "oc"


def moves_w(loop: str) -> bool:
    """Whether the weight moves along a loop of the output."""
    return loop in ("g", "oc")


def crowd(step: int, many: int) -> int:
    """How many of so many lines, `step` bytes apart, share one place of the first cache."""
    return -(-many // max(1, PAGE // gcd(step, PAGE))) if step >= 64 else 1
