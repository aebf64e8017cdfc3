"""What is multiplied: the tensors as the loops meet them, once pack lines have changed their order and type.

A packed input or weight may be widened (the zero point is then taken off), moved by 128 between u8 and i8, quantised
(`compute`), or made f32; the sum's loops see nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from convjit import dtypes
from convjit.schedule.schedule import Pack, Phase, Stage
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor

TURNED = {"u8": "i8", "i8": "u8"}
"""Types that hold each other's numbers moved by 128."""

WIDER = {"u8": ("i16", "i32"), "i8": ("i16", "i32"), "i16": ("i32",), "i32": ("i64", "f64"), "bf16": ("f32",), "f16": ("f32",)}
"""Types that hold all numbers of another, and for integers the difference of two of them. f64 holds those of i32; its
sums are exact up to 2^53, which must be proved (`schedule.parts`)."""

SHORT = ("bf16", "f16")
"""Floats that are stored and converted; what is stored as one of them is multiplied as f32, where all of its numbers count.
What `compute bf16` rounds is multiplied as bf16, where denormals do not."""


def pack_of(packs: Iterable[Pack], tensor: str) -> Pack | None:
    """The line that packs a tensor."""
    return next((p for p in packs if p.tensor == tensor), None)


def sum_type(spec: ConvSpec, phase: Phase) -> str:
    """The type that products are added up in: the sum's, or that of the parts that it is added up from."""
    parts = [s.as_type for s in phase.items if isinstance(s, Stage) and s.tensor == spec.output.name and s.as_type]
    return parts[-1] if parts else spec.accumulator


def multiplied(spec: ConvSpec, packs: Iterable[Pack], total: str = "") -> ConvSpec:
    """The convolution that is left when the operands are packed: plain tensors, and a sum (of type `total`, where that is
    not the sum's own) that is stored as it is."""
    packs = tuple(packs)
    changed = {spec.input.name: _plain(spec.input, pack_of(packs, spec.input.name), _order(spec, packs))}
    changed[spec.weight.name] = _plain(spec.weight, pack_of(packs, spec.weight.name), spec.weight.axes)
    changed[spec.output.name] = replace(spec.output, dtype=total or spec.accumulator, scale=None, zero=None)
    tensors = tuple(changed.get(t.name, t) for t in spec.tensors)
    if tensors == spec.tensors and spec.compute is None:
        return spec
    return replace(spec, tensors=tensors, compute=None, requantize=None)


def _plain(tensor: Tensor, pack: Pack | None, axes: tuple[str, ...]) -> Tensor:
    dtype = pack.as_type if pack and pack.as_type else tensor.dtype
    sizes = tuple(tensor.size(a) for a in axes)
    held = _held(tensor, dtype)
    return replace(tensor, dtype=dtype, axes=axes, sizes=sizes, in_range=held, scale=None, zero=None)


def _held(tensor: Tensor, dtype: str) -> tuple[int, int] | None:
    """The least and the greatest number that is multiplied, where the type alone does not say so."""
    if dtypes.is_float(tensor.dtype) or dtypes.is_float(dtype):
        return None
    low, high = tensor.in_range or dtypes.limits(tensor.dtype)
    if TURNED.get(tensor.dtype) == dtype:
        moved = 128 if dtype == "u8" else -128
        low, high = low + moved, high + moved
    elif dtype != tensor.dtype:
        least, most = dtypes.limits(tensor.dtype) if isinstance(tensor.zero, str) else (int(tensor.zero or 0),) * 2
        low, high = low - most, high - least
    return None if (low, high) == dtypes.limits(dtype) else (low, high)


def _order(spec: ConvSpec, packs: tuple[Pack, ...]) -> tuple[str, ...]:
    """The axes of the packed input, slowest first; those that the line does not name stand first."""
    pack, own = pack_of(packs, spec.input.name), spec.input.axes
    if pack is None:
        return own
    last: dict[str, int] = {part.axis.upper(): place for place, part in enumerate(pack.parts)}
    named = sorted((a for a in own if a in last), key=last.__getitem__)
    return (*(a for a in own if a not in last), *named)


def given_type(spec: ConvSpec, tensor: Tensor) -> str:
    """The type of an operand's numbers: that of `compute`, or as they are stored."""
    return spec.compute.dtype if spec.compute and spec.compute.dtype != "f32" else tensor.dtype


def kinds(spec: ConvSpec, tensor: Tensor) -> tuple[str, ...]:
    """The types that a pack line may give a tensor; the first where it must give one, "" first where it need not."""
    own = given_type(spec, tensor)
    wider = WIDER.get(own, ()) if own != "i32" or not tensor.zero else ()  # of i64 the lower half is multiplied
    turned = (TURNED[own],) if tensor.role == "input" and own in TURNED else ()
    if own != tensor.dtype:
        return (*wider, own) if own == "f16" else (own, *wider, *turned)  # no CPU multiplies f16
    if own in SHORT or (tensor.role == "weight" and tensor.zero not in (None, 0)):
        return wider
    return ("", *wider, *turned)


def in_pairs(types: tuple[str, str, str], spec: ConvSpec) -> bool:
    """Whether neighbouring channels are multiplied two by two wherever that can be, so that sums of floats are added up
    in one order, and come out with the same bits, on machines with and without the instruction."""
    return types[0] == "bf16" and spec.ic_per_group > 1


def zero_left(spec: ConvSpec, packs: Iterable[Pack]) -> int:
    """What is still to be taken off each number of the input: its zero point, unless packing did so."""
    pack, tensor = pack_of(packs, spec.input.name), spec.input
    own, zero = given_type(spec, tensor), int(tensor.zero or 0)
    if pack is None or pack.as_type in ("", own) or dtypes.is_float(own):
        return zero
    if TURNED.get(own) == pack.as_type:
        return zero + (128 if pack.as_type == "u8" else -128)
    return 0
