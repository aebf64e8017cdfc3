"""A roofline: how fast a machine multiplies and reads, measured, and kernels below it.

S. Williams, A. Waterman, D. Patterson: Roofline, Communications of the ACM 52 (4), 2009. Peaks and bandwidths are
measured here, and so is a kernel's time; the bytes of its arithmetic intensity are modelled (`convjit.cost.caches`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from convjit import dtypes
from convjit.cost.total import Cost
from convjit.errors import Unavailable
from convjit.machine.machine import Machine
from convjit.runtime.bandwidth import bandwidths
from convjit.runtime.detect import missing
from convjit.runtime.peak import Peak
from convjit.runtime.peak import measure as measure_peak

PRODUCTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "f64": (("f64", "f64", "f64"),),
    "f32": (("f32", "f32", "f32"),),
    "bf16": (("bf16", "bf16", "f32"),),
    "i32": (("i32", "i32", "i64"), ("i32", "i32", "i32")),
    "i16": (("i16", "i16", "i32"),),
    "u8": (("u8", "i8", "i32"),),
    "i8": (("u8", "i8", "i32"),),
}
"""Types of factors and sum whose fastest instruction is the peak, by the type of a kernel's products."""


@dataclass(frozen=True)
class KernelPoint:
    """A kernel: the type of its products, operations (2 for each multiply-add that is done), modelled bytes from and to
    DRAM, and measured seconds of a call."""

    name: str
    dtype: str
    operations: int
    bytes: int
    seconds: float

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.operations / max(self.bytes, 1)

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds


@dataclass(frozen=True)
class Roofline:
    """Measured, of so many threads together: operations per second by the type of the products (2 for each
    multiply-add), bytes per second by level ("L1", …, "memory")."""

    target: str
    threads: int
    peaks: dict[str, Peak]
    bandwidths: dict[str, float]

    def roof(self, dtype: str, intensity: float, level: str = "memory") -> float:
        """The most operations per second at so many operations per byte of a level."""
        return min(self.peaks[dtype].operations, intensity * self.bandwidths[level])

    def ridge(self, dtype: str, level: str = "memory") -> float:
        """Operations per byte from which on the peak is the limit."""
        return self.peaks[dtype].operations / self.bandwidths[level]

    def share(self, point: KernelPoint) -> float | None:
        """What a kernel reaches of its roof over DRAM; None where the peak of its type is not known."""
        return point.rate / self.roof(point.dtype, point.intensity) if point.dtype in self.peaks else None


def measure(machine: Machine, threads: int = 1, types: Iterable[str] = tuple(PRODUCTS)) -> Roofline:
    """Peaks and bandwidths of this processor with the instructions of a target. Some seconds. Raises Unavailable where it
    is not a target of this processor."""
    if machine.kind != "cpu":
        raise Unavailable.of(
            f"The roofline of {machine.name} is not measured: there is no bandwidth kernel for GPUs yet.",
            hint="Give a target of the processor.",
        )
    lacks = missing(machine.required)
    if lacks:
        raise Unavailable.of(
            f"This machine cannot run {machine.name}: it has no {' '.join(lacks)}.",
            hint="`convjit targets` shows what runs here.",
        )
    found = {dtype: peak(machine, dtype, threads) for dtype in types}
    return Roofline(machine.name, threads, {d: p for d, p in found.items() if p}, bandwidths(machine, threads))


def peak(machine: Machine, dtype: str, threads: int) -> Peak | None:
    """The fastest instruction for products of a type; None where there is none."""
    every = (measure_peak(machine, types, threads) for types in PRODUCTS.get(dtype, ()))
    return max((p for p in every if p), key=lambda p: p.operations, default=None)


def point(name: str, cost: Cost, seconds: float) -> KernelPoint:
    """A kernel whose call takes so long, by what it costs. `seconds` is measured by whoever times it."""
    products = cost.operations.multiplications
    dtype = max(products, key=lambda d: (products[d], dtypes.bits(d)), default="f32")
    return KernelPoint(name, dtype, 2 * cost.operations.multiply_adds, cost.bytes, seconds)
