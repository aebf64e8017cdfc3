"""What an operation or an access costs in energy and area: figures of one process, with their source, and the rules that
fill what the source leaves out.

M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, figure 1.1.9: 45 nm, 0.9 V. The
16-bit addition and the areas (TSMC 45 nm, synthesised) are those of J. Hennessy and D. Patterson, Computer Architecture,
6th ed., figure 1.13, beside the same energies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, log

from convjit import dtypes

STATED, BETWEEN, BEYOND, OURS = "stated", "interpolated", "extrapolated", "assumed"
WEIGHT = {STATED: 0, BETWEEN: 1, BEYOND: 2, OURS: 3}

Points = tuple[tuple[int, float], ...]
"""(bits or bytes, picojoules or square micrometres), ascending."""


@dataclass(frozen=True)
class Figure:
    """A value, and how it is known: stated by the source, interpolated, extrapolated, or assumed by a rule of ours."""

    value: float
    origin: str


@dataclass(frozen=True)
class EnergyTable:
    """Picojoules. `add` and `multiply` by kind ("int", "float") and bits; `cache` of a read of 64 bits, by the bytes of
    the cache; `memory` of a read of 64 bits, least and most; `register_file` of the accesses of one instruction on 32-bit
    words, `instruction` of a whole one, its operation apart; areas in square micrometres."""

    name: str
    source: str
    add: Mapping[str, Points]
    multiply: Mapping[str, Points]
    cache: Points
    memory: tuple[float, float]
    register_file: float
    instruction: float
    add_area: Mapping[str, Points]
    multiply_area: Mapping[str, Points]

    def addition(self, dtype: str) -> Figure:
        """Of one addition. bf16 is taken as f16, an unsigned integer as a signed one."""
        return curve(self.add[kind(dtype)], dtypes.bits(dtype))

    def multiplication(self, dtype: str) -> Figure:
        """Of one multiplication."""
        return curve(self.multiply[kind(dtype)], dtypes.bits(dtype))

    def area_of_multiplication(self, dtype: str) -> Figure:
        """Of a multiplier."""
        return curve(self.multiply_area[kind(dtype)], dtypes.bits(dtype))

    def area_of_addition(self, dtype: str) -> Figure:
        """Of an adder."""
        return curve(self.add_area[kind(dtype)], dtypes.bits(dtype))

    def cache_byte(self, size: int) -> Figure:
        """Of a byte read from, or written to, a cache of `size` bytes."""
        found = curve(self.cache, size)
        return Figure(found.value / 8, found.origin)

    @property
    def memory_byte(self) -> Figure:
        """Of a byte of DRAM: the middle of what is stated."""
        return Figure(sum(self.memory) / 2 / 8, BETWEEN)

    @property
    def register_byte(self) -> Figure:
        """Of a byte of the register file: an instruction is taken to read two words and write one."""
        return Figure(self.register_file / (3 * 4), OURS)

    @property
    def overhead(self) -> Figure:
        """Of fetching, decoding and controlling one instruction, however wide it is."""
        return Figure(self.instruction - self.register_file, STATED)


HOROWITZ = EnergyTable(
    name="45 nm, 0.9 V",
    source="M. Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014",
    add={"int": ((8, 0.03), (16, 0.05), (32, 0.1)), "float": ((16, 0.4), (32, 0.9))},
    multiply={"int": ((8, 0.2), (32, 3.1)), "float": ((16, 1.1), (32, 3.7))},
    cache=((8 << 10, 10.0), (32 << 10, 20.0), (1 << 20, 100.0)),
    memory=(1300.0, 2600.0),
    register_file=6.0,
    instruction=70.0,
    add_area={"int": ((8, 36.0), (16, 67.0), (32, 137.0)), "float": ((16, 1360.0), (32, 4184.0))},
    multiply_area={"int": ((8, 282.0), (32, 3495.0)), "float": ((16, 1640.0), (32, 7700.0))},
)


def kind(dtype: str) -> str:
    """int or float."""
    return "float" if dtypes.is_float(dtype) else "int"


def curve(points: Points, at: int) -> Figure:
    """A stated point; between two, and beyond the last two, the power law through them."""
    if at in dict(points):
        return Figure(dict(points)[at], STATED)
    place = min(max(1, sum(x < at for x, _ in points)), len(points) - 1)
    (x0, y0), (x1, y1) = points[place - 1], points[place]
    value = exp(log(y0) + (log(y1) - log(y0)) * (log(at) - log(x0)) / (log(x1) - log(x0)))
    return Figure(value, BETWEEN if points[0][0] < at < points[-1][0] else BEYOND)


def worst(origins: Iterable[str]) -> str:
    """The least certain of several."""
    return max(origins, key=WEIGHT.__getitem__, default=STATED)
