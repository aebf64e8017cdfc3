"""Expressions: the value in every lane."""

from __future__ import annotations

from convjit.dtypes import bits
from convjit.kernel.ir import If, Merged, Operand, vector
from convjit.kernel.select import row_named
from convjit.kernel.state import State
from convjit.kernel.variables import ALWAYS, Where, summed, where
from convjit.machine import Machine
from convjit.nest.functions import FUNCTIONS, steps
from convjit.nest.ir import Expr, Index, Load, Number
from convjit.nest.visit import typed

CONVERSIONS = ("convert", "bitcast")
"""Their attribute `from` is the operand's type."""
COMPARISONS = ("lt", "ge", "eq", "ult")
"""Their attribute `type` is the operands'."""


def expr(l: State, e: Expr, dtype: str, w: Where = ALWAYS) -> Operand:
    """The value in every lane."""
    if isinstance(e, Number):
        return constant(e.value, dtype)
    if isinstance(e, Index):
        value = l.v.sum(e.affine)
        return l.b.once("convert", dtype, value, **{"from": l.b.index}) if isinstance(value, str) else value
    if isinstance(e, Load):
        return element(l, e, w)
    types = [typed(a, l.dtype_of) or e.dtype for a in e.args]
    args = [expr(l, a, t, w) for a, t in zip(e.args, types, strict=True)]
    if e.op in FUNCTIONS:
        return function(l, e.op, e.dtype, args, types)
    return elementary(l, e.op, e.dtype, types[0], args)


def function(l: State, name: str, dtype: str, args: list[Operand], given: list[str]) -> Operand:
    """A function, step by step; what several steps use is computed once."""
    values, types = list(args), list(given)
    for step in steps(name, dtype):
        taken = [values[a] if isinstance(a, int) else constant(a.value, a.dtype) for a in step.args]
        first = step.args[0]
        of = types[first] if isinstance(first, int) else first.dtype
        values.append(elementary(l, step.op, step.dtype, of, taken))
        types.append(step.dtype)
    return values[-1]


def elementary(l: State, op: str, dtype: str, of: str, args: list[Operand]) -> Operand:
    """One operation that gives `dtype`; the first operand's type is `of`."""
    shape, source = vector(dtype, l.v.lanes), vector(of, l.v.lanes)
    if op == "whole":  # known to be small; AVX2 has no conversion
        if l.v.lanes > 1 and "avx512dq" not in l.machine.features:
            return function(l, "whole_f64", dtype, args, [of])
        op = "convert"
    if op == "convert" and (name := written_out(dtype, of, l.machine)):
        return function(l, name, dtype, args, [of])
    if op in CONVERSIONS:
        return l.b.op(op, shape, *args, **{"from": source})
    if op in COMPARISONS:
        return l.b.op(op, shape, *args, type=source)
    if op == "fma" and row_named(l.machine, op, shape) is None:
        a, b, c = args
        return l.b.op("add", shape, l.b.op("mul", shape, a, b), c)
    return l.b.op(op, shape, *args)


def written_out(dtype: str, of: str, machine: Machine) -> str:
    """The function that converts in elementary operations what the machine cannot; "" where it can. Without it LLVM
    would call a library."""
    if "bf16" in (dtype, of):
        return "narrow_bf16" if dtype == "bf16" else "widen_bf16"
    if "f16" in (dtype, of) and machine.kind == "cpu" and "f16c" not in machine.features:
        return "narrow_f16" if dtype == "f16" else "widen_f16"
    return ""


def constant(value: float, dtype: str) -> Operand:
    """A number as the kernel writes it."""
    return value if dtype[0] in "fb" else int(value)


def element(l: State, load: Load, outer: Where) -> Operand:
    """A load under its own guards (and the statement's mask: lanes that do not exist are not touched)."""
    if l.buffers[load.buffer].level == "registers":
        return l.registers[l.key(load)]
    w = where(l.v, load.inside)
    if w.never:
        return constant(load.fill, l.dtype_of(load.buffer))
    mask = outer.mask if w.mask is None else w.mask
    if w.mask is None and not l.buffers[load.buffer].packed and mask is not None:
        spot = l.memory.spot(load)
        mask = mask if spot.spread or any(spot.plan.lanes) else None
    if not w.condition:
        return filled(l, load, l.memory.load(load, Where(False, mask)), w)
    if l.gpu:
        return l.memory.load(load, Where(False, mask, w.condition))
    return conditional(l, load, Where(False, mask), w)


def filled(l: State, load: Load, value: Operand, inside: Where) -> Operand:
    """The lanes that are outside hold 0; another number is put there."""
    if not load.fill or inside.mask is None:
        return value
    dtype = l.dtype_of(load.buffer)
    return l.b.once("select", vector(dtype, l.v.lanes), l.memory.mask(inside.mask), value, constant(load.fill, dtype))


def conditional(l: State, load: Load, w: Where, inside: Where) -> str:
    """A load behind a branch; what stands outside where it is skipped."""
    outer, _ = l.b.begin({})
    value = filled(l, load, l.memory.load(load, w), inside)
    body = l.b.end(outer)
    result = l.b.fresh()
    shape = vector(l.buffers[load.buffer].dtype, l.v.lanes)
    merged = Merged(result, shape, value, constant(load.fill, l.dtype_of(load.buffer)))
    l.b.lines.append(If(inside.condition, body, (merged,), l.b.origin))
    return result


def repeated(e: Number, times: int) -> int:
    """A number in every place of a group."""
    width = bits(e.dtype)
    one = int(e.value) % (1 << width)
    whole = sum(one << width * place for place in range(times))
    return whole - (1 << width * times) if whole >> (width * times - 1) else whole


def operand(l: State, e: Expr, w: Where) -> Operand:
    """An operand of a product; its guards were tested for the whole statement."""
    if isinstance(e, Number) and l.v.dot and l.v.dot[1] > 1:
        return repeated(e, l.v.dot[1])
    if isinstance(e, Load) and l.buffers[e.buffer].level != "registers":
        mask = w.mask if e.inside else None
        return l.memory.load(e, Where(False, mask), summed(l.v, e.inside))
    return expr(l, e, typed(e, l.dtype_of), w)
