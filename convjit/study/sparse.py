"""What zeros of a weight are worth: kernels that multiply all of it and kernels that walk a list, measured beside each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.errors import ConvError, InternalError
from convjit.machine.machine import Machine
from convjit.pipeline import Compilation
from convjit.runtime.compiled import BoundConv
from convjit.schedule.break_even import Cost, cost
from convjit.spec.conv import ConvSpec
from convjit.spec.unsupported import refuse
from convjit.targets import CALLABLES

Array = NDArray[Any]
Arrays = Mapping[str, Array]
Calls = Mapping[str, Callable[[], object]]
Turns = Callable[[Calls], Mapping[str, float]]
"""Times calls, each in its turn: the seconds that one of each takes (`convjit.runtime.burst.in_turns`, for example)."""

ZEROS = (0.5, 0.7, 0.8, 0.9, 0.95)
DENSE, LIST = "dense", "list"


@dataclass(frozen=True)
class Point:
    """One share of zeros: the share of numbers that are not 0 (`density`, 0..1), and the seconds of a call."""

    zeros: float
    density: float
    dense_seconds: float
    list_seconds: float

    @property
    def speedup(self) -> float:
        """How many times as fast the list is."""
        return self.dense_seconds / self.list_seconds


@dataclass(frozen=True)
class Sparse:
    """Of one spec on one machine, all measured but for `modelled`: the density below which `auto` takes the list."""

    name: str
    types: tuple[str, str, str]
    target: str
    threads: int
    points: tuple[Point, ...]
    modelled: float

    @property
    def break_even(self) -> float | None:
        """The density at which both take as long, between two points on a line; None where one is faster at every point."""
        by_density = sorted(self.points, key=lambda p: p.density)
        for a, b in zip(by_density, by_density[1:], strict=False):
            left, right = (p.list_seconds - p.dense_seconds for p in (a, b))
            if left < 0 <= right:
                return a.density + (b.density - a.density) * -left / (right - left)
        return None


def measure(
    spec: ConvSpec, machine: Machine, turns: Turns, zeros: Sequence[float] = ZEROS, threads: int = 1, seed: int = 0
) -> Sparse:
    """Kernels of a spec without open sizes at these shares of zeros, which lie anywhere in the weight. Raises ConvError where a
    list cannot walk it, Unavailable where the machine is not here, InternalError where the two do not agree."""
    refuse(spec)
    if spec.open_sizes:
        raise ConvError.of("Speed is measured of known sizes.", hint="Give every size of the input a number.")
    dense = kernel(replace(spec, tensors=declared(spec, False), dataflow="auto"), machine, threads)
    listed = kernel(replace(spec, tensors=declared(spec, True), dataflow="zero_skipping"), machine, threads)
    arrays = numbers(spec, seed)
    points = [point(spec, (dense, listed), with_zeros(spec, arrays, share, seed), share, turns) for share in zeros]
    return Sparse(spec.name, spec.types, machine.name, threads, tuple(points), model(spec, machine).of_numbers)


def model(spec: ConvSpec, machine: Machine) -> Cost:
    """What the model says of a spec: cycles, and the density below which a list pays."""
    return cost(spec, machine)


def declared(spec: ConvSpec, sparse: bool) -> tuple[Any, ...]:
    """The tensors, with the weight as it is wanted."""
    return tuple(replace(t, sparse=sparse) if t.role == "weight" else t for t in spec.tensors)


def kernel(spec: ConvSpec, machine: Machine, threads: int) -> Any:
    """Compiled."""
    c = Compilation(spec, machine)
    return CALLABLES[c.runner](c, threads)


def point(spec: ConvSpec, kernels: tuple[Any, Any], arrays: Arrays, share: float, turns: Turns) -> Point:
    """Both kernels on the same arrays, compared and timed."""
    bound = [k.bind(**chosen(spec, arrays, True)) for k in kernels]
    out = [np.empty(tuple(n or 0 for n in spec.output.sizes), dtypes.get(spec.output.dtype).numpy) for _ in bound]
    calls = {name: call(b, spec, arrays, o) for name, b, o in zip((DENSE, LIST), bound, out, strict=True)}
    for one in calls.values():
        one()
    if not agree(*out):
        raise InternalError(f"{spec.name}: the list's result is not that of all numbers")
    times = turns(calls)
    weight = arrays[spec.weight.name]
    return Point(share, np.count_nonzero(weight) / weight.size, times[DENSE], times[LIST])


def call(bound: BoundConv, spec: ConvSpec, arrays: Arrays, out: Array) -> Callable[[], object]:
    """A call on what is not bound."""
    return partial(bound.function, *chosen(spec, arrays, False).values(), out=out)


def chosen(spec: ConvSpec, arrays: Arrays, constant: bool) -> dict[str, Array]:
    """The arrays that are bound, or the others."""
    return {t.name: arrays[t.name] for t in spec.arguments if (t.role in ("weight", "bias", "param")) is constant}


def agree(a: Array, b: Array) -> bool:
    """Equal, or of floats near: they are added up in another order."""
    if not dtypes.is_float(str_of(a)):
        return bool(np.array_equal(a, b))
    return bool(np.allclose(a, b, 1e-4, 1e-5 * float(np.abs(a).max(initial=1.0))))


def str_of(a: Array) -> str:
    """The language's word for an array's type; short floats, which NumPy does not know, count as f32."""
    return {"f": "f32", "i": "i32", "u": "u8"}.get(a.dtype.kind, "f32")


def numbers(spec: ConvSpec, seed: int) -> dict[str, Array]:
    """Random numbers for every argument: of floats normal ones, of integers all that the type, or the declared range, has."""
    stream = np.random.default_rng(seed)
    found: dict[str, Array] = {}
    for t in spec.arguments:
        shape, numpy = tuple(n or 0 for n in t.sizes), dtypes.get(t.dtype).numpy
        if dtypes.is_float(t.dtype):
            found[t.name] = stream.standard_normal(shape).astype(numpy)
        else:
            low, high = t.in_range or dtypes.limits(t.dtype)
            found[t.name] = stream.integers(max(low, -1000), min(high, 1000), shape, endpoint=True).astype(numpy)
    return found


def with_zeros(spec: ConvSpec, arrays: Arrays, share: float, seed: int) -> dict[str, Array]:
    """The same with so many weights at 0 (or at their zero point, where that is a number)."""
    weight = arrays[spec.weight.name].copy()
    count = round(share * weight.size)
    places = np.random.default_rng(seed).permutation(weight.size)[:count]
    weight.reshape(-1)[places] = spec.weight.zero if isinstance(spec.weight.zero, int) else 0
    return {**arrays, spec.weight.name: weight}
