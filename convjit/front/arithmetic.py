"""The arithmetics that a layer of a network may run in, each as a program of the language.

A layer is a convolution of real tensors. An arithmetic says which types its program declares, what is bound to it, and what is
done to the input before and to the output after the kernel (nothing, for most).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit.errors import ConvError, did_you_mean
from convjit.spec import quantize, text

Array = NDArray[Any]

REAL = ("f32", "bf16", "f16")
INTEGER = ("i32", "i16", "i8")
"""By a `compute` clause with a factor for the input and one for the weight."""
EMULATED = "i4"
"""Numbers of 4 bits (-8..7), held and multiplied as bytes: the meaning of `compute i4`, not its speed."""
PER_CHANNEL = "i8_per_channel"
"""Input u8 with a zero point, weight i8 with a scale for each output channel: what ONNX Runtime and TensorFlow Lite make of a
trained network (Jacob et al., CVPR 2018; Krishnamoorthi, arXiv:1806.08342)."""

ARITHMETICS = (*REAL, *INTEGER, EMULATED, PER_CHANNEL)

ROUNDING = "half_even"


@dataclass(frozen=True)
class Scales:
    """Factors: a value times its factor is the number that is multiplied. `w` has one, or one for each output channel; `zero`
    is the input's zero point, in integers."""

    x: float
    w: tuple[float, ...]
    zero: int = 0


@dataclass(frozen=True)
class Program:
    """A layer in an arithmetic. `input`, `weight`: (type, options) as `convjit.Conv` takes them; `constants`: the arrays that are
    bound, by name; `before` makes the kernel's input of the layer's, `after` the layer's output of the kernel's."""

    input: tuple[str, Mapping[str, Any]]
    weight: tuple[str, Mapping[str, Any]]
    constants: Mapping[str, Array]
    bias: str | None = None
    output: str | None = None
    compute: str | None = None
    before: Callable[[Array], Array] = field(default=lambda x: x)
    after: Callable[[Array], Array] = field(default=lambda y: y)


def needs_scales(arithmetic: str) -> bool:
    """Whether an arithmetic multiplies integers."""
    return arithmetic not in REAL


def known(arithmetic: str) -> str:
    """The name itself. `ConvError` for one that is none of ARITHMETICS."""
    if arithmetic not in ARITHMETICS:
        hint = did_you_mean(arithmetic, ARITHMETICS) or f"There are {', '.join(ARITHMETICS)}."
        raise ConvError.of(f"Unknown arithmetic '{arithmetic}'.", hint=hint)
    return arithmetic


def program(arithmetic: str, dtype: str, w: Array, bias: Array | None, scales: Scales | None) -> Program:
    """The program of a layer whose tensors are `dtype`. `w` has shape (OC, IC, kernel), `bias` (OC,); `scales` are those of an
    integer arithmetic, whose tensors must be f32."""
    constants = {"w": w} if bias is None else {"w": w, "b": bias}
    if scales is None:
        compute = None if arithmetic in ("f32", dtype) else arithmetic
        return Program((dtype, {}), (dtype, {}), constants, dtype if bias is not None else None, None, compute)
    if arithmetic == EMULATED:
        return _emulated(w, bias, scales)
    if arithmetic == PER_CHANNEL:
        return _per_channel(w, bias, scales)
    factors = f"scale x {text.number(scales.x)}, w {text.number(scales.w[0])} round {ROUNDING}"
    return Program(("f32", {}), ("f32", {}), constants, "f32" if bias is not None else None, None, f"{arithmetic} {factors}")


def _emulated(w: Array, bias: Array | None, scales: Scales) -> Program:
    """The formulas of `compute` in integers (docs/quantisation.md) with the limits of 4 bits; the kernel is that of bytes."""
    both = scales.x, scales.w[0]
    four = {"in_range": (-8, 7)}

    def before(x: Array) -> Array:
        return quantize.to_integers(x, both[0], EMULATED, ROUNDING).astype(np.int8)

    def after(y: Array) -> Array:
        real: Array = quantize.to_real(y.astype(np.int64), *both)
        return real if bias is None else real + bias.reshape(-1, *[1] * (y.ndim - 2))

    whole = quantize.to_integers(w, both[1], EMULATED, ROUNDING).astype(np.int8)
    return Program(("i8", four), ("i8", four), {"w": whole}, output="i32", before=before, after=after)


def _per_channel(w: Array, bias: Array | None, scales: Scales) -> Program:
    """x = (q_x - zero) / factor, w = q_w / factor[oc]; the kernel gives real numbers back."""
    step = np.float32(1 / scales.x)
    factors = np.asarray(scales.w, np.float32).reshape(-1, *[1] * (w.ndim - 1))
    whole = np.clip(np.rint(w * factors), -127, 127).astype(np.int8)

    def before(x: Array) -> Array:
        scaled = np.rint(x / step) + np.float32(scales.zero)
        whole: Array = np.where(np.isnan(scaled), scales.zero, np.clip(scaled, 0, 255)).astype(np.uint8)
        return whole

    constants: dict[str, Array] = {"w": whole, "ws": np.asarray([1 / f for f in scales.w], np.float32)}
    constants |= {} if bias is None else {"b": bias}
    options = {"scale": float(step), "zero": scales.zero}
    kind = "f32" if bias is not None else None
    return Program(("u8", options), ("i8", {"scale": "ws"}), constants, kind, output="f32", before=before)
