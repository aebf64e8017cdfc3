"""The meaning of a spec, held against its formula in plain loops, against einsum, and against PyTorch."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from convjit.errors import ConvError, Unavailable
from convjit.spec import layout, words
from convjit.spec.build import Conv
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text
from convjit.spec.reference import reference
from tests.spec.naive import convolve, random_arrays
from tests.specs import random_spec

Array = NDArray[Any]


def one(text: str) -> ConvSpec:
    return next(iter(from_text(text).values()))


def bare(spec: ConvSpec) -> ConvSpec:
    """The sum alone, without bias, steps and how to compute."""
    return replace(spec, tensors=(spec.input, spec.weight, spec.output), then=(), compute=None, dataflow="auto")


def out_of(spec: ConvSpec, result: Array) -> tuple[int, ...]:
    return tuple(result.shape[spec.output.axes.index(a)] for a in layout.output_axes(spec.spatial))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_the_sum_is_that_of_the_formula(seed: int) -> None:
    spec = random_spec(random.Random(seed))
    if spec.input.scale is not None:
        return
    spec = bare(spec)
    arrays = random_arrays(spec, np.random.default_rng(seed), whole=True)
    result = reference(spec, *arrays.values())
    zeros = tuple(t.zero if isinstance(t.zero, int) else 0 for t in (spec.input, spec.weight))
    x, w = arrays[spec.input.name], arrays[spec.weight.name]
    wanted = convolve(spec, x, w, out_of(spec, result), (zeros[0], zeros[1]))
    if spec.output.dtype in ("i32", "i64"):
        bits = 32 if spec.output.dtype == "i32" else 64
        half = 2 ** (bits - 1)
        wanted = np.vectorize(lambda v: (v + half) % 2**bits - half, otypes=[object])(wanted)
        assert result.dtype == np.dtype(f"int{bits}")
    else:
        assert result.dtype == np.float64
    assert (result == wanted).all()


def test_integers_wrap_and_are_exact_at_their_limits() -> None:
    spec = one("conv a { input x : i32[N=1, W=1, C=3]; weight w : i32[OC=1, KW=1, IC=3]; output y : i64[N, OW, OC] }")
    low, high = -(2**31), 2**31 - 1
    for x in ([low, low, low], [high, low, 7], [low, high, high]):
        for w in ([low, low, low], [low, high, -3], [high, high, high]):
            result = reference(spec, np.array([[x]], np.int32), np.array([[w]], np.int32))
            exact = sum(a * b for a, b in zip(x, w, strict=True))
            assert result.item() == (exact + 2**63) % 2**64 - 2**63
    narrow = one(str(spec).replace("i64[", "i32["))
    assert reference(narrow, np.array([[[high, 1, 0]]], np.int32), np.array([[[2, 3, 0]]], np.int32)).item() == 1


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32))
def test_any_layout_means_the_same(seed: int) -> None:
    r = random.Random(seed)
    spec = bare(random_spec(r, plain=True))
    if spec.open_sizes:
        return
    arrays = random_arrays(spec, np.random.default_rng(seed))
    result = reference(spec, *arrays.values())
    lines = str(spec)
    moved = dict(arrays)
    for tensor in (spec.input, spec.weight, spec.output):
        axes = r.sample(tensor.axes, len(tensor.axes))
        order = layout.permutation(tensor.axes, axes)
        sized = ", ".join(f"{a}={tensor.size(a)}" for a in axes)
        head = f"{tensor.role} {tensor.name} : {tensor.dtype}["
        lines = "\n".join(f"{head}{sized}]" if line.strip().startswith(head) else line for line in lines.split("\n"))
        if tensor.role != "output":
            moved[tensor.name] = arrays[tensor.name].transpose(order)
        else:
            result = result.transpose(order)
    assert np.array_equal(reference(one(lines), *moved.values()), result)


STEPS: dict[str, Callable[[float], float]] = {
    "relu": lambda v: max(v, 0.0),
    "relu6": lambda v: min(max(v, 0.0), 6.0),
    "clip -1.5 2": lambda v: min(max(v, -1.5), 2.0),
    "leaky_relu 0.1": lambda v: v if v >= 0 else 0.1 * v,
    "sigmoid": lambda v: 1 / (1 + math.exp(-v)),
    "tanh": math.tanh,
    "silu": lambda v: v / (1 + math.exp(-v)),
    "gelu": lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))),
    "hardswish": lambda v: v * min(max(v + 3, 0.0), 6.0) / 6,
}


@pytest.mark.parametrize("step", STEPS)
def test_steps(step: str) -> None:
    text = f"conv a {{ input x : f64[N=1, W=9, C=1]; weight w : f64[OC=1, KW=1, IC=1]; then {step} }}"
    values = np.array([-20.0, -6.0, -3.0, -1.0, -0.0, 0.5, 2.5, 5.0, 30.0])
    result = reference(one(text), values.reshape(1, 9, 1), np.ones((1, 1, 1)))
    assert np.allclose(result.ravel(), [STEPS[step](float(v)) for v in values], rtol=1e-14, atol=1e-15)


def test_every_step_has_a_meaning() -> None:
    assert {step.split()[0] for step in STEPS} | {"scale", "add", "mul"} == set(words.STEPS)


def test_far_arguments_do_not_overflow() -> None:
    text = "conv a {{ input x : f64[N=1, W=2, C=1]; weight w : f64[OC=1, KW=1, IC=1]; then {} }}"
    for step in ("sigmoid", "silu"):
        with np.errstate(all="raise", under="ignore"):
            result = reference(one(text.format(step)), np.array([[[-1e4], [1e4]]]), np.ones((1, 1, 1)))
        assert result.ravel()[0] == 0


def test_bias_and_steps_in_the_order_written() -> None:
    text = """conv a {
        input x : f32[N=1, C=2, W=3]
        weight w : f32[OC=2, IC=2, KW=1]
        bias b : f32[OC]
        residual r : f32[OC, N, OW]
        param s : f32[OC]
        then relu
        then add r
        then scale s per OC
        then mul q
        residual q : f32[N, OW, OC]
    }"""
    r = np.random.default_rng(0)
    x, w, b = r.standard_normal((1, 2, 3)), r.standard_normal((2, 2, 1)), r.standard_normal(2)
    res, s, q = r.standard_normal((2, 1, 3)), r.standard_normal(2), r.standard_normal((1, 3, 2))
    y = np.einsum("ncw,oc->now", x, w[:, :, 0]) + b[:, None]
    y = (np.maximum(y, 0) + res.transpose(1, 0, 2)) * s[:, None] * q.transpose(0, 2, 1)
    assert np.allclose(reference(one(text), x, w, b, res, s, q), y, rtol=1e-14)
    assert np.allclose(reference(one(text), x, w, q=q, s=s, r=res, b=b), y, rtol=1e-14)


def test_low_precision_inputs_are_taken_as_they_are() -> None:
    for dtype in ("f16", "bf16", "f8e4m3", "f8e5m2"):
        spec = one(f"conv a {{ input x : {dtype}[N=1, W=5, C=3]; weight w : {dtype}[OC=2, KW=2, IC=3] }}")
        arrays = random_arrays(spec, np.random.default_rng(1))
        wide = one(str(spec).replace(dtype, "f64"))
        wanted = reference(wide, *(a.astype(np.float64) for a in arrays.values()))
        assert np.array_equal(reference(spec, *arrays.values()), wanted)


def test_integers_with_bias_and_steps() -> None:
    spec = one("""conv a {
        input x : u8[N=1, W=4, C=2] zero 3
        weight w : i8[OC=2, KW=2, IC=2]
        bias b : i32[OC]
        residual r : i32[N, OW, OC]
        then add r ; then clip -50 1000
    }""")
    arrays = random_arrays(spec, np.random.default_rng(2))
    total = convolve(spec, arrays["x"], arrays["w"], (3,), (3, 0)) + arrays["b"].astype(object) + arrays["r"].astype(object)
    wanted = np.array([min(max((v + 2**31) % 2**32 - 2**31, -50), 1000) for v in total.ravel()])
    assert np.array_equal(reference(spec, *arrays.values()).ravel(), wanted)


def test_compute_in_integers_is_its_formula() -> None:
    spec = one("""conv a {
        input x : f32[N=1, W=6, C=2]
        weight w : f32[OC=1, KW=1, IC=2]
        compute i16 scale x 2^7, w 2^7*500 round toward_zero
    }""")
    x = np.array([[[1.2345, -0.999], [1e9, 0], [-1e9, 0], [np.nan, 1], [0.0078125, 0], [-0.01, 0.01]]], np.float32)
    w = np.array([[[0.25, 0.5]]], np.float32)
    qx = [[158, -127], [32767, 0], [-32768, 0], [0, 128], [1, 0], [-1, 1]]
    sums = [a * 16000 + b * 32000 for a, b in qx]
    wanted = [float(np.float32(s) / np.float32(128 * 64000)) for s in sums]
    assert reference(spec, x, w).ravel().tolist() == wanted


@pytest.mark.parametrize(
    ("rounding", "wanted"),
    [
        ("toward_zero", [-2, -1, 0, 0, 1, 2, 2]),
        ("half_even", [-2, -2, 0, 0, 2, 2, 3]),
        ("half_away", [-3, -2, -1, 1, 2, 3, 3]),
        ("floor", [-3, -2, -1, 0, 1, 2, 2]),
    ],
)
def test_roundings(rounding: str, wanted: list[int]) -> None:
    spec = one(f"""conv a {{
        input x : f32[N=1, W=7, C=1]; weight w : f32[OC=1, KW=1, IC=1]
        compute i16 scale x 1, w 1 round {rounding}
    }}""")
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.6], np.float32).reshape(1, 7, 1)
    assert reference(spec, x, np.ones((1, 1, 1), np.float32)).ravel().tolist() == wanted


def test_quantised_by_onnx() -> None:
    text = """conv a {
        input x : u8[N=1, W=4, C=2] scale 0.5 zero 128
        weight w : i8[OC=2, KW=3, IC=2] scale ws per OC zero wz per OC
        param ws : f32[OC]; param wz : i8[OC]
        bias b : i32[OC]
        residual r : i8[N, OW, OC] scale 0.25 zero -1
        output y : u8[N, OW, OC] scale 2 zero 3
        pad 1; then add r
    }"""
    spec = one(text)
    arrays = random_arrays(spec, np.random.default_rng(3))
    arrays["ws"] = np.array([0.125, 0.25], np.float32)
    wanted = []
    for oc in range(2):
        sums = convolve(spec, arrays["x"], arrays["w"], (4,), (128, int(arrays["wz"][oc])))[0, :, oc]
        real = np.array([s + int(arrays["b"][oc]) for s in sums], np.float32) * (np.float32(0.5) * arrays["ws"][oc])
        real += (arrays["r"][0, :, oc].astype(np.float32) + 1) * np.float32(0.25)
        wanted.append(np.clip(np.rint(real / np.float32(2)).astype(np.int64) + 3, 0, 255))
    result = reference(spec, *arrays.values())
    assert result.dtype == np.uint8 and np.array_equal(result[0].T, wanted)


def test_quantised_to_floats_with_a_float_bias() -> None:
    spec = one("""conv a {
        input x : i8[N=1, W=2, C=1] scale 0.5; weight w : i8[OC=1, KW=1, IC=1] scale 0.25
        bias b : f32[OC]; output y : f32[N, OW, OC]
    }""")
    result = reference(spec, np.array([[[3], [-4]]], np.int8), np.array([[[2]]], np.int8), np.array([0.5], np.float32))
    assert result.dtype == np.float64 and result.ravel().tolist() == [1.25, -0.5]


def test_open_sizes_come_from_the_arrays() -> None:
    spec = one("""conv a {
        input x : f32[N=?, H=?, W=?, C=2]; weight w : f32[OC=3, KH=3, KW=2, IC=2]
        residual r : f32[N, OH, OW, OC]; then add r; stride (2, 1); pad ((1, 1), (0, 0))
    }""")
    x, w = np.ones((2, 5, 4, 2)), np.ones((3, 3, 2, 2))
    assert reference(spec, x, w, np.zeros((2, 3, 3, 3))).shape == (2, 3, 3, 3)


def given_wrong(spec: ConvSpec, *arrays: Any, **named: Any) -> str:
    with pytest.raises(ConvError) as error:
        reference(spec, *arrays, **named)
    return str(error.value)


def test_wrong_arrays() -> None:
    spec = one("""conv a {
        input x : f32[N=?, W=?, C=2]; weight w : f32[OC=3, KW=3, IC=2]
        residual r : f32[N, OW, OC]; then add r
    }""")
    x, w, r = np.zeros((1, 5, 2)), np.zeros((3, 3, 2)), np.zeros((1, 3, 3))
    takes = "error: The convolution 'a' takes x, w, r; given were "
    assert given_wrong(spec, x, w) == takes + "2 by position and none by name."
    assert given_wrong(spec, x, w, r, r) == takes + "4 by position and none by name."
    assert given_wrong(spec, x, w, z=r) == takes + "2 by position and z by name."
    assert given_wrong(spec, x, w, r, w=w) == takes + "3 by position and w by name."
    assert given_wrong(spec, x[0], w, r) == "error: The array 'x' has the shape (5, 2); wanted is (N=?, W=?, C=2)."
    wrong = "error: The array 'r' has the shape (2, 3, 3); wanted is (N=1, OW=?, OC=3)."
    assert given_wrong(spec, x, w, np.zeros((2, 3, 3))) == wrong
    wrong = "error: The arrays' sizes give an output of 3 along OW, which cannot be."
    assert given_wrong(spec, x, w, np.zeros((1, 4, 3))) == wrong
    wrong = "error: The arrays' sizes give an output of 0 along OW, which cannot be."
    assert given_wrong(spec, np.zeros((1, 2, 2)), w, r) == wrong


def test_what_has_no_reference() -> None:
    auto = one("conv a { input x : f32[N=1, W=5, C=2]; weight w : f32[OC=3, KW=3, IC=2]; compute i8 scale auto }")
    with pytest.raises(Unavailable, match="'scale auto' has no reference: it needs calibration."):
        reference(auto, np.zeros((1, 5, 2)), np.zeros((3, 3, 2)))


def test_against_pytorch() -> None:
    torch = pytest.importorskip("torch")
    r = random.Random(7)
    for _ in range(40):
        rank = r.choice([1, 2, 3])
        groups, transposed = r.choice([1, 1, 2, 3]), r.random() < 0.3
        ic, oc, n = r.randint(1, 3), r.randint(1, 3) * groups, r.randint(1, 2)
        size, kernel = [r.randint(5, 8) for _ in range(rank)], [r.randint(1, 3) for _ in range(rank)]
        stride, dilation = [r.randint(1, 3) for _ in range(rank)], [r.randint(1, 2) for _ in range(rank)]
        pad = [r.randint(0, 1) * (k > 1) for k in kernel]
        spatial = layout.SPATIAL[rank - 1]
        spec = Conv(
            input=("x", "f64", {"N": n, "C": ic * groups, **dict(zip(spatial, size, strict=True))}),
            weight=("w", "f64", {"OC": oc, "IC": ic, **dict(zip(layout.kernel_axes(spatial), kernel, strict=True))}),
            stride=stride, dilation=dilation, pad=[(p, p) for p in pad], groups=groups, transposed=transposed,
        )  # fmt: skip
        arrays = random_arrays(spec, np.random.default_rng(r.randrange(99)))
        x, w = (torch.from_numpy(arrays[name]) for name in "xw")
        if transposed:
            w = w.unflatten(0, (groups, oc // groups)).transpose(1, 2).flatten(0, 1)
        name = f"conv{'_transpose' if transposed else ''}{rank}d"
        wanted = getattr(torch.nn.functional, name)(x, w, stride=stride, padding=pad, dilation=dilation, groups=groups)
        assert np.allclose(reference(spec, *arrays.values()), wanted.numpy(), rtol=1e-12, atol=1e-12)
