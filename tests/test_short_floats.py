"""bf16 and f16: stored with sums of f32, and as the type that is multiplied (`compute`).

Whole numbers compare exactly, others within the bound that follows from the types; what `compute bf16` gives is the same
to the last bit on every CPU, and that of exact fractions.
"""

from __future__ import annotations

import random
import re
from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import dtypes
from convjit import machine as machines
from convjit.api import compilation
from convjit.cli.inputs import closed
from convjit.errors import ConvError, Unavailable
from convjit.pipeline import stage_texts
from convjit.spec.check import compare
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text
from convjit.targets import CALLABLES
from tests import shapes
from tests.convs import conv
from tests.scalar_floats import narrow, rounded
from tests.shapes import SAMPLE, Case

Array = np.ndarray[Any, Any]
AVX2 = pytest.param("cpu:avx2", marks=pytest.mark.isa("avx2", "fma", "f16c"))
WIDE = ("avx512f", "avx512vl", "avx512bw", "avx512dq")
AVX512 = pytest.param("cpu:avx512", marks=pytest.mark.isa(*WIDE))
BF16 = pytest.param("cpu:avx512_bf16", marks=pytest.mark.isa(*WIDE, "avx512_vnni", "avx512_bf16"))
TARGETS = ("cpu:scalar", AVX2, AVX512, BF16)
CPUS = tuple(name for name in machines.NAMES if name.startswith("cpu") and not name.endswith("_vnni"))
WAYS = (("bf16", ""), ("f16", ""), ("f32", "bf16"), ("f32", "f16"))
"""How tensors are stored, and the word of `compute`."""
TINY = [case for case in SAMPLE if case.products < 15_000]
FLOWS = ("weight_stationary", "input_stationary", "row_stationary")
MIXED = [
    conv((6, 9), (5, 19), (3, 3), extra="bias b : f32[OC]; then relu"),
    conv((7, 8), (8, 12), (3, 2), groups=2, x="NCHW", w="OIHW", y="NHWC", stride=2, extra="residual r : f32[N, OH, OW, OC]; then add r"),
    conv((9,), (1, 7), (3,), extra="then gelu"),
    conv((4, 3, 5), (6, 6), (2, 3, 1), groups=6, extra="then leaky_relu 0.5"),
    conv((8,), (16, 17), (1,), x="CNW", extra="param s : f32[OC]; then scale s per OC"),
    conv((6, 7), (7, 1), (3, 3), pad="((2, 1), (0, 2))", dilation=2),
]  # fmt: skip


def stored(spec: ConvSpec, dtype: str, compute: str = "", keep: tuple[str, ...] = ()) -> ConvSpec:
    """All tensors but params, and those to keep, of a type."""
    tensors = tuple(t if t.role in ("param", *keep) else replace(t, dtype=dtype) for t in spec.tensors)
    return replace(spec, tensors=tensors, compute=convjit.spec.tensor.Compute(compute) if compute else None)


def numbers(spec: ConvSpec, seed: int = 0) -> dict[str, Array]:
    """Of very different sizes, some zeros among them."""
    r = np.random.default_rng(seed)
    made = {}
    for t in spec.arguments:
        shape = tuple(size or 1 for size in t.sizes)
        values = r.standard_normal(shape) * np.exp2(r.integers(-6, 6, shape)) * (r.random(shape) < 0.9)
        made[t.name] = values.astype(dtypes.get(t.dtype).numpy)
    return made


def run(spec: ConvSpec, target: str, given: dict[str, Array]) -> Array:
    """By machine code where this processor has it."""
    kernel: Any = convjit.compile(spec, target=target)
    return np.asarray(kernel(**given))


def interpreted(spec: ConvSpec, target: str, given: dict[str, Array]) -> Array:
    """By the interpreter of kernels."""
    kernel: Any = CALLABLES["interpret"](compilation(spec, target=target), 1)
    return np.asarray(kernel(**given))


def some(count: int) -> list[tuple[Case, tuple[str, str]]]:
    """Cases of the sample, the ways in turn."""
    return [(case, WAYS[i % 4]) for i, case in enumerate(SAMPLE[:: max(1, len(SAMPLE) // count)])]


def name(value: object) -> str:
    """What pytest calls a case, or a way."""
    return value.name if isinstance(value, Case) else "_".join(value) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("case", "way"), some(8), ids=name)
def test_whole_numbers_are_exact(case: Case, way: tuple[str, str], target: str) -> None:
    """Products and sums are exact in f32; a stored result is rounded once."""
    dtype, compute = way
    spec = stored(shapes.spec_of(case), dtype, compute)
    given = dict(zip((t.name for t in spec.arguments), shapes.arrays(spec), strict=True))
    want = convjit.reference(spec, **given).astype(dtypes.get(dtype).numpy)
    np.testing.assert_array_equal(run(spec, target, given), want)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("way", WAYS, ids=name)
def test_what_follows_the_sum(way: tuple[str, str], target: str) -> None:
    """Bias and residual of the same type and of f32, steps, layouts, groups, 1 to 3 dimensions."""
    for at, spec in enumerate(MIXED):
        one = stored(spec, *way, keep=("bias", "residual") if at % 2 else ())
        given = numbers(one, at)
        verdict = compare(one, given, run(one, target, given))
        assert verdict.wrong == 0, (str(one), verdict)


@pytest.mark.parametrize("target", ["cpu:scalar", AVX2, BF16])
@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("way", WAYS, ids=name)
def test_dataflows(way: tuple[str, str], flow: str, target: str) -> None:
    for at, spec in list(enumerate(MIXED))[(FLOWS.index(flow) + WAYS.index(way)) % 2 :: 2]:
        one = replace(stored(spec, *way), dataflow=flow)
        given = numbers(one, at)
        assert compare(one, given, run(one, target, given)).wrong == 0, str(one)


@pytest.mark.parametrize(("x", "y"), [("bf16", "f32"), ("f16", "f32"), ("f32", "bf16"), ("f32", "f16"), ("f16", "bf16")])
@pytest.mark.parametrize("target", ["cpu:scalar", AVX2])
def test_types_that_differ(x: str, y: str, target: str) -> None:
    text = f"""conv a {{
        input x : {x}[N=2, W=9, C=5]; weight w : {x}[OC=11, KW=3, IC=5]; bias b : {y}[OC]; output y : {y}[N, OW, OC]
        residual r : {y}[N, OW, OC]; then add r; pad 1
    }}"""
    (spec,) = from_text(text).values()
    given = numbers(spec)
    got = run(spec, target, given)
    assert got.dtype == dtypes.get(y).numpy
    assert compare(spec, given, got).wrong == 0


@pytest.mark.parametrize("target", ["cpu:scalar", AVX2])
@pytest.mark.parametrize("way", WAYS, ids=name)
def test_open_sizes(way: tuple[str, str], target: str) -> None:
    spec = stored(conv(("?", 7), (6, 9), (3, 3), batch="?", extra="bias b : f32[OC]"), *way)
    kernel: Any = convjit.compile(spec, target=target, threads=2)
    for n, h in ((1, 3), (3, 8)):
        known = closed(spec, {"N": n, "H": h})
        given = numbers(known, n)
        assert compare(known, given, kernel(**given)).wrong == 0


# --- the same bits everywhere


@pytest.mark.isa("avx2", "fma")
@pytest.mark.parametrize("case", SAMPLE[::7], ids=name)
def test_the_bits_of_compute_bf16(case: Case) -> None:
    """With rows of fused instructions and without, in vectors of any width: products are added up in one order."""
    spec = stored(shapes.spec_of(case), "f32", "bf16")
    given = numbers(spec)
    want = run(spec, "cpu:scalar", given)
    np.testing.assert_array_equal(bits(run(spec, "cpu:avx2", given)), bits(want))
    assert compare(spec, given, want).wrong == 0


@pytest.mark.parametrize("case", TINY[::3], ids=name)
def test_the_bits_of_compute_bf16_elsewhere(case: Case) -> None:
    spec = stored(shapes.spec_of(case), "f32", "bf16")
    given = numbers(spec, 1)
    want = bits(run(spec, "cpu:scalar", given))
    for target in ("cpu:avx512", "cpu:avx512_bf16"):
        np.testing.assert_array_equal(bits(interpreted(spec, target, given)), want)


@pytest.mark.isa("avx2", "fma")
@pytest.mark.parametrize("flow", ["weight_stationary", "row_stationary"])
def test_the_bits_of_dataflows(flow: str) -> None:
    for at, spec in enumerate(MIXED):
        one = replace(stored(spec, "f32", "bf16"), dataflow=flow, then=())
        one = replace(one, tensors=tuple(t for t in one.tensors if t.role in ("input", "weight", "output")))
        given = numbers(one, at)
        np.testing.assert_array_equal(bits(run(one, "cpu:avx2", given)), bits(run(one, "cpu:scalar", given)))


def bits(a: Array) -> Array:
    return a.view(np.int32)


def step(x: float, w: float, total: float) -> float:
    """VDPBF16PS's multiply-add, with fractions: rounded to 24 bits whatever the exponent, and 0 below 2^-126."""
    exact = Fraction(x) * Fraction(w) + Fraction(total)
    result = rounded(exact, 24, -1000, 128)
    return result if abs(result) >= 2.0**-126 else 0.0


def in_pairs(x: list[float], w: list[float]) -> float:
    """A sum over channels: of each pair the second product first; a missing one is 0."""
    total = 0.0
    for c in range(0, len(x), 2):
        for at in (c + 1, c):
            total = step(x[at], w[at], total) if at < len(x) else step(0.0, 0.0, total)
    return total


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("channels", [1, 2, 5, 8])
def test_sums_are_those_of_fractions(channels: int, target: str) -> None:
    """Numbers that cancel, numbers whose products and sums are near the least normal one, denormal ones."""
    check_fractions(channels, target, run)


@pytest.mark.parametrize("target", ["cpu:avx2", "cpu:avx512", "cpu:avx512_bf16"])
def test_interpreted_sums_are_those_of_fractions(target: str) -> None:
    for channels in (1, 5):
        check_fractions(channels, target, interpreted)


def check_fractions(channels: int, target: str, how: Any) -> None:
    spec = stored(conv((40,), (channels, 17), (1,), w="OWI"), "f32", "bf16")
    r = random.Random(channels)

    def drawn(count: int) -> list[float]:
        sizes = [r.choice([-126, -63, -64, -62, -1, 0, -70]) + r.choice([0, 0, 0, -1, 1]) for _ in range(count)]
        return [narrow(float(np.float32(r.choice([-1, 1]) * r.uniform(1, 2) * 2.0**e)), "bf16") for e in sizes]

    x, w = [drawn(channels) for _ in range(40)], [drawn(channels) for _ in range(17)]
    if channels > 1:  # +-2^-126, then something that as f32 rounds would round away, and something that nearly does
        x[0][:2], x[1][:2], x[2][:2] = [1.5 * 2.0**-75, 2.0**-63], [2.0**-75, -(2.0**-63)], [2.0**-76, 2.0**-63]
        w[0][:2], w[1][:2] = [-(2.0**-76), 2.0**-63], [1.0078125 * 2.0**-76, 2.0**-63]
        for each in (*x[:3], *w[:2]):
            each[2:] = [0.0] * (channels - 2)
    given = {"x": np.array([x], np.float32), "w": np.array(w, np.float32)[:, None, :]}
    want = [[in_pairs(a, b) for b in w] for a in x]
    assert any(v == 0 for row in want for v in row) or channels > 2
    got = how(spec, target, given)[0]
    np.testing.assert_array_equal(got.astype(np.float64), np.array(want))


# --- every number


def alone(x: str, y: str, count: int, compute: str = "") -> ConvSpec:
    """y = x, through one multiplication by 1."""
    clause = f"; compute {compute}" if compute else ""
    text = f"conv a {{ input x : {x}[N=1, W={count}, C=1]; weight w : {x}[OC=1, KW=1, IC=1]; output y : {y}[N, OW, OC]{clause} }}"
    return next(iter(from_text(text).values()))


def through(spec: ConvSpec, target: str, values: Array) -> Array:
    one = np.ones((1, 1, 1), values.dtype)
    return run(spec, target, {"x": values.reshape(1, -1, 1), "w": one}).ravel()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_every_stored_number_stays(dtype: str, target: str) -> None:
    """Denormals too; a NaN stays one."""
    every = np.arange(2**16, dtype=np.uint16).view(dtypes.get(dtype).numpy)
    for y in (dtype, "f32"):
        got = through(alone(dtype, y, every.size), target, every)
        same = got.astype(np.float32) == every.astype(np.float32)
        assert (same | (np.isnan(got.astype(np.float32)) & np.isnan(every.astype(np.float32)))).all()


def edges() -> Array:
    """f32: ties of both types and their neighbours, from the least denormal to what becomes infinite; any bits."""
    r = np.random.default_rng(0)
    f16 = r.integers(0, 0x7C00, 4000).astype(np.uint16).view(np.float16).astype(np.float32)
    ties = np.concatenate([f16 + np.spacing(f16.astype(np.float16)).astype(np.float32) / 2, f16])
    top = (r.integers(0, 2**16, 4000).astype(np.uint32) << 16 | 0x8000).view(np.float32)
    around = [np.nextafter(v, v.dtype.type(e)) for v in (ties, top) for e in (-np.inf, np.inf)]
    special = np.array([0.0, np.inf, np.nan, 65519.996, 65520, 65504, 2.0**-24, 2.0**-25, 2.0**-126, 3.4e38, 1e-45], np.float32)
    anything = r.integers(0, 2**32, 20000, dtype=np.uint32).view(np.float32)
    made = np.concatenate([ties, top, *around, special, anything])
    return np.concatenate([made, -made])


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_results_are_rounded_half_to_even(dtype: str, target: str) -> None:
    with np.errstate(all="ignore"):
        values = edges()
        got = through(alone("f32", dtype, values.size), target, values)
        want = (values + np.float32(0)).astype(dtypes.get(dtype).numpy)
        np.testing.assert_array_equal(got.astype(np.float32), want.astype(np.float32))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["bf16", "f16"])
def test_operands_are_rounded_half_to_even(dtype: str, target: str) -> None:
    """For bf16 denormals become 0 first."""
    with np.errstate(all="ignore"):
        values = edges()
        got = through(alone("f32", "f32", values.size, dtype), target, values)
        before = np.where(np.abs(values) < 2.0**-126, np.float32(0), values) if dtype == "bf16" else values
        want = before.astype(dtypes.get(dtype).numpy).astype(np.float32)
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("way", WAYS, ids=name)
def test_infinity_and_nan_reach_what_they_meet(way: tuple[str, str], target: str) -> None:
    spec = stored(conv((9,), (4, 9), (3,)), *way)
    given = numbers(spec)
    given["x"][0, 2, 1], given["x"][0, 6, 3], given["w"][1, 2, 5] = np.inf, np.nan, -np.inf
    with np.errstate(all="ignore"):
        assert compare(spec, given, run(spec, target, given)).wrong == 0


# --- schedules, code, arrays


BLOCK = "dataflow {\n n oc/8 ow/4 [y] kw c/2 ow:unroll oc:simd c:dot\n pack x: n w c as bf16\n pack w: oc/8 kw c/2 oc c as bf16\n}"


@pytest.mark.isa("avx2", "fma")
def test_a_schedule_of_ones_own() -> None:
    spec = conv((11,), (7, 19), (3,), x="NCW", y="NWC", extra="compute bf16\n" + BLOCK)
    given = numbers(spec)
    want = interpreted(spec, "cpu:avx512_bf16", given)
    np.testing.assert_array_equal(bits(run(spec, "cpu:avx2", given)), bits(want))
    np.testing.assert_array_equal(bits(want), bits(run(replace(spec, dataflow="auto"), "cpu:scalar", given)))


@pytest.mark.isa("avx2", "fma")
def test_pixels_in_the_lanes_of_a_dot_product() -> None:
    """Lanes outside the image multiply 0, and by 0: a weight may be infinite."""
    block = "dataflow {\n n oc ow/8 [y] kw c/2 ow:simd c:dot\n pack x: n w c as bf16\n pack w: oc kw c as bf16\n}"
    spec = conv((13,), (4, 3), (3,), extra="compute bf16\n" + block)
    given = numbers(spec)
    given["w"][0, 1, 2] = np.inf
    with np.errstate(all="ignore"):
        assert compare(spec, given, run(spec, "cpu:avx2", given)).wrong == 0


def message(text: str, target: str) -> str:
    """What is said about a program where its schedule is chosen."""
    (spec,) = from_text(text).values()
    with pytest.raises(ConvError) as caught:
        compilation(spec, target=target).schedule  # noqa: B018
    return f"{type(caught.value).__name__}\n{caught.value}"


def test_an_operand_that_must_be_packed() -> None:
    text = "conv a {{ input x : {0}[N=1, W=8, C=4]; weight w : {0}[OC=8, KW=1, IC=4]\n{1}dataflow {{ n oc ow [y] c\n pack w: oc c as f32 }} }}"
    assert message(text.format("bf16", ""), "cpu:avx2") == (
        "ConvError\n"
        "<text>:2:1: error: The block must pack the input 'x': bf16 is multiplied as f32.\n"
        "    2 | dataflow { n oc ow [y] c\n"
        "      | ^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  hint: Write 'pack x: … as f32'."
    )
    assert message(text.format("f32", "compute f16\n"), "cpu:avx2") == (
        "ConvError\n"
        "<text>:3:1: error: The block must pack the input 'x': its numbers are rounded there.\n"
        "    3 | dataflow { n oc ow [y] c\n"
        "      | ^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  hint: Write 'pack x: … as f32'."
    )


def test_not_on_gpus_yet() -> None:
    text = "conv a { input x : f16[N=1, W=8, C=4]; weight w : f16[OC=8, KW=1, IC=4] }"
    said = message(text, "cuda:sm_80")
    assert said.startswith("Unavailable\n<text>:1:20: error: The input 'x' of f16 is not implemented yet on cuda:sm_80.\n")
    assert said.endswith("^^^ needed here\n  hint: Choose a target cpu.")
    assert said.count("error") == 2
    text = "conv a { input x : f32[N=1, W=8, C=4]; weight w : f32[OC=8, KW=1, IC=4]; compute bf16 }"
    with pytest.raises(Unavailable, match="'compute bf16' is not implemented yet on cuda:sm_75."):
        compilation(next(iter(from_text(text).values())), target="cuda:sm_75").schedule  # noqa: B018


@pytest.mark.parametrize("target", CPUS)
def test_no_library_is_called(target: str) -> None:
    """No conversion becomes a call, and the instruction for products of bf16 is used where there is one."""
    dense, depthwise = MIXED[0], MIXED[3]
    specs = [stored(depthwise, *way) for way in WAYS[:3]] + [stored(dense, *way) for way in WAYS[2:]]
    for spec in specs:
        text = stage_texts(compilation(spec, target=target))["asm"]()
        called = set(re.findall(r"^\s+(?:call|jmp)\w*\s+([\w.]+)@PLT", text, re.MULTILINE))
        assert all(each.startswith(spec.name) for each in called), called
        paired = spec.compute is not None and spec.compute.dtype == "bf16" and spec.ic_per_group > 1
        assert ("vdpbf16ps" in text) == (target == "cpu:avx512_bf16" and paired)
        halves = spec.input.dtype == "f16" or (spec.compute is not None and spec.compute.dtype == "f16")
        assert ("vcvtps2ph" in text) == (halves and target != "cpu:scalar")


def test_torch_tensors() -> None:
    torch: Any = pytest.importorskip("torch")
    for dtype, kind in (("bf16", torch.bfloat16), ("f16", torch.half)):
        spec = stored(conv((6, 5), (3, 4), (3, 3), extra="bias b : f32[OC]"), dtype)
        given = numbers(spec)
        tensors = {n: torch.from_numpy(a.astype(np.float32)).to(kind) for n, a in given.items()}
        kernel: Any = convjit.compile(spec)
        for result in (kernel(**tensors), kernel.bind(w=tensors["w"], b=tensors["b"])(tensors["x"])):
            assert result.dtype == kind
            got = result.float().numpy().astype(dtypes.get(dtype).numpy)
            np.testing.assert_array_equal(got, kernel(**given))


def test_a_wrong_type_is_refused() -> None:
    spec = stored(conv((6,), (3, 4), (1,)), "bf16")
    kernel: Any = convjit.compile(spec)
    with pytest.raises(TypeError, match=r"^x: expected bf16\[N=1, W=6, C=3\], got f32\[1, 6, 3\]"):
        kernel(np.zeros((1, 6, 3), np.float32), np.zeros((1, 3, 4), dtypes.get("bf16").numpy))


def test_sizes_of_the_sample() -> None:
    """What is drawn above has layers with groups, with rests of channels, and with steps."""
    cases = SAMPLE[::7]
    assert any(c.groups > 1 for c in cases) and any(c.sizes["IC"] % 2 for c in cases) and any(prod(c.stride) > 1 for c in cases)
