"""What the language says and this version cannot compile yet, refused by name."""

from __future__ import annotations

from collections.abc import Iterator

from convjit.errors import Diagnostic, Unavailable
from convjit.source import Span
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor
from convjit.spec.words import UNCALIBRATED

FLOATS = ("f32", "bf16", "f16")
"""Floats that go together in one convolution; its sums are of f32."""
STORED = (*FLOATS, "f64")
COMPUTED = ("i8", "i16", "i32", "bf16", "f16")
"""What `compute` can do with f32 tensors."""
WHOLE = ("u8", "i8", "i16", "i32", "i64")
"""Integers that are multiplied and summed exactly."""


def refuse(spec: ConvSpec) -> None:
    """Raise `Unavailable`, naming every clause of a spec that has no lowering yet."""
    found = tuple(
        Diagnostic(f"{what} is not implemented yet.", span, "needed here") for what, span in _missing(spec)
    )
    if uncalibrated(spec):
        text, label = "'scale auto' needs data to take its scales from.", "no scales yet"
        found += (Diagnostic(text, spec.place("compute"), label, hints=(UNCALIBRATED,)),)
    if found:
        raise Unavailable(*found)


def uncalibrated(spec: ConvSpec) -> bool:
    """Whether `compute` lacks the scales that calibration finds."""
    return spec.compute is not None and spec.compute.scales == "auto"


def _missing(spec: ConvSpec) -> Iterator[tuple[str, Span | None]]:
    """Each thing that is missing, and where the program asks for it."""
    for tensor in spec.tensors:
        yield from _tensor(spec, tensor)
    if spec.transposed:
        yield "A transposed convolution", spec.place("conv")
    clause = spec.compute
    if clause is not None and clause.dtype not in (spec.input.dtype, *COMPUTED):
        yield f"'compute {clause.dtype}'", spec.place("compute")
    if spec.algorithm not in ("auto", "direct"):
        yield f"'algorithm {spec.algorithm}'", spec.place("algorithm")


def _tensor(spec: ConvSpec, tensor: Tensor) -> Iterator[tuple[str, Span | None]]:
    name = tensor.name
    if tensor.role == "output" and spec.input.dtype not in STORED and not spec.place(f"type {name}"):
        return  # it follows from the input, which is refused
    if tensor.role != "param" and tensor.dtype not in (WHOLE + ("f32",) if spec.input.dtype in WHOLE else STORED):
        yield f"The {tensor.role} '{name}' of {tensor.dtype}", spec.place(f"type {name}") or tensor.span
    elif tensor.role != "param" and spec.input.dtype in STORED and not _together(tensor.dtype, spec.input.dtype):
        what = f"The {tensor.role} '{name}' of {tensor.dtype} beside an input of {spec.input.dtype}"
        yield what, spec.place(f"type {name}")
    if tensor.role == "weight" and tensor.dtype == "i32" and tensor.zero:
        yield "A zero point of a weight of i32", spec.place(f"zero {name}") or tensor.span


def _together(a: str, b: str) -> bool:
    return a == b or (a in FLOATS and b in FLOATS)
