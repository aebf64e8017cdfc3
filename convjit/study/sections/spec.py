"""The convolution: its program, its tensors, and the numbers in them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convjit.spec.tensor import Tensor
from convjit.study.clock import Clock
from convjit.study.page import Code, Facts, Section, Table
from convjit.study.part import Found, Part, Shown, Subject, Tell
from convjit.study.real import Array
from convjit.study.sheet import Sheet
from convjit.study.show import percent

TITLE = "The convolution"


@dataclass(frozen=True)
class Statistics:
    """One tensor: its shape in memory order, its bytes, and (of one that is given) the numbers in it."""

    tensor: str
    role: str
    dtype: str
    shape: str
    bytes: int
    least: float | None = None
    greatest: float | None = None
    mean: float | None = None
    deviation: float | None = None
    zeros: float | None = None
    data: str = ""


@dataclass(frozen=True)
class Tensors:
    """All tensors in order of declaration, and the multiplications and additions of a call."""

    rows: tuple[Statistics, ...]
    operations: int


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Tensors:
    """Walk over the arrays once."""
    rows = tuple(statistics(t, subject.given.get(t.name), subject.notes.get(t.name, "")) for t in subject.spec.tensors)
    return Tensors(rows, subject.spec.operations or 0)


def statistics(tensor: Tensor, array: Array | None, note: str = "") -> Statistics:
    """Of a tensor without open sizes; `zeros` is the share of numbers that are 0."""
    shape = ", ".join(f"{axis}={size}" for axis, size in zip(tensor.axes, tensor.sizes, strict=True))
    if array is None:
        return Statistics(tensor.name, tensor.role, tensor.dtype, shape, tensor.bytes or 0)
    v = array.astype(np.float64)
    least, greatest, mean, deviation, zeros = map(float, (v.min(), v.max(), v.mean(), v.std(), np.mean(v == 0)))
    return Statistics(
        tensor.name, tensor.role, tensor.dtype, shape, tensor.bytes or 0, least, greatest, mean, deviation, zeros, note
    )


def show(subject: Subject, found: Found, result: Tensors) -> Shown:
    """The program, and a row for each tensor."""
    spec = subject.spec
    facts = Facts(
        [
            ("kernel", " x ".join(map(str, spec.kernel_size))),
            ("channels", f"{spec.in_channels} to {spec.out_channels}, groups {spec.groups}"),
            ("operations", f"{result.operations:,} in a call (2 for each product; padding counts)"),
        ]
    )
    header = ("tensor", "role", "type", "shape", "bytes", "least", "greatest", "mean", "deviation", "zeros", "data")
    rows = [
        (r.tensor, r.role, r.dtype, r.shape, r.bytes, r.least, r.greatest, r.mean, r.deviation, percent(r.zeros), r.data)
        for r in result.rows
    ]
    table = Table(header, rows, "Tensors, and the numbers in them.", "Zeros: the share of stored numbers that are 0.")
    program = Code(subject.text or str(spec), "The program")
    return Shown(Section(TITLE, (program, facts, table)), {"tensors": Sheet.of(Statistics, result.rows)})


PART = Part(TITLE, 0.02, compute, show)
