"""What each op computes, in NumPy: the definition of the vocabulary.

A value is an array of shape (threads,) or (threads, lanes); a first dimension of 1 means the same in all threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from convjit.kernel.ir import Op, Type, element, lanes
from convjit.kernel.select import row_of
from convjit.kernel.types import FLOATS
from convjit.machine import Machine

Array = np.ndarray[Any, Any]
Meaning = Callable[..., Array]

NUMPY: dict[str, np.dtype[Any]] = {
    "i1": np.dtype(np.bool_),
    "i8": np.dtype(np.int8),
    "u8": np.dtype(np.uint8),
    "i16": np.dtype(np.int16),
    "u16": np.dtype(np.uint16),
    "i32": np.dtype(np.int32),
    "u32": np.dtype(np.uint32),
    "i64": np.dtype(np.int64),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
}


def number(type: Type, value: float) -> Array:
    """A number of that type, the same in every thread and lane."""
    shape = (1, lanes(type)) if lanes(type) > 1 else (1,)
    return np.full(shape, value, NUMPY[element(type)])


def meaning(op: Op, machine: Machine) -> Meaning:
    """The function from the op's operands to its result, for ops that touch neither memory nor other threads."""
    if op.name in SIMPLE:
        return SIMPLE[op.name]
    if op.name in MADE:
        return MADE[op.name](op)
    return row_of(machine, op).meaning


def _unsigned(a: Array) -> Array:
    return a.view(np.dtype(f"u{a.dtype.itemsize}")) if a.dtype.kind == "i" else a


def _on_unsigned(compute: Callable[[Array, Array], Array]) -> Meaning:
    def result(a: Array, b: Array) -> Array:
        return compute(_unsigned(a), _unsigned(b)).view(a.dtype)

    return result


def _below(a: Array, b: Array) -> Array:
    result: Array = _unsigned(a) < _unsigned(b)
    return result


def _divide(a: Array, b: Array) -> Array:
    return a // np.maximum(b, 1)


def _remainder(a: Array, b: Array) -> Array:
    return a % np.maximum(b, 1)


def _maximum(a: Array, b: Array) -> Array:
    return np.where(a < b, b, a)


def _minimum(a: Array, b: Array) -> Array:
    return np.where(b < a, b, a)


SIMPLE: dict[str, Meaning] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "max": _maximum,
    "min": _minimum,
    "rint": np.rint,
    "udiv": _on_unsigned(_divide),
    "urem": _on_unsigned(_remainder),
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "shl": np.left_shift,
    "lshr": _on_unsigned(np.right_shift),
    "ashr": np.right_shift,
    "lt": np.less,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ult": _below,
    "select": np.where,
}


def _integers(op: Op, name: str) -> list[int]:
    value = op.attribute(name)
    return [int(v) for v in value] if isinstance(value, tuple) else [int(value)]


def _const(op: Op) -> Meaning:
    values = op.attribute("values")
    row = np.array(values, NUMPY[element(op.type)])
    fixed = row[None, :] if lanes(op.type) > 1 else row
    return lambda: fixed


def _convert(op: Op) -> Meaning:
    target = NUMPY[element(op.type)]
    if element(op.type) not in FLOATS and element(str(op.attribute("from"))) in FLOATS:
        return lambda a: np.trunc(a).astype(target)
    return lambda a: a.astype(target)


def _bitcast(op: Op) -> Meaning:
    target, count = NUMPY[element(op.type)], lanes(op.type)

    def result(a: Array) -> Array:
        flat = np.ascontiguousarray(a).reshape(a.shape[0], -1).view(target)
        return flat if count > 1 else flat[:, 0]

    return result


def _splat(op: Op) -> Meaning:
    count = lanes(op.type)
    return lambda a: np.broadcast_to(a[:, None], (a.shape[0], count)) if count > 1 else a


def _insert(op: Op) -> Meaning:
    (lane,) = _integers(op, "lane")

    def result(a: Array, b: Array) -> Array:
        whole = np.array(np.broadcast_to(a, (max(len(a), len(b)), a.shape[1])))
        whole[:, lane] = b
        return whole

    return result


def _extract(op: Op) -> Meaning:
    (lane,) = _integers(op, "lane")
    return lambda a: a[:, lane]


def _shuffle(op: Op) -> Meaning:
    order = _integers(op, "order")

    def result(a: Array, b: Array) -> Array:
        threads = max(len(a), len(b))
        both = [np.broadcast_to(v, (threads, v.shape[1])) for v in (a, b)]
        return np.concatenate(both, axis=1)[:, order]

    return result


def _pack(op: Op) -> Meaning:
    target = np.iinfo(NUMPY[element(op.type)])

    def result(a: Array, b: Array) -> Array:
        threads, part = max(len(a), len(b)), 16 // a.itemsize
        pieces = [np.broadcast_to(v, (threads, v.shape[1])).reshape(threads, -1, part) for v in (a, b)]
        beside = np.concatenate(pieces, axis=2).reshape(threads, -1)
        saturated: Array = np.clip(beside, target.min, target.max).astype(target.dtype)
        return saturated

    return result


def _lanes_inside(op: Op) -> Meaning:
    offsets, count = np.array(_integers(op, "offsets"), np.int64), lanes(op.type)

    def result(first: Array, second: Array) -> Array:
        at = first.astype(np.int64)[:, None] + offsets
        inside: Array = (at >= 0) & (at < second[:, None])
        return inside if count > 1 else inside[:, 0]

    return result


def _step(op: Op) -> Meaning:
    return lambda pointer, offset: pointer + offset.astype(np.int64)


MADE: dict[str, Callable[[Op], Meaning]] = {
    "const": _const,
    "convert": _convert,
    "bitcast": _bitcast,
    "splat": _splat,
    "insert": _insert,
    "extract": _extract,
    "shuffle": _shuffle,
    "pack": _pack,
    "lanes_inside": _lanes_inside,
    "step": _step,
}


def undefined(op: Op) -> Callable[..., Array] | None:
    """A function that says where the operands make the result undefined; None where they cannot."""
    if op.name in ("udiv", "urem"):
        return lambda a, b: b == 0
    if op.name in ("shl", "lshr", "ashr"):
        return lambda a, b: _unsigned(b) >= 8 * b.dtype.itemsize
    if op.name == "lanes_inside":
        return lambda first, second: second < 0
    if (
        op.name == "convert"
        and element(op.type) not in FLOATS
        and element(str(op.attribute("from"))) in FLOATS
    ):
        bounds = np.iinfo(NUMPY[element(op.type)])
        low, high = float(bounds.min), float(bounds.max + 1 if bounds.bits < 64 else 2.0**63)
        return lambda a: ~((np.trunc(a) >= low) & (np.trunc(a) < high))
    return None
