"""Shares of zeros: the report's counts, and the definitions."""

from __future__ import annotations

import numpy as np
import pytest

from convjit.api import read
from convjit.errors import ConvError
from convjit.study.sparsity import Zeros, sparsity, sparsity_of
from tests.study.samples import made, sample1

COUNTS = {"i32": (19, 22080, 0, 0), "i16": (7, 22287, 15, 0), "i8": (0, 50923, 2495, 53)}


@pytest.mark.parametrize("dtype", COUNTS)
def test_the_reports_counts(dtype: str) -> None:
    n, x, w, y = COUNTS[dtype]
    found = sparsity_of(sample1(), dtype, 2.0**n, 500 * 2.0**n, "toward_zero")
    assert (found.report, found.weight, found.output) == (Zeros(x, 222784), Zeros(w, 36864), Zeros(y, 200704))
    assert found.padded == Zeros(x - 22080 + 14592, 215296)
    assert found.bare == Zeros(x - 22080, 200704)


def test_the_reports_scale_of_one() -> None:
    found = sparsity_of(sample1(), "i16", 1, 500, "toward_zero")
    assert f"{found.report.share:.0%}" == "23%"
    assert str(found.report) == "50923 of 222784 (22.9%)"


def test_padding_is_counted_as_it_is_declared() -> None:
    text = "conv a { input x : f32[W=5, C=2, N=1, H=4]; weight w : f32[OC=3, KH=3, KW=2, IC=2]; pad ((1, 2), (0, 1)) }"
    ((spec, _),) = read(text).values()
    x, w = np.ones((5, 2, 1, 4), np.float32), np.ones((3, 3, 2, 2), np.float32)
    x[0] = 0.2
    found = sparsity(spec, x, w, "i8", 2.0, 1.0)
    assert found.bare == Zeros(8, 40)
    assert found.padded == Zeros(8 + 2 * 7 * 6 - 40, 2 * 7 * 6)
    assert found.report == Zeros(8 + 2 * 7 * 7 - 40, 2 * 7 * 7)
    assert (found.weight.share, found.output.share) == (0.0, 0.0)


def test_a_transposed_convolution_pads_nothing() -> None:
    text = "conv t transposed { input x : f32[N=1, W=5, C=3]; weight w : f32[OC=4, KW=3, IC=3]; pad 1 }"
    ((spec, _),) = read(text).values()
    found = sparsity(spec, np.ones((1, 5, 3)), np.ones((4, 3, 3)), "i8", 1.0, 1.0)
    assert found.bare == found.padded == Zeros(0, 15)


def test_wrong_scales_and_types() -> None:
    spec, x, w = made()
    with pytest.raises(ConvError, match=r"The scales 1e\+30 and 1e\+30 cannot be used."):
        sparsity(spec, x, w, "i8", 1e30, 1e30)
    with pytest.raises(ConvError, match="Unknown type 'f32'."):
        sparsity(spec, x, w, "f32", 1, 1)
