"""What one callable runs: a program, which of its arrays are bound, and the record that the machine code reads."""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convjit import dtypes
from convjit.errors import InternalError
from convjit.kernel.program import Array, Extent, Program, Step
from convjit.nest.ir import OpenSize
from convjit.runtime.arrays import View
from convjit.runtime.layout import (
    MAX_AXES,
    MAX_DIMS,
    MAX_PARAMS,
    MAX_SIZES,
    MAX_SLOTS,
    AxisRecord,
    CallRecord,
    FixedRecord,
    ParamRecord,
    SizeRecord,
    StepRecord,
    TempRecord,
    Word,
)
from convjit.runtime.tasks import slot_names

FORMATS = {"f64": "d", "f32": "f", "f16": "e", "i8": "b", "u8": "B", "i16": "h", "i32": "i", "i64": "l"}
"""Formats of the buffer protocol; a type that has none goes through the Python path."""

OUT = "out"
"""The keyword for the array that takes the result."""


@dataclass(frozen=True)
class Region:
    """Bytes [begin, end) of memory, and the object that keeps them."""

    begin: int
    end: int
    owner: object = field(compare=False)


@dataclass(frozen=True)
class Plan:
    """A program with some arrays bound: `bound` maps names of inputs and temporaries to their memory.

    `sizes` are the open sizes that the bound arrays fix. `steps` are left to be run by a call. `like` is the first of
    the bound arrays: where it lies, the others must.
    """

    program: Program
    tasks: Mapping[str, int]
    steps: tuple[Step, ...]
    bound: Mapping[str, Region]
    sizes: Mapping[str, int]
    like: View | None = None

    def alignment(self, name: str) -> int:
        """The bytes that the array's address must be a multiple of, beyond those of an element; 1 where it does not matter."""
        return max([n for step in self.steps for array, n in step.alignments if array == name], default=1)

    @property
    def params(self) -> tuple[Array, ...]:
        """The inputs that a call gives, in order of declaration."""
        return tuple(a for a in self.program.inputs if a.name not in self.bound)

    @property
    def temporaries(self) -> tuple[Array, ...]:
        """The temporaries that live only inside a call: those of the steps that are left."""
        used = {name for step in self.steps for name in step.arrays}
        return tuple(a for a in self.program.temporaries if a.name in used - self.bound.keys())


class Record:
    """A `CallRecord` and everything that it points to. `slow` is called where the machine code will not do."""

    def __init__(self, plan: Plan, threads: int, slow: Callable[..., Any], fast: bool = True) -> None:
        _check_limits(plan)
        program, output = plan.program, plan.program.output
        slots = slot_names(program)
        self._objects = [slow, np.empty, np.ndarray, dtypes.get(output.dtype).numpy, _fixed_shape(output)]
        params = [_param(a, a.name, slots, program.sizes) for a in plan.params]
        params.append(_param(output, OUT, slots, program.sizes))
        self._objects += [sys.intern(a.name) for a in plan.params] + [sys.intern(OUT)]
        self._arrays = (
            (ParamRecord * len(params))(*params),
            (ctypes.c_void_p * len(slots))(*(plan.bound[n].begin if n in plan.bound else None for n in slots)),
            _table(SizeRecord, [_size(s, program.sizes) for s in program.sizes]),
            _table(Word, [plan.sizes.get(s.name, -1) for s in program.sizes]),
            _table(TempRecord, [_temp(a, slots, program.sizes) for a in plan.temporaries]),
            _table(StepRecord, [_step(s, plan) for s in plan.steps]),
            _table(FixedRecord, [FixedRecord(r.begin, r.end) for r in plan.bound.values()]),
        )
        self.call = self._fill(plan, threads, fast and all(a.dtype in FORMATS for a in (*plan.params, output)))
        weakref.finalize(self, _free_scratch, self.call).atexit = False

    @property
    def address(self) -> int:
        """The address of the `CallRecord`."""
        return ctypes.addressof(self.call)

    def _fill(self, plan: Plan, threads: int, fast: bool) -> CallRecord:
        params, slots, sizes, values, temps, steps, fixed = map(ctypes.addressof, self._arrays)
        slow, empty, array_type, dtype, shape = self._objects[:5]
        return CallRecord(
            threads=threads,
            fast=fast,
            slow=id(slow),
            params=params,
            param_count=len(plan.params),
            slots=slots,
            slot_count=len(self._arrays[1]),
            sizes=sizes,
            size_values=values,
            size_count=len(plan.program.sizes),
            temps=temps,
            temp_count=len(plan.temporaries),
            steps=steps,
            step_count=len(plan.steps),
            fixed=fixed,
            fixed_count=len(plan.bound),
            shape=None if shape is None else id(shape),
            dtype=id(dtype),
            empty=id(empty),
            array_type=id(array_type),
        )


def _check_limits(plan: Plan) -> None:
    program = plan.program
    arrays = (*program.inputs, program.output, *program.temporaries)
    counts = {
        "inputs": (len(program.inputs), MAX_PARAMS),
        "arrays": (len(arrays), MAX_SLOTS),
        "open sizes": (len(program.sizes), MAX_SIZES),
        "dimensions": (max(len(a.shape) for a in arrays), MAX_DIMS),
        "thread axes": (max((len(s.threads) for s in program.steps), default=0), MAX_AXES),
    }
    for what, (count, limit) in counts.items():
        if count > limit:
            raise InternalError(f"program '{program.name}' has {count} {what}; the runtime takes {limit}")


def _table(kind: Any, items: list[Any]) -> Any:
    """A C array of at least one item: an empty one has no address worth passing on."""
    return (kind * max(1, len(items)))(*items)


def _fixed_shape(array: Array) -> tuple[int, ...] | None:
    shape = tuple(n for n in array.shape if isinstance(n, int))
    return shape if len(shape) == len(array.shape) else None


def _code(extent: Extent, sizes: tuple[OpenSize, ...]) -> int:
    if isinstance(extent, int):
        return extent
    return -1 - [size.name for size in sizes].index(extent)


def _param(array: Array, name: str, slots: tuple[str, ...], sizes: tuple[OpenSize, ...]) -> ParamRecord:
    letter = FORMATS.get(array.dtype, "\0")
    return ParamRecord(
        name=id(sys.intern(name)),
        slot=slots.index(array.name),
        format=ord(letter),
        align=max(1, dtypes.bits(array.dtype) // 8) - 1,
        rank=len(array.shape),
        dims=tuple(_code(n, sizes) for n in array.shape),
    )


def _temp(array: Array, slots: tuple[str, ...], sizes: tuple[OpenSize, ...]) -> TempRecord:
    return TempRecord(
        slot=slots.index(array.name),
        bits=dtypes.bits(array.dtype),
        rank=len(array.shape),
        dims=tuple(_code(n, sizes) for n in array.shape),
    )


def _size(size: OpenSize, sizes: tuple[OpenSize, ...]) -> SizeRecord:
    if not size.source:
        return SizeRecord(-1, 0, 1)
    return SizeRecord([s.name for s in sizes].index(size.source), size.add, size.divisor)


def _step(step: Step, plan: Plan) -> StepRecord:
    sizes = plan.program.sizes
    axes = tuple(AxisRecord(_code(a.extent, sizes), a.step) for a in step.threads)
    return StepRecord(task=plan.tasks[step.symbol], axis_count=len(axes), axes=axes)


_free = ctypes.CDLL(None).free
_free.argtypes, _free.restype = [ctypes.c_void_p], None


def _free_scratch(call: CallRecord) -> None:
    _free(call.scratch)
    call.scratch = None
