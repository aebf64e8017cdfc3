"""What a kernel takes for granted about where its arrays begin."""

from __future__ import annotations

import pytest

from convjit.kernel.alignment import alignments
from convjit.kernel.ir import Carried, For, Kernel, Op, Parameter
from convjit.kernel.parse import parse
from tests.kernel.samples import DENSE, PLAIN_TILE, TILE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAIN_TILE, {"x": 4, "y": 4}),
        (TILE, {"x": 16, "w": 16, "y": 4}),  # cp.async of 16 bytes
        (DENSE, {"x": 4, "w": 4, "y": 4}),
    ],
    ids=["plain", "copies", "cpu"],
)
def test_the_widest_access_to_each_parameter(text: str, expected: dict[str, int]) -> None:
    assert alignments(parse(text)) == expected


def test_vectors_and_pointers_that_a_loop_carries() -> None:
    load = Op("%v", "load", "f32x4", ("%q",), (("align", 16),))
    step = Op("%next", "step", "ptr.global", ("%q", 64))
    loop = For("%i", "i32", 0, 4, 1, (Carried("%q", "ptr.global", "%p", "%next", "%end"),), (load, step))
    begin = Op("%p", "step", "ptr.global", ("%x", 16))
    last = Op("%l", "load", "f32x2", ("%end",), (("align", 8),))
    store = Op("", "store", "f32", (0.0, "%y"), (("align", 4),))
    parameters = (Parameter("x", "f32", False, "global"), Parameter("y", "f32", True, "global"))
    assert alignments(Kernel("k", "cuda:sm_80", parameters, (begin, loop, last, store))) == {"x": 16, "y": 4}
    assert alignments(Kernel("k", "cuda:sm_80", parameters, (begin, last))) == {"x": 4, "y": 4}
