"""Operations per type, predicted from the nest: exactly what the interpreter would count.

One multiply-add is a multiplication, in the wider type of its factors, and an addition in the type of the sum. A tap that
the border skips is none; a lane past the end of a tensor is one where the nest computes it and only does not store it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from convjit.nest.counts import PRODUCT, SUM, Counts


@dataclass(frozen=True)
class Operations:
    """Of a call. By type: multiplications and additions of the convolution itself, and conversions to that type; by name
    and type: every other operation, of steps after the sum and of quantisation. `instructions`: all lanes of a vector
    are one, arithmetic (a multiply-add is one) and accesses to memory; on a GPU all threads of a warp."""

    multiplications: Mapping[str, int]
    additions: Mapping[str, int]
    conversions: Mapping[str, int]
    steps: Mapping[tuple[str, str], int]
    instructions: int

    @property
    def multiply_adds(self) -> int:
        """Of the convolution itself."""
        return sum(self.multiplications.values())


def operations(counts: Counts, registers: frozenset[str], warp: int = 1) -> Operations:
    """From the counts of a nest, or of several; `registers` are the buffers that are read without an instruction."""
    by_name: dict[str, Counter[str]] = {PRODUCT: Counter(), SUM: Counter(), "convert": Counter()}
    steps: Counter[tuple[str, str]] = Counter()
    for (op, dtype), n in counts.operations.items():
        if op in by_name:
            by_name[op][dtype] += n
        else:
            steps[op, dtype] += n
    issued = sum(n for (op, _), n in counts.instructions.items() if op != SUM)
    issued += sum(n for (buffer, kind), n in counts.accesses.items() if kind != "use" and buffer not in registers)
    return Operations(by_name[PRODUCT], by_name[SUM], by_name["convert"], steps, -(-issued // warp))
