"""What the weights at hand prove, and kernels that rely on it: vpmaddubsw, and 64-bit sums in parts of i32 and f64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import convjit
from convjit.api import compilation, read
from convjit.errors import ConvError
from convjit.schedule.parts import NONE, Proof, Room
from convjit.schedule.prove import proof
from convjit.spec.certificate import certify

Array = NDArray[Any]

BYTES = """conv a {{
    input x : {x}[N=1, H=9, W=11, C={c}]
    weight w : {w}[KH=3, KW=3, OC=24, IC={c}]
    pad same
    {more}
}}"""
WORDS = """conv a {{
    input x : i16{range}[N=1, H=6, W=8, C=64]
    weight w : i16[KH=3, KW=3, OC=64, IC=64]
    output y : i64[N, OH, OW, OC]
    pad same
    {more}
}}"""


def assembly(text: str, found: Proof, target: str = "cpu:avx2") -> str:
    """The code of the kernel that relies on a proof."""
    ((spec, syntax),) = read(text).values()
    made = compilation(spec, syntax, target)
    made.proof = found
    return convjit.pipeline.stage_texts(made)["asm"]()  # type: ignore[attr-defined]


def numbers(shape: tuple[int, ...], low: int, high: int, dtype: str) -> Array:
    """Of a whole range, its ends often."""
    rng = np.random.default_rng(0)
    inside = rng.integers(low, high, shape, endpoint=True)
    return np.where(rng.random(shape) < 0.3, rng.choice([low, high], shape), inside).astype(dtype)


@pytest.mark.parametrize(("largest", "proven"), [(64, True), (127, False)])
@pytest.mark.parametrize("channels", [16, 13])
@pytest.mark.parametrize("x", ["u8", "i8", "u8 zero"])
def test_bytes_are_paired_where_no_pair_saturates(x: str, channels: int, largest: int, proven: bool) -> None:
    text = BYTES.format(x=x.split()[0], c=channels, w="i8", more="")
    text = text.replace("]\n    weight", "] zero 77\n    weight") if "zero" in x else text
    low, high = (-128, 127) if x == "i8" else (0, 255)
    given = numbers((1, 9, 11, channels), low, high, x.split()[0].replace("u8", "uint8").replace("i8", "int8"))
    w = numbers((3, 3, 24, channels), -largest, largest, "int8")
    kernel: Any = convjit.compile(text, target="cpu:avx2")
    bound = kernel.bind(w)
    want = convjit.reference(text, given, w)
    np.testing.assert_array_equal(bound(given), want)
    np.testing.assert_array_equal(kernel(given, w), want)
    found = proof(bound.certificate)
    assert (found.turned if x == "i8" else found.pairs) is proven
    assert ("vpmaddubsw" in assembly(text, found)) is proven
    assert "vpmaddubsw" not in kernel.dump("asm")  # without the weights nothing is known


@pytest.mark.parametrize("target", ["cpu:avx2", "cpu:avx512"])
def test_a_declared_range_suffices(target: str) -> None:
    text = BYTES.format(x="u8 in 0..127 ", c=16, w="i8", more="")
    assert "vpmaddubsw" in convjit.compile(text, target=target).dump("asm")  # type: ignore[union-attr]
    given, w = numbers((1, 9, 11, 16), 0, 127, "uint8"), numbers((3, 3, 24, 16), -128, 127, "int8")
    kernel: Any = convjit.compile(text, target="cpu:avx2")
    np.testing.assert_array_equal(kernel(given, w), convjit.reference(text, given, w))


def test_machines_with_dot_products_need_no_proof() -> None:
    text = BYTES.format(x="u8 in 0..127 ", c=16, w="i8", more="")
    code = convjit.compile(text, target="cpu:avx512_vnni").dump("asm")  # type: ignore[union-attr]
    assert "vpdpbusd" in code
    assert "vpmaddubsw" not in code


@pytest.mark.parametrize(("spread", "words"), [(30, "as i32] kh"), (400, "as i32] kw"), (2000, "as i32] c/2"), (30000, "")])
@pytest.mark.parametrize("target", ["cpu:avx2", pytest.param("cpu:avx512", marks=pytest.mark.isa("avx512f", "avx512bw"))])
def test_sums_in_parts(spread: int, words: str, target: str) -> None:
    text = WORDS.format(range="", more="")
    rng = np.random.default_rng(1)
    x = numbers((1, 6, 8, 64), -32768, 32767, "int16")
    w = rng.integers(-spread, spread, (3, 3, 64, 64), endpoint=True).astype(np.int16)
    kernel: Any = convjit.compile(text, target=target)
    bound = kernel.bind(w)
    np.testing.assert_array_equal(bound(x), convjit.reference(text, x, w))
    ((spec, _),) = read(text).values()
    made = compilation(spec, target=target)
    made.proof = proof(bound.certificate)
    assert (words in str(made.schedule)) if words else ("as i32" not in str(made.schedule))
    assert "as i32" not in kernel.dump("schedule")


LONGS = """conv a {{
    input x : i32{range}[N=1, H=6, W=7, C={c}]
    weight w : i32[KH=3, KW=3, OC=40, IC={c}]
    bias b : i64[OC]
    output y : i64[N, OH, OW, OC]
    pad same
    stride {stride}
}}"""


@pytest.mark.parametrize(
    ("x", "w", "words"),
    [
        (2**20, 2**21, "[y: registers as f64] kh kw"),  # all products of an output
        (2**22, 2**23, "[y: scratch] kh [y: registers as f64] kw"),  # those of a row of taps
        (2**22, 2**24, "kw [y: registers as f64]"),  # those of a tap
        (2**23, 2**24, "[y: registers as f64] c"),  # some channels
        (2**24, 2**24, "[y] kh kw or as f64"),  # so few that AVX2, which has no conversion, gains nothing
        (2**27, 2**27, "[y] kh kw"),
        (2**31 - 1, 2**31 - 1, "[y] kh kw"),
    ],
)
@pytest.mark.parametrize("target", ["cpu:avx2", pytest.param("cpu:avx512", marks=pytest.mark.isa("avx512f", "avx512dq"))])
def test_sums_of_32_bit_numbers_in_f64(x: int, w: int, words: str, target: str) -> None:
    text = LONGS.format(range=f" in {-x}..{x} ", c=96, stride=1)
    given, weight = numbers((1, 6, 7, 96), -x, x, "int32"), numbers((3, 3, 40, 96), -w, w, "int32")
    bias = numbers((40,), -(2**40), 2**40, "int64")
    kernel: Any = convjit.compile(text, target=target)
    bound = kernel.bind(weight, bias)
    np.testing.assert_array_equal(bound(given, out=np.full((1, 6, 7, 40), -1)), convjit.reference(text, given, weight, bias))
    few = "or as f64" in words
    words = ("[y: registers as f64] c" if "avx512" in target else "[y] kh kw") if few else words
    assert words in bound.dump("schedule")
    assert ("as f64" in words) == ("pack x: n h w c as f64" in bound.dump("schedule"))
    assert "f64" not in kernel.dump("schedule")


@pytest.mark.parametrize("channels", [1, 5, 13])
@pytest.mark.parametrize("stride", [1, 2])
def test_what_f64_holds_of_odd_shapes(channels: int, stride: int) -> None:
    text = LONGS.format(range=" in -4096..4096 ", c=channels, stride=stride).replace("w : i32", "w : i32 in -4096..4096 ")
    given, weight = (numbers((*shape, channels), -4096, 4096, "int32") for shape in ((1, 6, 7), (3, 3, 40)))
    bias = np.zeros(40, np.int64)
    for target in ("cpu:scalar", "cpu:avx2"):
        kernel: Any = convjit.compile(text, target=target)
        np.testing.assert_array_equal(kernel(given, weight, bias), convjit.reference(text, given, weight, bias))
        assert ("as f64" in kernel.dump("schedule")) == (target == "cpu:avx2")


def test_a_proved_chunk_says_nothing_of_chunks_that_lie_across_two() -> None:
    certified, ranges = Room(chunk=10), Room(channels=10)
    assert [certified.widest(deep) for deep in (1, 2, 4)] == [10, 10, 0]
    assert [certified.fits(n, 64) for n in (10, 5, 8, 12)] == [True, True, False, False]
    assert certified.fits(8, 10)  # one chunk holds every channel
    assert (ranges.widest(4), ranges.fits(8, 64), ranges.fits(12, 64)) == (8, True, False)
    assert (NONE.widest(2), NONE.fits(2, 64)) == (0, False)


def test_a_schedule_in_parts_reads_back() -> None:
    text = WORDS.format(range=" in -1000..1000 ", more="")
    kernel: Any = convjit.compile(text.replace("w : i16", "w : i16 in -2000..2000 "), target="cpu:avx2")
    lines = kernel.dump("schedule")
    assert "[y: registers as i32]" in lines
    again: Any = convjit.compile(str(kernel.spec).replace("}\n", lines + "\n}\n"), target="cpu:avx2")
    assert again.dump("llvm") == kernel.dump("llvm")


PART = "dataflow {{ oh ow [y: scratch] kh kw {} oc/8 oc:simd c:dot\n        pack w: kh kw c/2 oc c }}"


@pytest.mark.parametrize(
    ("line", "range_", "said"),
    [
        ("[y: registers as i32] c/2", "", "are not proved to fit into i32"),
        ("[y: registers as i32] c/2", " in -10..10 ", ""),
        ("[y: registers as i16] c/2", " in -10..10 ", "have no parts of i16"),
        ("[y] c/2", "", "added up from parts in registers"),
    ],
)
def test_parts_that_a_user_writes(line: str, range_: str, said: str) -> None:
    block = "dataflow {\n oc/8 oh ow [y: scratch] kh kw " + line + " oc:simd c:dot\n pack w: oc/8 kh kw c/2 oc c\n }"
    text = WORDS.format(range=range_, more=block)
    if not said:
        x, w = numbers((1, 6, 8, 64), -10, 10, "int16"), numbers((3, 3, 64, 64), -32768, 32767, "int16")
        kernel: Any = convjit.compile(text, target="cpu:avx2")
        np.testing.assert_array_equal(kernel(x, w), convjit.reference(text, x, w))
        return
    with pytest.raises(ConvError, match=said):
        convjit.compile(text, target="cpu:avx2")


def test_the_certificate_is_that_of_the_bound_weights() -> None:
    text = BYTES.format(x="u8", c=16, w="i8", more="bias b : i32[OC]")
    w, b = numbers((3, 3, 24, 16), -128, 127, "int8"), numbers((24,), -1000, 1000, "int32")
    kernel: Any = convjit.compile(text, target="cpu:avx2")
    assert kernel.bind(w, b).certificate == certify(kernel.spec, w, bias=b)
    assert kernel.bind(w).certificate == certify(kernel.spec, w)
    assert kernel.bind(b=b).certificate is None
    floats: Any = convjit.compile(BYTES.format(x="f32", c=16, w="f32", more=""), target="cpu:avx2")
    assert floats.bind(w.astype(np.float32)).certificate is None


def test_threads_are_passed_on() -> None:
    text = BYTES.format(x="u8", c=16, w="i8", more="")
    kernel: Any = convjit.compile(text, target="cpu:avx2", threads=2)
    assert kernel.bind(numbers((3, 3, 24, 16), -3, 3, "int8")).threads == 2
