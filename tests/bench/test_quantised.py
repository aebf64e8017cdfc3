"""8-bit convolutions in other libraries: each computes what the program says, within one unit of the output."""

from __future__ import annotations

import numpy as np
import pytest

from convjit import dtypes
from convjit.bench.candidate import Array, Builder
from convjit.bench.libraries import LIBRARIES, QUANTISED, preparing
from convjit.bench.quantised import quantised
from tests.bench.test_candidates import PLAIN as FLOATS
from tests.bench.test_candidates import spec_of, wanted

PLAIN = """\
conv plain {
    input  x : u8[N=1, H=6, W=9, C=16] scale 0.02 zero 7
    weight w : i8[OC=24, KH=3, KW=3, IC=16] scale ws per OC
    bias   b : i32[OC]
    param ws : f32[OC]
    output y : u8[N, OH, OW, OC] scale 0.15 zero 120
    pad 1
}
"""
PROGRAMS = {
    "plain": PLAIN,
    "other zero points": PLAIN.replace("zero 7", "zero 128").replace("zero 120", "zero 100"),
    "without zero points": PLAIN.replace("zero 7", "").replace("zero 120", ""),
    "stride": PLAIN.replace("pad 1", "pad 1\n    stride 2"),
    "depthwise": PLAIN.replace("IC=16", "IC=1").replace("OC=24", "OC=16").replace("pad 1", "pad 1\n    groups 16"),
    "grouped": PLAIN.replace("IC=16", "IC=4").replace("pad 1", "dilation 2\n    groups 4"),
    "channels first": PLAIN.replace("H=6, W=9, C=16", "C=16, H=6, W=9").replace("N, OH, OW, OC", "N, OC, OH, OW"),
    "few channels": PLAIN.replace("C=16", "C=3").replace("IC=16", "IC=3"),
    "no bias": PLAIN.replace("    bias   b : i32[OC]\n", ""),
    "one scale": PLAIN.replace("scale ws per OC", "scale 0.004").replace("    param ws : f32[OC]\n", ""),
}
EXPECTED = {
    "torch": {"torch", "torch x86", "torch packed"},
    "onnxruntime": {"onnxruntime", "onnxruntime nhwc", "onnxruntime u8u8", "onnxruntime nhwc u8u8"},
    "openvino": {"openvino", "openvino nhwc"},
}
RANGES = {"u8": (0, 255), "i8": (-64, 64), "i32": (-3000, 3000)}
"""No two neighbouring products leave 16 bits together, so that no library saturates on any processor."""


def arrays(program: str) -> dict[str, Array]:
    stream, made = np.random.default_rng(1), {}
    for tensor in spec_of(program).arguments:
        shape = tuple(size or 0 for size in tensor.sizes)
        floats = dtypes.is_float(tensor.dtype)
        values = stream.uniform(0.003, 0.006, shape) if floats else stream.integers(*RANGES[tensor.dtype], shape, endpoint=True)
        made[tensor.name] = values.astype(dtypes.get(tensor.dtype).numpy)
    return made


def builders(library: str, program: str) -> dict[str, Builder]:
    pytest.importorskip(library)
    spec = spec_of(program)
    found: dict[str, Builder] = preparing(library, spec).builders(spec, arrays(program), 1)
    return found


@pytest.mark.parametrize("library", EXPECTED)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_library_computes_what_the_program_says(library: str, name: str) -> None:
    exact = wanted(spec_of(PROGRAMS[name]), arrays(PROGRAMS[name])).astype(int)
    assert np.ptp(exact) > 40 and np.mean((exact == 0) | (exact == 255)) < 0.5, "a test of a constant would say nothing"
    for title, builder in builders(library, PROGRAMS[name]).items():
        made = builder()
        made.call()
        made.clear()
        result = made.result()
        assert (str(result.dtype), result.shape) == ("uint8", exact.shape), title
        assert np.abs(result.astype(int) - exact).max() <= 1, title


@pytest.mark.parametrize("library", EXPECTED)
def test_all_that_a_library_offers_is_there(library: str) -> None:
    found = builders(library, PLAIN)
    assert set(found) == EXPECTED[library]
    assert not any(found[name]().blocked for name in found)


def test_numbers_of_a_program() -> None:
    q = quantised(spec_of(PLAIN), given := arrays(PLAIN))
    assert (q.x_scale, q.x_zero, q.y_scale, q.y_zero) == (0.02, 7, 0.15, 120)
    assert (q.x.shape, q.w.shape, q.y_shape, q.low, q.high) == ((1, 16, 6, 9), (24, 16, 3, 3), (1, 24, 6, 9), [1, 1], [1, 1])
    np.testing.assert_array_equal(q.w_scales, given["ws"])
    np.testing.assert_allclose(q.real_bias, given["b"] * 0.02 * given["ws"].astype(float), rtol=1e-6)
    assert {str(array.dtype) for array in (q.real_bias, q.bias_scales, q.w_scales)} == {"float32"}


def test_who_prepares_what() -> None:
    assert preparing("torch", spec_of(FLOATS)) is LIBRARIES["torch"]
    assert preparing("torch", spec_of(PLAIN)) is QUANTISED["torch"]
    assert LIBRARIES.keys() == QUANTISED.keys()
