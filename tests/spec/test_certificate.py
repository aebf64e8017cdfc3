"""The certificate against enumeration: its bounds are attained and never exceeded, and forged claims are found."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convjit import dtypes
from convjit.errors import ConvError, InternalError
from convjit.spec import intervals
from convjit.spec.certificate import Certificate, Figures, certify, verify
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text
from convjit.spec.reference import reference

Array = NDArray[Any]


def one(text: str) -> ConvSpec:
    return next(iter(from_text(text).values()))


def line(weights: Iterable[int], x: str = "u8", w: str = "i8", rest: str = "") -> tuple[ConvSpec, Array]:
    """A convolution with one tap and one output channel, and its weight."""
    values = list(weights)
    spec = one(f"""conv a {{
        input x : {x} [N=1, W=4, C={len(values)}]
        weight w : {w}[OC=1, KW=1, IC={len(values)}]
        {rest}
    }}""")
    return spec, np.array(values, dtypes.get(w).numpy).reshape(1, 1, -1)


def plain(spec: ConvSpec, weight: Array, **more: Any) -> Figures:
    """The figures of the factors as stored; they are checked by the other road, too."""
    certificate = certify(spec, weight, **more)
    if weight.size < 2000:
        assert verify(certificate.to_dict(), weight, **more) == []
    return certificate.views[0]


def random_weight(spec: ConvSpec, seed: int, low: int = -(2**40), high: int = 2**40) -> Array:
    least, most = dtypes.limits(spec.weight.dtype)
    shape = tuple(size or 0 for size in spec.weight.sizes)
    values = np.random.default_rng(seed).integers(max(low, least), min(high, most), shape, endpoint=True)
    return values.astype(dtypes.get(spec.weight.dtype).numpy)


def reachable(weights: Iterable[int], values: Iterable[int], addend: int = 0) -> set[int]:
    """Every partial sum there can be: each product left out or with any of the values, the addend there or not yet."""
    sums, choices = {0, addend}, {0, *values}
    for w in weights:
        sums = {s + x * w for s in sums for x in choices}
    return sums


# --- bounds are attained and not exceeded


@pytest.mark.parametrize("promise", ["0..3", "1..3", "2..2", "0..0"])
@pytest.mark.parametrize("addend", [None, -100, 100])
def test_sums_are_those_of_all_inputs(promise: str, addend: int | None) -> None:
    spec = one(f"""conv a {{
        input x : u8 in {promise} [N=1, W=4, C=3]; weight w : i8[OC=5, KW=2, IC=3]; bias b : i32[OC]; pad 1
    }}""")
    weight = random_weight(spec, 1)
    bias = None if addend is None else np.full(5, addend, np.int32)
    low, high = map(int, promise.split(".."))
    found = plain(spec, weight, bias=bias)
    for oc in range(5):
        sums = reachable(weight[oc].ravel().tolist(), range(low, high + 1), addend or 0)
        assert (found.lows[oc], found.highs[oc]) == (min(sums), max(sums))
    assert found.largest == max(*found.highs, *(-low for low in found.lows))


SHAPES = [
    "input x : {x}[N={n}, W=3, C=4] {zx}; weight w : {w}[OC=3, KW=3, IC=4] {zw}",
    "input x : {x}[N={n}, C=5, H=2, W=3]; weight w : {w}[OC=2, IC=5, KH=2, KW=3]",
    "input x : {x}[N={n}, H=2, W=3, C=5] {zx}; weight w : {w}[KH=2, KW=3, IC=5, OC=2] {zw}",
    "input x : {x}[N={n}, H=2, W=2, C=6] {zx}; weight w : {w}[OC=4, KH=2, KW=2, IC=3] {zw}; groups 2",
    "input x : {x}[N={n}, H=3, W=3, C=4] {zx}; weight w : {w}[OC=8, IC=1, KH=3, KW=3]; groups 4",
    "input x : {x}[N={n}, D=2, H=1, W=2, C=3]; weight w : {w}[KD=2, OC=3, KH=1, KW=2, IC=3] {zw}",
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("types", ["u8 i8", "i8 i8", "u8 in 3..90  u8", "i16 i16", "i16 i8"])
def test_the_ends_are_results_of_the_convolution(shape: str, types: str) -> None:
    """The kernel covers the image; for each output channel there are images of the ends that its weights ask for."""
    x, w = types.rsplit(" ", 1)
    zx, zw = "zero 7", "zero 3" if w == "u8" else "zero -5"
    count = 2 * one(f"conv a {{ {shape.format(x=x, w=w, n=1, zx=zx, zw=zw)} }}").out_channels
    spec = one(f"conv a {{ {shape.format(x=x, w=w, n=count, zx=zx, zw=zw)} }}")
    spec = replace(spec, tensors=tuple(replace(t, dtype="i64") if t.role == "output" else t for t in spec.tensors))
    weight = random_weight(spec, 2)
    centred = weight.astype(np.int64) - int(spec.weight.zero or 0)
    low, high = spec.input.in_range or dtypes.limits(spec.input.dtype)
    zero = int(spec.input.zero or 0)
    ordered = centred.transpose([spec.weight.axes.index(a) for a in ("OC", *("K" + s for s in spec.spatial), "IC")])
    images = np.full((count, *map(int, ordered.shape[1:-1]), spec.in_channels), zero)
    for i in range(count):
        oc = i // 2
        first = oc // spec.oc_per_group * spec.ic_per_group
        up = (ordered[oc] > 0) == (i % 2 == 0)
        ends = np.where(up, high, low) if low <= zero <= high else np.where(up, max(high, zero), zero)
        images[i, ..., first : first + spec.ic_per_group] = ends
    order = [("N", *spec.spatial, "C").index(a) for a in spec.input.axes]
    result = reference(spec, images.transpose(order).astype(dtypes.get(spec.input.dtype).numpy), weight)
    sums = result.transpose([spec.output.axes.index(a) for a in ("N", *("O" + s for s in spec.spatial), "OC")])
    sums = sums.reshape(count, -1)
    found = certify(spec, weight).view("centred")
    assert found is not None
    assert [int(sums[2 * oc, oc]) for oc in range(count // 2)] == list(found.highs)
    assert [int(sums[2 * oc + 1, oc]) for oc in range(count // 2)] == list(found.lows)


@pytest.mark.parametrize(("x", "w", "rest"), [("u8", "i8", ""), ("u8 in 20..200", "i8", ""), ("i8", "u8", "pad 1")])
def test_unsafe_pairs_are_those_that_saturate(x: str, w: str, rest: str) -> None:
    spec = one(f"conv a {{ input x : {x} [N=1, W=4, C=5]; weight w : {w}[OC=6, KW=2, IC=5]; {rest} }}")
    weight = random_weight(spec, 3)
    low, high = spec.input.in_range or dtypes.limits(spec.input.dtype)
    values = np.union1d(np.arange(low, high + 1), [0])
    found, view = plain(spec, weight), intervals.views(spec, weight)[0]
    unsafe = intervals.unsafe_pairs(view)
    assert found.pairs == 6 * 2 * 3 and unsafe.shape == (6, 2, 3) and 0 < unsafe.sum() < 36
    padded = np.pad(weight.astype(np.int64), ((0, 0), (0, 0), (0, 1)))
    for oc, tap, j in np.ndindex(6, 2, 3):
        sums = np.add.outer(values * padded[oc, tap, 2 * j], values * padded[oc, tap, 2 * j + 1])
        assert unsafe[oc, tap, j] == (np.clip(sums, -(2**15), 2**15 - 1) != sums).any()
    assert found.unsafe == tuple(unsafe.sum((1, 2)))


def fit(runs: Iterable[list[set[int]]], bits: int) -> bool:
    """Whether no run has sums outside that many bits; it lists what each of its steps can be."""
    bounds = [(sum(map(min, run)), sum(map(max, run))) for run in runs]
    return all(low >= -(2 ** (bits - 1)) and high < 2 ** (bits - 1) for low, high in bounds)


def random_steps(x: str, w: str, seed: int) -> tuple[Figures, list[list[set[int]]]]:
    """The figures of random weights with 3 taps of 17 channels, and what the steps of each tap can be."""
    spec = one(f"conv a {{ input x : {x} [N=1, W=9, C=17]; weight w : {w}[OC=2, KW=3, IC=17] }}")
    largest = int(2 ** np.random.default_rng(seed).integers(0, 16))
    weight = random_weight(spec, seed, -largest, largest)
    low, high = spec.input.in_range or dtypes.limits(spec.input.dtype)
    pairs = np.pad(weight.astype(np.int64), ((0, 0), (0, 0), (0, 1))).reshape(6, 9, 2).tolist()
    return plain(spec, weight), [[reachable(pair, (low, high)) for pair in run] for run in pairs]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("x", "w", "bits"), [("i16", "i16", 32), ("i16 in -9..7000", "i16", 32), ("u8", "i8", 16)])
def test_chunks_are_the_widest(x: str, w: str, bits: int, seed: int) -> None:
    found, steps = random_steps(x, w, seed)
    fitting = [n for n in range(1, 10) if fit((run[i : i + n] for run in steps for i in range(0, 9, n)), bits)]
    assert (found.chunk32 if bits == 32 else found.chunk16) == max(fitting, default=0)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("x", ["i16", "i16 in -9..7000"])
def test_taps_are_the_most(x: str, seed: int) -> None:
    found, steps = random_steps(x, "i16", seed)
    channels = [sum(steps[3 * oc : 3 * oc + 3], []) for oc in range(2)]
    fitting = [n for n in (1, 2, 3) if fit((c[9 * i : 9 * (i + n)] for c in channels for i in range(4 - n)), 32)]
    assert found.taps32 == max(fitting, default=0)


def test_a_width_may_fit_where_a_narrower_one_does_not() -> None:
    """Two neighbours that do not fit together are cut apart by chunks of 3, and not by chunks of 2."""
    least = -(2**15)
    spec, weight = line([0, 0, 0, 0, least, 0, least, 0, 0, 0, 0, 0], "i16", "i16")
    assert plain(spec, weight).chunk32 == 3
    (view,) = intervals.views(spec, weight)
    assert [intervals.widest_chunk(view, 32, multiple) for multiple in (2, 3)] == [0, 3]
    assert intervals.widest_chunk(view, 33, 4) == 6  # a whole tap
    assert plain(*line([0] * 8 + [least, 0] * 3, "i16", "i16")).chunk32 == 1  # of 5, the last two are too many


def test_taps_stand_in_rows() -> None:
    spec = one("conv a { input x : i16[N=1, H=9, W=9, C=1]; weight w : i16[KW=2, IC=1, KH=2, OC=1] }")
    weight = np.zeros((2, 1, 2, 1), np.int16)
    weight[:, 0, 0] = -(2**15)
    assert plain(spec, weight).taps32 == 1  # the first row
    assert plain(spec, weight.transpose(2, 1, 0, 3)).taps32 == 2  # the first column


def test_ends_of_pairs() -> None:
    (view,) = intervals.views(*line([16384, 16384, -16384, -16384, 16384, 16383], "i16 in 0..1", "i16"))
    assert intervals.unsafe_pairs(view).ravel().tolist() == [True, False, False]


# --- known figures


@pytest.mark.parametrize(
    ("products", "least", "fits"), [(66311, 127, True), (66312, 127, False), (65793, -128, True), (65794, -128, False)]
)
def test_the_longest_sums_of_bytes(products: int, least: int, fits: bool) -> None:
    found = plain(*line([least] * products))
    assert found.fits("i32") == fits and found.fits("i64")
    assert found.largest == products * 255 * abs(least)


def test_sums_of_words_need_small_weights() -> None:
    assert plain(*line([-1] * 65535, "i16", "i16")).fits("i32")
    assert not plain(*line([-1] * 65536, "i16", "i16")).fits("i32")
    assert plain(*line([1] * 65536, "i16", "i16")).fits("i32")  # -2^31 is a number of 32 bits


@pytest.mark.parametrize(
    ("pair", "unsafe"),
    [((64, 64), 0), ((64, 65), 1), ((127, -128), 0), ((-128, 0), 0), ((-128, -1), 1), ((-64, -64), 0)],
)
def test_the_rule_of_128(pair: tuple[int, int], unsafe: int) -> None:
    found = plain(*line(pair))
    assert (found.pairs, found.unsafe) == (1, (unsafe,))
    assert found.chunk16 == 1 - unsafe
    for narrow in (plain(*line(pair, "u8 in 0..127")), plain(*line([w // 2 for w in pair]))):
        assert narrow.unsafe == (0,)  # 7 bits in one factor are enough


def test_four_times_the_least_word() -> None:
    least = -(2**15)
    assert plain(*line([least, least], "i16", "i16")).chunk32 == 0
    assert plain(*line([least, least + 1], "i16", "i16")).chunk32 == 1
    assert plain(*line([least, least], "i16 in -32767..32767", "i16")).chunk32 == 1
    assert plain(*line([least], "i16", "i16")).chunk32 == 1  # paired with 0


def test_chunks_of_16_bits() -> None:
    found = plain(*line([1, 2, 3, 4] * 8, "u8 in 0..15"))
    assert found.chunk16 == 16 and found.unsafe == (0,)
    assert plain(*line([64, 64, -64, -64, 64, 64], "u8")).chunk16 == 2
    assert plain(*line([64, 64, 0], "u8")).chunk16 == 2  # the last one is paired with 0
    assert [plain(*line([-128] * n, "u8 in 0..32")).chunk16 for n in (8, 16)] == [4, 4]  # -2^15 is a number of 16 bits


def test_words_of_32_bits_have_exact_bounds_only() -> None:
    spec, weight = line([-(2**31)] * 3 + [2**31 - 1], "i32", "i32")
    found = plain(spec, weight)
    high = 3 * 2**62 + (2**31 - 1) ** 2
    low = -3 * 2**31 * (2**31 - 1) - 2**31 * (2**31 - 1)
    assert (found.lows, found.highs) == ((low,), (high,)) and not found.fits("i64")
    assert [found.pairs, found.unsafe, found.chunk16, found.chunk32, found.taps32] == [None] * 5
    with pytest.raises(InternalError) as error:
        intervals.unsafe_pairs(intervals.views(spec, weight)[0])
    assert str(error.value) == "the view 'plain' holds factors whose products need more than 62 bits"
    assert (found.chunk54, found.taps54) == (0, 0)


def test_words_of_32_bits_in_f64() -> None:
    """Up to 2^53, pairs of channels and whole taps; the least 54-bit number is one of them."""
    small = plain(*line([2**20] * 8, "i32 in -65536..65535", "i32"))
    assert (small.chunk54, small.taps54, small.chunk32) == (4, 1, None)
    large = plain(*line([2**30] * 8, "i32 in -2097152..2097151", "i32"))
    assert (large.chunk54, large.taps54) == (2, 0)
    assert plain(*line([2**31 - 1] * 2, "i32 in 0..4194304", "i32")).chunk54 == 0


def test_bits_and_exact_floats() -> None:
    for weights, largest, bits, exact in (
        ([0], 0, 0.0, True), ([1], 1, 0.1, True), ([127] * 3, 381, 8.6, True), ([-128, 0], 128, 7.1, True),
        ([1, 126], 127, 7.0, True), ([2**14] * 2**10, 2**24, 24.1, True), ([-(2**14)] * 2**10 + [1], 2**24, 24.1, True),
        ([2**14] * 2**10 + [1], 2**24 + 1, 24.1, False),
    ):  # fmt: skip
        found = plain(*line(weights, "i16 in 0..1", "i16"))
        assert (found.largest, found.bits, found.f32) == (largest, bits, exact)
        assert found.largest < 2**found.bits and (bits == 0 or found.largest >= 2 ** (bits - 0.1))


# --- views


def ends(spec: ConvSpec, weight: Array) -> dict[str, tuple[int, int]]:
    certificate = certify(spec, weight)
    assert verify(certificate.to_dict(), weight) == []
    return {figures.view: figures.x for figures in certificate.views}


def test_intervals_hold_padding_and_what_is_left_out() -> None:
    text = "conv a {{ input x : u8 in {}..{} [N=1, W=9, C=2]{}; weight w : i8[OC=1, KW=3, IC=2]; {} }}"
    weight = np.ones((1, 3, 2), np.int8)
    assert ends(one(text.format(0, 255, "", "")), weight) == {"plain": (0, 255), "shifted": (-128, 127)}
    assert ends(one(text.format(10, 20, "", "")), weight) == {"plain": (0, 20), "shifted": (-118, 0)}
    assert ends(one(text.format(10, 20, "", "pad 1")), weight) == {"plain": (0, 20), "shifted": (-128, 0)}
    unpadded = {"plain": (0, 20), "centred": (-118, 0), "shifted": (-118, 0)}
    assert ends(one(text.format(10, 20, " zero 128", "")), weight) == unpadded
    padded = {"plain": (0, 128), "centred": (-118, 0), "shifted": (-118, 0)}
    assert ends(one(text.format(10, 20, " zero 128", "pad ((0, 1))")), weight) == padded
    above = {"plain": (0, 250), "centred": (0, 145), "shifted": (-23, 122)}
    assert ends(one(text.format(200, 250, " zero 105", "pad 1")), weight) == above
    transposed = one(text.format(200, 250, " zero 255", "").replace("conv a", "conv a transposed"))
    assert ends(transposed, weight) == {"plain": (0, 255), "centred": (-55, 0), "shifted": (0, 127)}
    signed = one(text.format(-9, -5, "", "").replace("u8", "i8"))
    assert ends(signed, weight) == {"plain": (-9, 0), "shifted": (0, 123)}
    wide = one(text.format(-9, 5, "", "").replace("u8", "i16"))
    assert ends(wide, weight) == {"plain": (-9, 5)}


def test_padding_beyond_the_promise_counts() -> None:
    text = "conv a {{ input x : u8 in 0..127 [N=1, W=9, C=2] zero 255; weight w : i8[OC=1, KW=1, IC=2]; pad {} }}"
    weight = np.full((1, 1, 2), 100, np.int8)
    assert plain(one(text.format(0)), weight).unsafe == (0,)
    assert plain(one(text.format(1)), weight).unsafe == (1,)


def test_bytes_of_either_sign() -> None:
    """u8 times i8 is plain, i8 times i8 shifted; of u8 times u8 the input becomes i8."""
    weights = {"u8": [200, 5], "i8": [-3, 5]}
    views = {(x, w): certify(*line(weights[w], x, w)).bytes for x in ("u8", "i8") for w in ("u8", "i8")}
    named = {key: figures and figures.view for key, figures in views.items()}
    assert named == {("u8", "i8"): "plain", ("i8", "u8"): "plain", ("i8", "i8"): "shifted", ("u8", "u8"): "shifted"}
    for x, w in (("u8", "u8"), ("i8", "i8")):  # what is a number of the other type, too, needs no shift
        small = certify(*line([3, 5], x, w)).bytes
        assert small and small.view == "plain"
    fewest = certify(*line([100, 100], "i8 in 0..120", "i8"))
    assert [(f.view, f.unsafe) for f in fewest.views] == [("plain", (0,)), ("shifted", (1,))]
    assert fewest.bytes and fewest.bytes.view == "plain"


def test_zero_points_by_output_channel() -> None:
    spec = one("""conv a {
        input x : u8 in 0..4 [N=1, W=3, C=2] zero 2; weight w : i8[OC=2, KW=1, IC=2] zero wz per OC; param wz : i32[OC]
    }""")
    weight = np.array([[[10, 20]], [[-3, 4]]], np.int8)
    certificate = certify(spec, weight, zero=np.array([30, -(2**31)], np.int32))
    centred = certificate.sums
    assert centred is certificate.view("centred") and centred.x == (-2, 2) and centred.w == (-20, 2**31 + 4)
    assert centred.highs == (2 * 30, 2 * (2**32 + 1)) and centred.lows == (-2 * 30, -2 * (2**32 + 1))
    assert centred.chunk32 is None and certificate.words is certificate.view("plain")
    narrow = certify(spec, weight, zero=np.array([1, 1], np.int32))
    assert narrow.words is narrow.sums is narrow.view("centred")


def test_without_zero_points_plain_is_centred() -> None:
    certificate = certify(*line([1, 2], "i16", "i16"))
    assert certificate.view("centred") is certificate.view("plain") is certificate.sums is certificate.words
    assert certificate.view("shifted") is None and certificate.bytes is None


def test_the_order_of_axes_does_not_matter() -> None:
    orders = ["OC=4 IC=5 KH=2 KW=3", "KH=2 KW=3 IC=5 OC=4", "OC=4 KH=2 KW=3 IC=5", "KW=3 OC=4 IC=5 KH=2"]
    weight = np.random.default_rng(5).integers(-128, 128, (4, 5, 2, 3)).astype(np.int8)
    found = []
    for order in orders:
        axes = order.replace(" ", ", ")
        spec = one(f"conv a {{ input x : u8[N=1, H=5, W=5, C=5]; weight w : i8[{axes}]; pad 1 }}")
        moved = weight.transpose([("OC", "IC", "KH", "KW").index(a) for a in spec.weight.axes])
        certificate = certify(spec, moved)
        assert certificate.weight == certify(spec, np.ascontiguousarray(moved)).weight
        found.append((certificate.views, certificate.channels, certificate.taps))
    assert found == [found[0]] * 4 and found[0][1:] == (5, 6)


def test_pairing_otherwise() -> None:
    """Channels in another order are another view, which may be safe."""
    (view, _) = intervals.views(*line([100, 90, -100, -90]))
    assert intervals.unsafe_pairs(view).all()
    assert not intervals.unsafe_pairs(replace(view, weight=view.weight[:, :, [0, 2, 1, 3]])).any()


def test_a_bias_of_floats_takes_no_part() -> None:
    text = """conv a {
        input x : i8[N=1, W=3, C=2] scale 0.5; weight w : i8[OC=1, KW=1, IC=2] scale 0.25
        bias b : f32[OC]; output y : f32[N, OW, OC]
    }"""
    weight = np.array([[[1, -2]]], np.int8)
    certificate = certify(one(text), weight, bias=np.array([1e9], np.float32))
    assert certificate == certify(one(text), weight) and certificate.bias is None
    assert verify(certificate.to_dict(), weight, bias=np.array([1e9], np.float32)) == []
    whole = certify(one(text.replace("b : f32", "b : i64")), weight, bias=np.array([-(2**40)], np.int64))
    assert whole.sums.lows == (-(2**40) - 384 + 2,) and whole.sums.highs == (384 - 1,)


# --- text


@pytest.mark.parametrize(
    ("x", "w", "weights", "text"),
    [
        ("u8", "i8", [64, 65, -3, 4], "1 of 2 pairs unsafe, sum below 2^15.1 of 2^31"),
        ("i8", "i8", [-1, 1, 100], "0 of 2 shifted pairs unsafe, sum below 2^13.7 of 2^31"),
        ("u8", "i8", [-128] * 65794, "32897 of 32897 pairs unsafe, sum below 2^31.1 of 2^31, may wrap"),
        ("i16", "i16", [30000] * 9, "sum below 2^33.1 of 2^63, 32-bit chunks of 2 channels"),
        ("i16", "i16", [3000] * 999, "sum below 2^36.6 of 2^63, 32-bit chunks of 20 channels"),
        ("i16", "i16", [-(2**15)] * 2, "sum below 2^31.1 of 2^63, no 32-bit chunks"),
        ("i16", "i8", [100] * 9, "sum below 2^24.9 of 2^63, 32-bit sums suffice"),
        ("i32", "i32", [-(2**31)] * 9, "sum below 2^65.2 of 2^63, may wrap"),
    ],
)
def test_in_a_line(x: str, w: str, weights: list[int], text: str) -> None:
    assert str(certify(*line(weights, x, w))) == text


def test_chunks_of_taps_in_a_line() -> None:
    spec = one("conv a { input x : i16[N=1, W=9, C=2]; weight w : i16[OC=1, KW=5, IC=2] }")
    for size, text in ((30000, "1 tap"), (12000, "2 taps"), (8000, "4 taps")):
        assert str(certify(spec, np.full((1, 5, 2), size, np.int16))).endswith(f"32-bit chunks of {text}")


def test_wide_sums_of_bytes() -> None:
    spec, weight = line([64] * 4, "u8", "i8", "output y : i64[N, OW, OC]")
    assert str(certify(spec, weight)) == "0 of 2 pairs unsafe, sum below 2^16.0 of 2^63, 32-bit sums suffice"


# --- data, and its check


def samples() -> Iterator[tuple[ConvSpec, dict[str, Array]]]:
    """Specs of every kind, with their arrays by the names that `certify` takes."""
    text = """conv a {{
        input x : {x} [N=1, H=5, W=6, C=6] zero 3; weight w : {w}[{axes}]{zero}; bias b : {b}[OC]
        output y : {b}[N, OH, OW, OC]; groups 2; pad ((1, 0), (0, 2)); dilation (1, 2)
    }}"""
    axes = ("OC=4, IC=3, KH=2, KW=3", "KH=2, KW=3, IC=3, OC=4", "OC=4, KH=2, KW=3, IC=3")
    kinds = (
        ("u8 in 1..9", "i8", "i32"), ("i8", "i8", "i32"), ("u8", "u8", "i64"), ("i16", "i16", "i64"),
        ("i32", "i32", "i64"), ("i16 in -3..(2^10)", "i8", "i32"), ("i4", "u4", "i32"), ("u8", "i4", "i32"),
    )  # fmt: skip
    for seed, (x, w, b) in enumerate(kinds):
        zero = ("", " zero 1", f" zero wz per OC\nparam wz : {w}[OC]")[seed % 3]
        spec = one(text.format(x=x, w=w, b=b, axes=axes[seed % 3], zero=zero))
        arrays = {"weight": random_weight(spec, seed)}
        if "wz" in zero:
            arrays["zero"] = np.arange(4).astype(dtypes.get(w).numpy)
        if seed % 2:
            arrays["bias"] = np.array([-5, 0, 2**30, -(2**31)]).astype(dtypes.get(b).numpy)
        yield spec, arrays
    for x, w in (("u8", "i8"), ("i16", "i16")):
        spec, weight = line([5, -9, 100], x, w)
        yield spec, {"weight": weight}
    for kernel, groups in (("KW=3", 1), ("KD=2, KH=1, KW=2", 3)):
        space = ", ".join(f"{axis[1]}=4" for axis in kernel.split(", "))
        spec = one(f"""conv a transposed {{
            input x : i8[N=?, C=3, {space}]; weight w : i8[OC=3, {kernel}, IC={3 // groups}]; groups {groups}
        }}""")
        yield spec, {"weight": random_weight(spec, 9)}


SAMPLES = list(samples())


@pytest.mark.parametrize(("spec", "arrays"), SAMPLES)
def test_data_comes_back_and_holds(spec: ConvSpec, arrays: dict[str, Array]) -> None:
    certificate = certify(spec, **arrays)
    data = json.loads(json.dumps(certificate.to_dict()))
    assert data == certificate.to_dict() and Certificate.from_dict(data) == certificate
    assert verify(data, **arrays) == []


def leaves(data: Any, where: str = "") -> Iterator[tuple[Any, Any, str]]:
    """Every number, text and None of JSON data: its container, its key there, and its name in a message."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        name = f"{where}.{key}".lstrip(".") if isinstance(data, dict) else f"{where}[{key}]"
        if isinstance(value, (dict, list)):
            yield from leaves(value, name)
        else:
            yield data, key, name


def forged(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    return 1 if value is None else value - 1


@pytest.mark.parametrize("at", [2, 3, 4, 9])
def test_every_forged_claim_is_found(at: int) -> None:
    spec, arrays = SAMPLES[at]
    data = certify(spec, **arrays).to_dict()
    for _, _, where in list(leaves(data)):
        copy = deepcopy(data)
        container, key = next((c, k) for c, k, name in leaves(copy) if name == where)
        container[key] = forged(container[key])
        wrong = verify(copy, **arrays)
        assert len(wrong) == 1 and wrong[0].startswith(f"{where}: "), (where, wrong)
        del container[key]
        assert verify(copy, **arrays), where


def test_how_forged_claims_are_named() -> None:
    spec, weight = line([100, 100], "u8", "i8")
    data = certify(spec, weight).to_dict()
    data["views"][0] |= {"unsafe": [0], "bits": 15.0, "i32": 1}
    data["views"][1]["w"] = [100]
    data["more"] = 7
    assert verify(data, weight) == [
        "views[0].unsafe[0]: 0 is claimed, 1 is so",
        "views[0].bits: 15.0 is claimed, 15.7 is so",
        "views[0].i32: 1 is claimed, True is so",
        "views[1].w: [100] is claimed, [100, 100] is so",
        "more: 7 is claimed, nothing is so",
    ]


def test_other_arrays_are_found() -> None:
    spec, arrays = SAMPLES[5]
    data = certify(spec, **arrays).to_dict()
    assert set(arrays) == {"weight", "zero", "bias"}
    for name, array in arrays.items():
        other = array.copy()
        other.flat[1] += 1
        assert verify(data, **arrays | {name: other}) == [f"{name}: the array is not the one that was certified"]
        flat = f"{name}: the array is {array.dtype} of shape (1, {array.size}), the spec says "
        assert verify(data, **arrays | {name: array.reshape(1, -1)})[0].startswith(flat)
        viewed = verify(data, **arrays | {name: array.view(f"u{array.dtype.itemsize}")})
        assert viewed[0].startswith(f"{name}: the array is uint{8 * array.dtype.itemsize} of shape {array.shape}")
    absent = "one of the certificate, the spec and the call has it, another has not"
    for name in ("zero", "bias"):
        assert verify(data, **{k: v for k, v in arrays.items() if k != name}) == [f"{name}: {absent}"]
    missing = verify(data | {"zero": None}, **{k: v for k, v in arrays.items() if k != "zero"})
    assert missing == ["zero: the weight has zero points, and none were certified"]
    spec, weight = line([1])
    assert verify(certify(spec, weight).to_dict(), weight, bias=weight) == [f"bias: {absent}"]


def test_other_specs_are_found() -> None:
    spec, weight = line([100, 100], "u8", "i8")
    data = certify(spec, weight).to_dict()
    assert verify(data | {"spec": str(spec).replace("u8[", "u8 in 0..127 [")}, weight) != []
    for text in ("conv", "", str(spec) + str(spec).replace("conv a", "conv b")):
        assert verify(data | {"spec": text}, weight) == ["spec: it is not the text of one convolution"]
    floats = str(spec).replace("u8", "f32").replace("i8", "f32").replace("i32", "f32")
    assert verify(data | {"spec": floats}, weight) == ["spec: it is not a convolution of integers"]


def test_the_check_shares_nothing_with_the_proof() -> None:
    path = Path(__file__).parents[2] / "convjit" / "spec" / "verify.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lines = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert lines and not [line for line in lines for word in ("intervals", "figures", "certificate") if word in line]


# --- mistakes


def message(spec: ConvSpec, weight: Any, **more: Any) -> str:
    with pytest.raises(ConvError) as error:
        certify(spec, weight, **more)
    return error.value.diagnostics[0].message


def test_what_cannot_be_certified() -> None:
    spec, weight = line([1, 2, 3])
    wanted = "wanted is i8[OC=1, KW=1, IC=3]."
    assert message(spec, weight.astype(np.int16)) == f"The array 'w' is int16[1, 1, 3]; {wanted}"
    assert message(spec, weight[0]) == f"The array 'w' is int8[1, 3]; {wanted}"
    assert message(spec, None) == f"The array 'w' is object[]; {wanted}"
    assert message(spec, weight, bias=weight) == "The convolution 'a' has no bias."
    assert message(spec, weight, zero=weight) == "The convolution 'a' has no zero points by output channel."
    floats = one("conv a { input x : f32[N=1, W=4, C=1]; weight w : f32[OC=1, KW=1, IC=1] }")
    assert message(floats, weight) == "Only sums of integers have a certificate; the input 'x' is f32."
    biased, _ = line([1, 2, 3], rest="bias b : i32[OC]")
    assert message(biased, weight, bias=np.zeros(2, np.int32)) == "The array 'b' is int32[2]; wanted is i32[OC=1]."
    named = one("""conv a {
        input x : u8[N=1, W=3, C=1]; weight w : i8[OC=1, KW=1, IC=1] zero wz per OC; param wz : i8[OC]
    }""")
    assert message(named, weight[..., :1]) == "A certificate needs the zero points 'wz' of the weight."


def test_mistakes_are_placed() -> None:
    spec, weight = line([1, 2, 3])
    with pytest.raises(ConvError, match=r"<text>:3:16: error: The array 'w' is int8\[1, 1, 2\]; wanted is i8\["):
        certify(spec, weight[..., :2])


def test_what_is_no_certificate() -> None:
    data = certify(*line([1])).to_dict()
    cases: list[tuple[Any, str]] = [(3, "TypeError 'int' object is not iterable"), ([{}], "KeyError 'view'")]
    for views, reason in cases:
        with pytest.raises(ConvError) as error:
            Certificate.from_dict(data | {"views": views})
        assert str(error.value) == f"error: This is not the data of a certificate: {reason}."


# --- the page


def test_the_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "certificate.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    exec(program, {})
    (shown,) = re.findall(r"^print\(certificate\) +# (.*)$", program, re.MULTILINE)
    assert capsys.readouterr().out == shown + "\n"
