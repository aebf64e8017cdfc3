"""What follows the sum, end to end: every step on every kind of machine, residuals in other layouts, open sizes, outputs
that are visited again, the order of steps, NaN and infinity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convjit
from convjit.api import compilation, read
from convjit.spec.conv import ConvSpec
from convjit.targets import CALLABLES
from tests.random_specs import Array

TARGETS = [
    pytest.param(("cpu:scalar", "cpu"), id="scalar"),
    pytest.param(("cpu:avx2", "cpu"), marks=pytest.mark.isa("avx2", "fma", "f16c", "bmi2"), id="avx2"),
    pytest.param(("cpu:avx512", "interpret"), id="avx512"),
    pytest.param(("cuda:sm_75", "interpret"), id="cuda"),
]
Target = tuple[str, str]
"""A machine, and who runs its kernels."""

SHAPE = "input x : {t}[{x}]; weight w : {t}[OC=19, KH=3, KW=2, IC=3]; output y : {t}[{y}]; pad 1; stride (1, 2)"
NHWC, NCHW = "N=2, H=3, W=7, C=3", "N=2, C=3, H=3, W=7"
LAYOUTS = {"NHWC": (NHWC, "N, OH, OW, OC"), "NCHW": (NCHW, "N, OC, OH, OW"), "mixed": (NHWC, "OC, N, OW, OH")}
STEPS = (
    "relu", "relu6", "clip -1.5 2.25", "clip (-1/2) (-1/4)", "leaky_relu 0.125", "leaky_relu -3", "hardswish", "sigmoid",
    "tanh", "silu", "gelu", "scale s per OC", "add r", "mul r",
)  # fmt: skip
NEAR = {"f32": 2e-6, "f64": 4e-15}
"""Relative to the largest element, of values up to about 10 that come of sums of 18 products."""


def program(
    steps: tuple[str, ...], layout: str = "NHWC", dtype: str = "f32", more: str = "", r: str = "N, OH, OW, OC"
) -> str:
    """A small convolution with these steps; `r` is the residual's order of axes."""
    x, y = LAYOUTS[layout]
    clauses = [SHAPE.format(t=dtype, x=x, y=y), *(f"then {s}" for s in steps)]
    clauses += [f"residual r : {dtype}[{r}]"] if any(s.endswith(" r") for s in steps) else []
    clauses += [f"param s : {dtype}[OC]"] if any(s.startswith("scale") for s in steps) else []
    return f"conv steps {{ {'; '.join(clauses)}; {more} }}"


def made(text: str, target: Target) -> Any:
    """What can be called."""
    ((spec, syntax),) = read(text).values()
    return CALLABLES[target[1]](compilation(spec, syntax, target[0]), 1)


def arrays(spec: ConvSpec, sizes: dict[str, int] | None = None, seed: int = 0) -> dict[str, Array]:
    """Normal numbers."""
    rng = np.random.default_rng(seed)
    known = sizes or {}
    shapes = {t.name: tuple(known[a] if n is None else n for a, n in zip(t.axes, t.sizes)) for t in spec.arguments}
    return {t.name: rng.normal(0, 1, shapes[t.name]).astype(t.dtype.replace("f", "float")) for t in spec.arguments}


def check(kernel: Any, given: dict[str, Array], dtype: str = "f32") -> Array:
    """Beside the reference; the result."""
    want = convjit.reference(kernel.spec, **given)
    got: Array = kernel(**given)
    assert got.dtype == dtype.replace("f", "float")
    np.testing.assert_allclose(got, want, rtol=0, atol=NEAR[dtype] * max(1.0, float(np.abs(want).max())))
    return got


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("step", STEPS)
def test_every_step(step: str, target: Target) -> None:
    kernel = made(program((step,)), target)
    check(kernel, arrays(kernel.spec))


@pytest.mark.parametrize("target", TARGETS)
def test_steps_of_f64(target: Target) -> None:
    kernel = made(program(("tanh", "add r", "gelu", "leaky_relu -3"), "mixed", "f64"), target)
    check(kernel, arrays(kernel.spec), "f64")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("layout", "r"),
    [("NHWC", "N, OC, OH, OW"), ("NCHW", "N, OH, OW, OC"), ("NCHW", "OW, OC, OH, N"), ("mixed", "N, OH, OW, OC")],
)
def test_a_residual_in_a_layout_of_its_own(layout: str, r: str, target: Target) -> None:
    kernel = made(program(("add r", "mul r"), layout, r=r), target)
    check(kernel, arrays(kernel.spec))


@pytest.mark.parametrize("target", TARGETS)
def test_steps_come_in_the_order_written(target: Target) -> None:
    steps = ("add r", "relu", "scale s per OC", "silu", "mul r", "clip -2 2", "leaky_relu -0.5", "gelu", "add r")
    results = []
    for order in (steps, steps[::-1]):
        kernel = made(program(order, more="bias b : f32[OC]"), target)
        results.append(check(kernel, arrays(kernel.spec)))
    assert np.abs(results[0] - results[1]).max() > 0.1


@pytest.mark.parametrize("target", TARGETS)
def test_open_sizes(target: Target) -> None:
    steps = ("leaky_relu -0.25", "add r", "scale s per OC", "gelu")
    kernel = made(program(steps, r="OC, OW, OH, N").replace("N=2, H=3, W=7", "N=?, H=?, W=?"), target)
    for n, h, w in ((1, 1, 1), (2, 5, 9)):
        sizes = {"N": n, "H": h, "W": w, "OH": h, "OW": (w + 2 - 2) // 2 + 1}
        check(kernel, arrays(kernel.spec, sizes))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary", "input_stationary", "row_stationary"])
def test_outputs_that_are_visited_again(dataflow: str, target: Target) -> None:
    if (dataflow, target[0][:4]) == ("row_stationary", "cuda"):
        pytest.skip("refused there")
    layout = "NCHW" if dataflow == "input_stationary" else "NHWC"
    steps = ("add r", "gelu", "scale s per OC", "mul r")
    kernel = made(program(steps, layout, more=f"dataflow {dataflow}", r="OC, N, OH, OW"), target)
    check(kernel, arrays(kernel.spec))


SPECIAL = np.array(
    [np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, -1e-40, 0.0, -0.0, 100.0, -100.0, 1.5, -1.5, 0.1, 2.0, -7.0]
)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("step", STEPS)
def test_no_number_and_infinity(step: str, target: Target) -> None:
    """A 1x1 convolution with one channel hands every value on; the step does with it what its formula says."""
    text = f"""conv a {{ input x : f32[N=1, H=4, W=4, C=1]; weight w : f32[OC=19, KH=1, KW=1, IC=1]; then {step}
        {"param s : f32[OC]" if "scale" in step else ""} {"residual r : f32[N, OC, OH, OW]" if step.endswith(" r") else ""} }}"""
    kernel = made(text, target)
    given = {"x": SPECIAL.reshape(1, 4, 4, 1).astype(np.float32), "w": np.ones((19, 1, 1, 1), np.float32)}
    beside = {"s": (19,), "r": (1, 19, 4, 4)}
    for t in kernel.spec.arguments[2:]:
        given[t.name] = np.resize(SPECIAL[:5].astype(np.float32), beside[t.name])
    with np.errstate(all="ignore"):
        want = convjit.reference(kernel.spec, **given).astype(np.float32)
        got = kernel(**given)
    assert np.array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-36)
