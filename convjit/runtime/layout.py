"""The records that the JIT-compiled entry code reads, once, for both sides.

Python fills them as ctypes structures; the LLVM text names their fields through `expand`, so that a record is
described in one place.
"""

from __future__ import annotations

import ctypes
import re
from typing import Any

MAX_PARAMS = 16
MAX_SLOTS = 48
MAX_SIZES = 16
MAX_DIMS = 12
MAX_AXES = 6

Word = ctypes.c_int64
Pointer = ctypes.c_void_p


class AxisRecord(ctypes.Structure):
    """A thread axis. An extent (here and below) is a number, or -1-i for the i-th open size."""

    _fields_ = [("extent", Word), ("step", Word)]


class StepRecord(ctypes.Structure):
    """A kernel's task function (see `tasks`) and the axes of its grid, outermost first."""

    _fields_ = [("task", Pointer), ("axis_count", Word), ("axes", AxisRecord * MAX_AXES)]


class ParamRecord(ctypes.Structure):
    """An array that the call takes. `format` is the buffer format as two bytes; `align` the element bytes less one."""

    _fields_ = [
        ("name", Pointer),
        ("slot", Word),
        ("format", Word),
        ("align", Word),
        ("rank", Word),
        ("dims", Word * MAX_DIMS),
    ]


class SizeRecord(ctypes.Structure):
    """An open size: `source` -1 is read off a shape, otherwise (size of source + add) // divisor + 1."""

    _fields_ = [("source", Word), ("add", Word), ("divisor", Word)]


class TempRecord(ctypes.Structure):
    """A temporary of one call: bits of an element and its dimensions."""

    _fields_ = [("slot", Word), ("bits", Word), ("rank", Word), ("dims", Word * MAX_DIMS)]


class FixedRecord(ctypes.Structure):
    """The bytes [begin, end) of a bound array, which the output must not overlap."""

    _fields_ = [("begin", Word), ("end", Word)]


class CallRecord(ctypes.Structure):
    """Everything that a call needs. The arrays of records are owned by whoever made them (`descriptor`)."""

    _fields_ = [
        ("threads", Word),
        ("fast", Word),
        ("slow", Pointer),
        ("params", Pointer),
        ("param_count", Word),
        ("slots", Pointer),
        ("slot_count", Word),
        ("sizes", Pointer),
        ("size_values", Pointer),
        ("size_count", Word),
        ("temps", Pointer),
        ("temp_count", Word),
        ("steps", Pointer),
        ("step_count", Word),
        ("fixed", Pointer),
        ("fixed_count", Word),
        ("shape", Pointer),
        ("dtype", Pointer),
        ("empty", Pointer),
        ("array_type", Pointer),
        ("scratch", Pointer),
    ]


class ViewRecord(ctypes.Structure):
    """CPython's `Py_buffer` (PEP 3118), whose layout is part of the stable ABI."""

    _fields_ = [
        ("data", Pointer),
        ("owner", Pointer),
        ("bytes", Word),
        ("item_bytes", Word),
        ("readonly", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("format", Pointer),
        ("shape", Pointer),
        ("strides", Pointer),
        ("suboffsets", Pointer),
        ("internal", Pointer),
    ]


class GridRecord(ctypes.Structure):
    """One axis of a running job: its extent, the values in one chunk, the number of chunks."""

    _fields_ = [("extent", Word), ("chunk", Word), ("parts", Word)]


class JobRecord(ctypes.Structure):
    """A step while it runs, shared by its workers. `mode` is the caller's floating-point control word."""

    _fields_ = [
        ("task", Pointer),
        ("slots", Pointer),
        ("sizes", Pointer),
        ("axis_count", Word),
        ("total", Word),
        ("ranges", Word),
        ("mode", Word),
        ("grid", GridRecord * MAX_AXES),
    ]


RECORDS: tuple[type[ctypes.Structure], ...] = (
    AxisRecord, StepRecord, ParamRecord, SizeRecord, TempRecord, FixedRecord, CallRecord, ViewRecord, GridRecord,
    JobRecord,
)  # fmt: skip


def expand(text: str) -> str:
    """LLVM text with the records' types in front and every `field Record.name, %p` turned into a getelementptr."""
    types = [f"%{_short(r)} = type {{ {', '.join(_llvm(t) for _, t in _fields(r))} }}" for r in RECORDS]
    return "\n".join(types) + "\n" + re.sub(r"\bfield (\w+)\.(\w+), (%[\w.]+)", _field, text)


def _field(match: re.Match[str]) -> str:
    record, name, pointer = match.groups()
    names = [n for r in RECORDS if _short(r) == record for n, _ in _fields(r)]
    return f"getelementptr inbounds %{record}, ptr {pointer}, i32 0, i32 {names.index(name)}"


def _short(record: type[ctypes.Structure]) -> str:
    return record.__name__.removesuffix("Record")


def _fields(record: type[ctypes.Structure]) -> list[tuple[str, Any]]:
    return [(field[0], field[1]) for field in record._fields_]


def _llvm(kind: Any) -> str:
    if kind is Pointer:
        return "ptr"
    if issubclass(kind, ctypes.Array):
        return f"[{kind._length_} x {_llvm(kind._type_)}]"
    if issubclass(kind, ctypes.Structure):
        return f"%{_short(kind)}"
    return f"i{8 * ctypes.sizeof(kind)}"
