"""Vectors over the output channels that are made of weights, bias and scales alone: at `bind`, or else in every call.

    outside[oc, taps] = zero * sum over c of w        what a tap outside the image is given back (`borders`)
    offset[oc] = bias[oc] - sum over taps of outside  what the zero point adds to every sum
    factor[oc], multiplier[oc], shift[oc]             from sums to the output's numbers (`requantize`)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from convjit.dtypes import is_float
from convjit.nest import requantize
from convjit.nest.affine import fixed_bound, number, var
from convjit.nest.after import After
from convjit.nest.context import nest_loops
from convjit.nest.epilogue import offset, outside
from convjit.nest.ir import Apply, Buffer, Expr, Load, Loop, MulAdd, Nest, Number, Stmt, Store
from convjit.nest.split import split
from convjit.nest.vectors import over_taps, requantized, vector, vectors
from convjit.schedule.schedule import Level
from convjit.spec.conv import ConvSpec
from convjit.spec.layout import kernel_axes

SUM = "sum.r"


@dataclass(frozen=True)
class Vectors:
    """Of which convolution, with which zero point left, and whether a GPU makes them: then each element by a thread."""

    spec: ConvSpec
    zero: int
    gpu: bool

    @property
    def kind(self) -> str:
        """Who runs a loop."""
        return "global" if self.gpu else "serial"


def prepare(v: Vectors, weight: Load, buffers: tuple[Buffer, ...], x: str, shape: tuple[int, int]) -> Iterator[Nest]:
    """The nests that fill them. `weight`: its element in terms of g, oc, the taps and c; `x`: the type that is multiplied
    with it; `shape`: lanes (of output channels) and products that one instruction covers."""
    if v.zero:
        yield sums(v, weight, buffers, x, shape)
        yield offsets(v)
    if requantized(v.spec):
        yield factors(v)


def loop(name: str, size: int, step: int, kind: str, body: tuple[Stmt, ...]) -> Loop:
    """From 0 to a size."""
    return Loop(name, fixed_bound(0), fixed_bound(size), step, kind, body)


def sums(v: Vectors, weight: Load, buffers: tuple[Buffer, ...], x: str, shape: tuple[int, int]) -> Nest:
    """The weights of each tap added up, by the instruction that multiplies them, times the zero point."""
    spec, (lanes, deep) = v.spec, shape
    read = next(b for b in buffers if b.name == weight.buffer)
    axes = [a.lower() for a in kernel_axes(spec.spatial)]
    outer = [*(l for a in ("g", *axes) for l in blocks(read, a, 1)), *blocks(read, "oc", lanes)]
    line = (*(replace(l, kind=v.kind) for l in outer), *blocks(read, "c", deep), Level("oc", 1, "simd"), Level("c", 1, "dot"))
    sizes = {"g": spec.groups, "oc": spec.oc_per_group, "c": spec.ic_per_group, **dict(zip(axes, spec.kernel_size, strict=True))}
    parts = split(line, {a: number(n) for a, n in sizes.items()}, v.gpu, "sum~")
    *around, lane, dot = parts.plans()
    outside_, inside = around[: len(outer)], around[len(outer) :]
    total = Load(SUM, (var(lane.name),))
    factor = Load(weight.buffer, tuple(i.substitute(parts.meaning) for i in weight.index))
    add = MulAdd(total, Number(float(v.zero), x), factor)
    exists = tuple(g for a, g in parts.guards if a != "c")  # whole blocks of channels are filled with zeros
    whole = parts.meaning["g"] * spec.oc_per_group + parts.meaning["oc"]
    target = Load(outside(spec), (whole, *(parts.meaning[a] for a in axes)))
    body = (
        *lane.around((Store(total, Number(0.0, spec.accumulator)),)),
        *nest_loops((add,), (*inside, lane, dot)),
        *lane.around((Store(target, total, exists),)),
    )
    register = Buffer(SUM, (lane.name,), spec.accumulator, "registers")
    return Nest(f"{spec.name}.sums", (read, over_taps(spec), register), nest_loops(body, outside_))


def blocks(buffer: Buffer, axis: str, unit: int) -> list[Level]:
    """The loops over an axis of the weight: its blocks, and what one instruction covers."""
    assert buffer.layout
    steps = {block for d, block in buffer.layout.parts if d == axis and block > unit}
    return [Level(axis, s) for s in sorted(steps | {unit}, reverse=True)]


def offsets(v: Vectors) -> Nest:
    """The bias, less what the zero point adds."""
    spec = v.spec
    axes = [a.lower() for a in kernel_axes(spec.spatial)]
    bias = spec.bias if spec.bias and not is_float(spec.bias.dtype) else None
    e: Expr = Number(0.0, spec.accumulator)
    if bias:
        e = After.convert(Load(bias.name, (var("oc"),)), bias.dtype, spec.accumulator)
    total = Load(SUM, ())
    taken = Apply("sub", (total, Load(outside(spec), (var("oc"), *(var(a) for a in axes)))), spec.accumulator)
    body: tuple[Stmt, ...] = (Store(total, taken),)
    for name, size in reversed(list(zip(axes, spec.kernel_size, strict=True))):
        body = (loop(name, size, 1, "serial" if prod(spec.kernel_size) > 64 else "unroll", body),)
    body = (Store(total, e), *body, Store(Load(offset(spec), (var("oc"),)), total))
    made = (over_taps(spec), vector(offset(spec), spec.accumulator, spec), Buffer(SUM, (), spec.accumulator, "registers"))
    given = (vector(bias.name, bias.dtype, spec),) if bias else ()
    return channels(v, "offset", (*given, *made), body)


def factors(v: Vectors) -> Nest:
    """From scales to what sums are multiplied by."""
    spec = v.spec
    assert isinstance(spec.input.scale, float) and isinstance(spec.weight.scale, str)
    given = vector(spec.weight.scale, "f32", spec)
    load = Load(given.name, (var("oc"),))
    x = requantize.single(spec.input.scale)
    stores: list[Store] = []
    if requantize.fixed(spec):
        product = Apply("mul", (Number(x, "f64"), Apply("convert", (load,), "f64")), "f64")
        scale = Apply("div", (product, Number(requantize.unit(spec), "f64")), "f64")
        for name, op in ((requantize.multiplier_name, "tflite_multiplier"), (requantize.shift_name, "tflite_shift")):
            stores.append(Store(Load(name(spec), (var("oc"),)), Apply(op, (scale,), "i32")))
    else:
        e = Apply("mul", (Number(x, "f32"), load), "f32")
        if requantize.direct(spec):
            e = Apply("div", (e, Number(requantize.unit(spec), "f32")), "f32")
        stores.append(Store(Load(requantize.factor_name(spec), (var("oc"),)), e))
    made = [b for b in vectors(spec, 0) if b.dims == ("oc",)]
    return channels(v, "factors", (given, *made), tuple(stores))


def channels(v: Vectors, word: str, buffers: tuple[Buffer, ...], body: tuple[Stmt, ...]) -> Nest:
    """Something done for each output channel."""
    return Nest(f"{v.spec.name}.{word}", buffers, (loop("oc", v.spec.out_channels, 1, v.kind, body),))
