"""Small random quantised convolutions and their arrays.

There are many ties, zero points at the ends of types, sums that wrap, and residuals that are no number.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.spec import words
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text
from convjit.spec.tensor import Tensor

Array = NDArray[Any]

SMALL_TO_LARGE = sorted(words.INTEGER_PAIRS)
OUTPUTS = ("u8", "i8", "u8", "i8", "i16", "i32", "u4", "i4")


def random_quantised(r: random.Random, profile: str) -> ConvSpec:
    """A spec with that profile of `requantize`; "real" gives an output of f32."""
    while True:
        size, kernel, stride, dilation = r.randint(2, 5), r.randint(1, 3), r.choice([1, 1, 2]), r.choice([1, 1, 2])
        low, high = r.randint(0, 1), r.randint(0, 2)
        out = (size + low + high - dilation * (kernel - 1) - 1) // stride + 1
        if out >= 1:
            break
    groups, ic, oc = r.choice([(1, 3, 2), (1, 1, 3), (2, 2, 1), (2, 1, 2)])
    x, w = r.choice([("u8", "i8"), ("i8", "i8"), ("u8", "u8"), r.choice(SMALL_TO_LARGE)])
    if profile in words.INTEGER_PROFILES and x not in words.SMALL:
        x, w = "i8", "i8"
    sx, sw, sy, per = *scales(r), r.random() < 0.4
    y = "f32" if profile == "real" else r.choice(OUTPUTS)
    image = axes(r, f"N={r.randint(1, 2)}", f"W={size}", f"C={groups * ic}")
    taps = axes(r, f"OC={groups * oc}", f"KW={kernel}", f"IC={ic}")
    lines = [
        f"input x : {x}{image} scale {sx!r} zero {end(r, x)}",
        f"weight w : {w}{taps} scale {'ws per OC' if per else repr(sw)}"
        + (f" zero wz per OC\nparam wz : {r.choice([w, 'i32'])}[OC]" if per else f" zero {end(r, w)}"),
        f"output y : {y}{axes(r, 'N', 'OW', 'OC')}" + (f" scale {sy!r} zero {end(r, y)}" if y != "f32" else ""),
        f"stride {stride}; dilation {dilation}; groups {groups}; pad (({low}, {high}))",
        *(["param ws : f32[OC]"] if per else []),
        *([f"requantize {profile}"] if profile != "real" else []),
        *after(r, profile, sy),
    ]
    return next(iter(from_text("conv a {\n" + "\n".join(lines) + "\n}").values()))


def scales(r: random.Random) -> tuple[float, float, float]:
    """Of input, weight and output: powers of two, where ties are common, or any."""
    if r.random() < 0.7:
        return 2.0 ** r.randint(-4, 0), 2.0 ** r.randint(-4, 0), 2.0 ** r.randint(-4, 3)
    return r.uniform(0.01, 0.1), r.uniform(0.01, 0.1), r.uniform(0.001, 2)


def end(r: random.Random, dtype: str) -> str:
    """A zero point, often an end of the type."""
    low, high = dtypes.limits(dtype)
    return f"({r.choice([0 if low else high // 2, low, high, r.randint(low, high)])})"


def axes(r: random.Random, *given: str) -> str:
    """Axes in any order."""
    return f"[{', '.join(r.sample(given, len(given)))}]"


def after(r: random.Random, profile: str, sy: float) -> list[str]:
    """Bias and steps that the profile can take."""
    integers = profile in words.INTEGER_PROFILES
    bias = r.choice(["", "i32", "i64", "" if integers else "f32"])
    low = sy * r.choice([-6.5, -2.5, 0, 1.5])
    compare = ["relu", "relu6", f"clip ({low!r}) ({low + sy * r.choice([0, 3.5, 40])!r})"]
    real = [*compare, "leaky_relu 0.3", "leaky_relu (-1/2)", "hardswish", "add r", "mul q", "add q", "scale s per OC"]
    only = integers or r.random() < 0.4
    steps = r.sample(compare if only else real, r.choice([0, 1, 1, 2, 3]))
    lines = [f"bias b : {bias}[OC]"] if bias else []
    lines += [f"then {step}" for step in steps]
    if "add r" in steps:
        dtype = r.choice(["u8", "i8", "i16"])
        scale, zero = r.choice([0.5, 0.3]), end(r, dtype)
        lines.append(f"residual r : {dtype}{axes(r, 'N', 'OC', 'OW')} scale {scale} zero {zero}")
    lines += ["residual q : f32[N, OW, OC]"] if {"mul q", "add q"} & set(steps) else []
    return lines + (["param s : f32[OC]"] if "scale s per OC" in steps else [])


def random_arrays(spec: ConvSpec, r: random.Random) -> dict[str, Array]:
    """Numbers for each argument; those that are multiplied mostly lie near the zero point, so that outputs differ."""
    near = r.random() < 0.7
    return {tensor.name: numbers(spec, tensor, r, near) for tensor in spec.arguments}


def numbers(spec: ConvSpec, tensor: Tensor, r: random.Random, near: bool) -> Array:
    """Numbers of one tensor."""
    shape = tuple(size or 0 for size in tensor.sizes)
    kind, stream = dtypes.get(tensor.dtype), np.random.default_rng(r.randrange(2**32))
    if tensor.role == "param" and tensor.name == spec.weight.scale:
        return np.array(r.choices([0.25, 0.5, 0.0625, 0.03, 1.7], k=shape[0]), np.float32)
    if kind.kind == "float":
        return residual(stream, shape, r.random() < 0.2)
    low, high = dtypes.limits(spec.weight.dtype if tensor.role == "param" else tensor.dtype)
    if near and tensor.role != "param":
        middle = tensor.zero if isinstance(tensor.zero, int) else 0
        reach = 200 if tensor.role == "bias" else 4
        low, high = max(low, middle - reach), min(high, middle + reach)
    return stream.integers(low, high, shape, endpoint=True, dtype=np.int64).astype(kind.numpy)


def residual(stream: np.random.Generator, shape: tuple[int, ...], odd: bool) -> Array:
    """Real numbers, and among the odd ones some that no formula likes."""
    values = (stream.integers(-64, 65, shape) / 16).astype(np.float32)
    if odd:
        strange = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-42], np.float32)
        values = np.where(stream.random(shape) < 0.3, stream.choice(strange, shape), values)
    return values
