"""y[i] = f(x[i]) as a kernel for any machine, and exact values to compare with."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

import numpy as np

from convjit import machine as machines
from convjit.dtypes import bits, get
from convjit.kernel.from_nest import lower
from convjit.kernel.interpret import interpret
from convjit.kernel.ir import Kernel
from convjit.kernel.verify import verify
from convjit.machine import Machine
from convjit.nest.parse import parse
from convjit.nest.verify import verify as verify_nest
from tests.compiled import call, compiled

Array = np.ndarray[Any, Any]
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459")
SLOPE = -0.25
"""Of leaky_relu."""
ALL = ("sigmoid", "tanh", "silu", "gelu", "hardswish", "leaky_relu")
TYPES = ("f32", "f64")


def kernel(name: str, dtype: str, machine: Machine) -> Kernel:
    """The function of `dtype` on every element of an array, the lanes past its end left out."""
    lanes = machine.lanes(bits(dtype))
    more = f", {SLOPE}:{dtype}" if name == "leaky_relu" else ""
    if machine.kind == "cuda":
        head, at = "  grid N threads 32\n", "32*b.0+i.0"
        loops = "  let b.0 in N of block\n  par i.0 in 32 of thread\n"
    else:
        head, at = "", "i.0+i.1"
        loops = f"  for i.0 in 0..N step {lanes}; simd i.1 in 0..{lanes}\n"
    head += f"  memory x: {dtype}[i] of i=N\n  memory y: {dtype}[i] of i=N\n"
    body = f"    y[{at}] = {name}:{dtype}((x[{at}] inside 0<={at}<N){more}) when 0<={at}<N"
    made = lower(verify_nest(parse(f"nest {name}_{dtype}\n  size N\n{head}{loops}{body}")), machine)
    verify(made, machine)
    return made


def run(name: str, dtype: str, target: str, x: Array) -> Array:
    """By the processor."""
    machine = machines.get(target)
    made, y = kernel(name, dtype, machine), np.empty_like(x)
    call(compiled((made,), machine), made, {"x": x, "y": y}, {made.sizes[0]: len(x)})
    return y


def interpreted(name: str, dtype: str, target: str, x: Array) -> Array:
    """By the kernel's interpreter."""
    machine = machines.get(target)
    made, y = kernel(name, dtype, machine), np.empty_like(x)
    interpret(made, machine, {"x": x, "y": y}, {made.sizes[0]: len(x)})
    return y


def special(dtype: str) -> Array:
    """Zeros, infinities, NaN, the smallest and the largest numbers, and what lies at the ends of exp and erf."""
    info = np.finfo(get(dtype).numpy)
    ends = [info.tiny, info.smallest_subnormal, info.max, np.inf, 0.0, 0.5, 1.0, 3.0, 6.0, 9.1, 20.0]
    ends += [87.3, 88.7, 88.8, 103.9, 13.24, 13.26, 37.6, 37.7, 708.4, 709.8, 745.2, 1e6]
    values = np.array(ends).astype(get(dtype).numpy)
    return np.concatenate([values, -values, [np.nan]]).astype(get(dtype).numpy)


def exact(name: str, x: float) -> float:
    """Of a finite number, by decimal arithmetic of as many digits as it takes."""
    with decimal.localcontext(decimal.Context(prec=60, Emin=-(10**6), Emax=10**6)):
        v = Decimal(x)
        if name == "sigmoid":
            return float(1 / (1 + (-v).exp()))
        if name == "silu":
            return float(v / (1 + (-v).exp()))
        if name == "tanh":
            if not v:
                return 0.0
            decimal.getcontext().prec += 20 + max(0, -v.adjusted())
            return float(1 - 2 / ((2 * v).exp() + 1))
        assert name == "gelu"
        return float(v * normal(v))


def normal(v: Decimal) -> Decimal:
    """(1 + erf(v / sqrt 2)) / 2: the series of erf, or far out Laplace's continued fraction."""
    t = abs(v)
    if t < 4:
        term, total = v, v
        for n in range(1, 100):
            term *= -v * v / (2 * n)
            total += term / (2 * n + 1)
        return Decimal("0.5") + total / (2 * PI).sqrt()
    fraction = t
    for n in range(500, 0, -1):
        fraction = t + n / fraction
    tail = (-t * t / 2).exp() / (2 * PI).sqrt() / fraction
    return tail if v < 0 else 1 - tail
