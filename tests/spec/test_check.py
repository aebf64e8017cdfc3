"""The bound that decides whether a result is right: it holds for real arithmetic, and it sees mistakes."""

from __future__ import annotations

from math import erf

import numpy as np
import pytest

from convjit import dtypes
from convjit.cli import data
from convjit.cli.stored import Array
from convjit.dsl.parse import parse
from convjit.spec.check import Verdict, compare
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import lower
from convjit.spec.reference import reference

TEXT = """conv c {
    input x : f32[N=2, C=8, H=6, W=5]; weight w : f32[KH=3, KW=3, OC=6, IC=8]; bias b : f32[OC]
    residual r : f32[N, OC, OH, OW]; param s : f32[OC]; output y : f32[N, OH, OW, OC]
    pad 1
    then scale s per OC
    then add r
    STEPS
}"""

STEPS = (
    "relu", "relu6", "clip (-0.5) 100", "leaky_relu 2.5", "sigmoid", "tanh", "silu", "gelu", "hardswish", "mul r",
)  # fmt: skip


def spec_of(steps: str = "", types: str = "f32") -> ConvSpec:
    return lower(parse(TEXT.replace("STEPS", steps).replace("f32", types)))["c"]


def made(spec: ConvSpec, seed: int = 0) -> dict[str, Array]:
    return {t.name: data.make(spec, t, seed) for t in spec.arguments}


@pytest.mark.parametrize("step", ["", *(f"then {s}" for s in STEPS)])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_float_arithmetic_stays_inside(step: str, dtype: str) -> None:
    """Sums and steps in the type itself, one after the other, are a correct implementation."""
    spec = spec_of(step, dtype)
    given = made(spec)
    kind = dtypes.get(dtype).numpy
    x, w = (given[n].astype(kind) for n in "xw")
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    total = np.zeros((2, 6, 5, 6), kind)
    for kh in range(3):
        for kw in range(3):
            for c in range(8):
                total += padded[:, c, kh : kh + 6, kw : kw + 5, None] * w[kh, kw, :, c]
    total = (total + given["b"]) * given["s"] + given["r"].transpose(0, 2, 3, 1)
    result = total if not step else _stepped(step.split()[1:], total, given)
    verdict = compare(spec, given, result.astype(kind))
    assert verdict.wrong == 0
    assert verdict.share <= 1


def _stepped(words: list[str], v: Array, given: dict[str, Array]) -> Array:
    one = v.dtype.type(1)
    sigmoid = one / (one + np.exp(-v))
    if words[0] == "gelu":
        half = np.vectorize(lambda t: 0.5 * t * (1 + erf(t / 2**0.5)))(v.astype(np.float64))
        return half.astype(v.dtype)
    results: dict[str, Array] = {
        "relu": np.maximum(v, 0), "relu6": np.clip(v, 0, 6), "clip": np.clip(v, -0.5, 100),
        "leaky_relu": np.where(v < 0, v * v.dtype.type(2.5), v), "sigmoid": sigmoid, "tanh": np.tanh(v),
        "silu": v * sigmoid, "hardswish": v * np.clip(v + 3, 0, 6) / 6,
        "mul": v * given["r"].transpose(0, 2, 3, 1),
    }  # fmt: skip
    return results[words[0]]


def test_a_missing_product_is_seen() -> None:
    spec = spec_of()
    given = made(spec)
    spoiled = dict(given, w=given["w"].copy())
    spoiled["w"][1, 1, :, 3] = 0
    verdict = compare(spec, given, reference(spec, **spoiled).astype(np.float32))
    assert verdict.wrong > 0 and verdict.share > 1


def test_one_wrong_element_is_found() -> None:
    spec = spec_of()
    given = made(spec)
    result = reference(spec, **given).astype(np.float32)
    result[1, 2, 3, 4] += 1e-3
    verdict = compare(spec, given, result)
    assert (verdict.wrong, verdict.first) == (1, (1, 2, 3, 4))
    assert verdict.share > 1
    assert verdict.largest == pytest.approx(1e-3, rel=1e-3)


def test_nothing_is_wrong_with_the_reference_itself() -> None:
    spec = spec_of(types="f64")
    given = made(spec)
    verdict = compare(spec, given, reference(spec, **given))
    assert verdict == Verdict(0.0, 0.0, 0.0, 0, (), exact=False)


def test_infinities_and_nan_must_stand_in_the_same_places() -> None:
    spec = spec_of()
    given = made(spec)
    given["x"][0, 2, 3, 3] = np.inf
    given["r"][1, 1, 1, 1] = np.nan
    result = reference(spec, **given).astype(np.float32)
    assert np.isinf(result).any() and np.isnan(result).any()
    assert compare(spec, given, result).wrong == 0
    odd = np.argwhere(np.isinf(result))[0]
    result[tuple(odd)] = 0
    assert compare(spec, given, result).first == tuple(odd)


def test_sums_that_may_overflow_are_not_judged() -> None:
    spec = spec_of()
    given = made(spec)
    given["x"][:] = 1e38
    given["w"][:] = np.where(np.arange(8) % 2, 1.0, -1.0)
    result = np.full((2, 6, 5, 6), np.inf, np.float32)
    assert compare(spec, given, result).wrong == 0


def integers() -> tuple[ConvSpec, dict[str, Array]]:
    text = "conv c { input x : u8[N=1, W=9, C=4]; weight w : i8[KW=3, OC=5, IC=4] }"
    spec = lower(parse(text))["c"]
    return spec, made(spec)


def test_integers_are_exact_or_wrong() -> None:
    spec, given = integers()
    result = reference(spec, **given)
    verdict = compare(spec, given, result)
    assert verdict == Verdict(0.0, 0.0, 0.0, 0, (), exact=True)
    result[0, 3, 2] += 1
    verdict = compare(spec, given, result)
    assert (verdict.wrong, verdict.first, verdict.largest) == (1, (0, 3, 2), 1.0)


def test_made_integers_fill_their_range() -> None:
    text = "conv c { input x : u8 in 3..5 [N=1, W=90, C=4]; weight w : i8[KW=3, OC=50, IC=4] }"
    spec = lower(parse(text))["c"]
    given = made(spec)
    assert set(np.unique(given["x"])) == {3, 4, 5}
    assert given["w"].min() == -128 and given["w"].max() == 127
    assert (given["x"].dtype, given["w"].dtype) == (np.uint8, np.int8)


def test_made_weights_keep_outputs_as_large_as_inputs() -> None:
    spec = lower(
        parse("conv c { input x : f32[N=1, W=100, C=64]; weight w : f32[KW=3, OC=64, IC=64]; pad same }")
    )["c"]
    assert np.std(reference(spec, **made(spec))) == pytest.approx(1, rel=0.1)


def test_a_tensor_does_not_depend_on_the_others() -> None:
    one = lower(parse("conv c { input x : f32[N=1, W=9, C=4]; weight w : f32[KW=3, OC=5, IC=4] }"))["c"]
    two = lower(parse("conv c { input x : f32[N=1, W=9, C=4]; weight w : f32[KW=3, OC=7, IC=4] }"))["c"]
    np.testing.assert_array_equal(made(one)["x"], made(two)["x"])
