"""The interpreter on nests written by hand: what they compute, what they load and store, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from convjit.errors import InternalError
from convjit.nest.counts import Counts
from convjit.nest.interpret import interpret
from convjit.nest.parse import parse
from tests.random_specs import Array


def whole(*shape: int) -> Array:
    """Small whole numbers, all different from their neighbours."""
    return (np.arange(np.prod(shape)) * 7 % 11 - 5).reshape(shape).astype(np.float32)


def run(text: str, **arrays: Array) -> Counts:
    """Of a nest without open sizes."""
    return interpret(parse(f"nest a\n{text}"), arrays)


CONV = """\
  memory x: f32[w, c] of w=6 c=2
  memory w: f32[k, c, oc] of k=3 c=2 oc=5
  memory y: f32[ow, oc] of ow=6 oc=5
  registers y.r: f32[ow.1, oc.1]
  for ow.0 in 0..6 step 4; for oc.0 in 0..5 step 4
    unroll ow.1 in 0..min(4, -ow.0+6); simd oc.1 in 0..4
      y.r[ow.1, oc.1] = 0:f32
    for k.0 in 0..3; for c.0 in 0..2; unroll ow.1 in 0..min(4, -ow.0+6); simd oc.1 in 0..4
      y.r[ow.1, oc.1] += (x[k.0+ow.0+ow.1-1, c.0] inside 0<=k.0+ow.0+ow.1-1<6) * (w[k.0, c.0, oc.0+oc.1] inside 0<=oc.0+oc.1<5)
    unroll ow.1 in 0..min(4, -ow.0+6); simd oc.1 in 0..4
      y[ow.0+ow.1, oc.0+oc.1] = max:f32(y.r[ow.1, oc.1], 0:f32) when 0<=oc.0+oc.1<5"""


def test_convolution_with_borders_tails_and_registers() -> None:
    x, w, y = whole(6, 2), whole(3, 2, 5), np.full((6, 5), 99, np.float32)
    counts = run(CONV, x=x, w=w, y=y)
    padded = np.pad(x, ((1, 1), (0, 0)))
    want = sum(padded[k : k + 6] @ w[k] for k in range(3))
    assert np.array_equal(y, np.maximum(want, 0))
    pixels = 6 * 3 - 2  # taps inside the image
    assert counts.elements["x", "load"] == pixels * 2 * 2  # both blocks of channels; a pixel is one for all lanes
    assert counts.accesses["w", "load"] == 2 * 3 * 2 * 2  # once for a tile of pixels
    assert counts.elements["w", "load"] == 2 * 3 * 2 * 5  # lanes past the end load nothing
    assert counts.accesses["y", "store"] == 6 * 2
    assert counts.elements["y", "store"] == 6 * 5
    assert ("y", "load") not in counts.accesses
    products = pixels * 2 * 5  # a tap outside the image is left out, and so are lanes past the end
    assert counts.operations == {("product", "f32"): products, ("sum", "f32"): products, ("max", "f32"): 6 * 5}
    assert counts.instructions == {("product", "f32"): pixels * 2 * 2, ("sum", "f32"): pixels * 2 * 2, ("max", "f32"): 6 * 2}
    assert counts.elements["x", "use"] == pixels * 2 * 2
    assert counts.accesses["w", "use"] == pixels * 2 * 2 > counts.accesses["w", "load"]
    assert counts.elements["y.r", "load"] == products + 6 * 5
    assert counts.accesses["y.r", "store"] == pixels * 2 * 2 + 6 * 2


LIST = """\
  memory first: i32[r] of r=3
  memory count: i32[r] of r=3
  memory x: f32[e] of e=6
  memory y: f32[r] of r=3
  registers s: f32[]
  for r.0 in 0..3
    s[] = 0:f32
    read first.0 = first[r.0] below 7
    read count.0 = count[r.0] below 4
    for entry.0 in first.0..count.0+first.0
      s[] = add:f32(s[], x[entry.0])
    y[r.0] = mul:f32(s[], index:f32(2*r.0+1))"""


def test_numbers_that_are_read_are_bounds_and_indices() -> None:
    x, y = whole(6), np.zeros(3, np.float32)
    first, count = np.array([0, 6, 2], np.int32), np.array([2, 0, 3], np.int32)
    counts = run(LIST, first=first, count=count, x=x, y=y)
    assert y.tolist() == [x[:2].sum(), 0, x[2:5].sum() * 5]
    read = {("first", "load"): 3, ("count", "load"): 3, ("x", "load"): 5, ("x", "use"): 5}
    assert counts.elements == read | {("s", "load"): 8, ("s", "store"): 8, ("y", "store"): 3}


def test_a_number_that_is_read_lies_below_its_size() -> None:
    given = {"first": np.zeros(3, np.int32), "count": np.array([2, 4, 0], np.int32), "x": whole(6), "y": np.zeros(3, np.float32)}
    with pytest.raises(InternalError) as error:
        run(LIST, **given)
    assert str(error.value) == "read count.0 = count[r.0] below 4\n  4 is not a number below 4 that was written\n  at r.0 = 1, first.0 = 0"


def test_a_sum_in_memory_is_loaded_and_stored() -> None:
    y, x = np.zeros(4, np.float32), whole(3, 4)
    text = "  memory x: f32[k, i] of k=3 i=4\n  memory y: f32[i] of i=4\n"
    counts = run(text + "  for k.0 in 0..3; for i.0 in 0..4\n    y[i.0] += x[k.0, i.0] * x[k.0, i.0]", x=x, y=y)
    assert np.array_equal(y, (x * x).sum(0))
    assert counts.elements == {("x", "load"): 24, ("x", "use"): 24, ("y", "load"): 12, ("y", "use"): 12, ("y", "store"): 12}
    assert counts.operations == counts.instructions == {("product", "f32"): 12, ("sum", "f32"): 12}


def test_integers_wrap() -> None:
    x, y = np.array([250, 3], np.uint8), np.zeros(1, np.int32)
    y[0] = 2**31 - 1
    run("  memory x: u8[i] of i=2\n  memory y: i32[] of\n  y[] += x[0] * x[1]", x=x, y=y)
    assert y[0] == np.array(2**31 - 1 + 750, np.int64).astype(np.int32)


def test_open_sizes_and_workers() -> None:
    nest = parse(
        "nest a\n  size W\n  size OW = (W-3)/2+1\n  workers ow to OW step 2\n"
        "  memory x: f32[w] of w=W\n  memory y: f32[ow] of ow=OW\n"
        "  worker ow.0 in max(0, ow.begin)..min(OW, ow.end) step 2; for ow.1 in 0..min(2, OW-ow.0)\n"
        "    y[ow.0+ow.1] = x[2*ow.0+2*ow.1]"
    )
    x, y = whole(12), np.full(5, 99, np.float32)
    interpret(nest, {"x": x, "y": y}, {"W": 12}, {"ow": (2, 4)})
    assert y.tolist() == [99, 99, x[4], x[6], 99]
    interpret(nest, {"x": x, "y": y}, {"W": 12})
    assert np.array_equal(y, x[:10:2])


def test_blocked_and_padded_layouts() -> None:
    source = whole(6, 3)
    packed = np.full(2 * 3 * 4, 55, np.float32)
    nest = (
        "  memory w: f32[oc, k] of oc=6 k=3\n  memory p: f32[oc, k] packed of oc=6 k=3 as oc/4 k oc\n"
        "  for k.0 in 0..3; for oc.0 in 0..8\n    p[oc.0, k.0] = (w[oc.0, k.0] inside 0<=oc.0<6)"
    )
    run(nest, w=source, p=packed)
    want = np.pad(source, ((0, 2), (0, 0))).reshape(2, 4, 3).transpose(0, 2, 1)
    assert np.array_equal(packed, want.reshape(-1))
    rows = np.full(2 * 5, 55, np.float32)
    run(
        "  memory p: f32[i, k] pad 2 of i=2 k=3\n  for i.0 in 0..2; for k.0 in 0..3\n    p[i.0, k.0] = 1:f32",
        p=rows,
    )
    assert rows.tolist() == [1, 1, 1, 55, 55] * 2


def test_digits_of_a_fused_axis() -> None:
    y = np.full((2, 3, 5), 99, np.float32)
    text = (
        "  memory y: f32[n, oh, ow] of n=2 oh=3 ow=5\n  for p.0 in 0..30 step 7; for p.1 in 0..min(7, -p.0+30)\n"
        "    let n in 2, oh in 3, ow in 5 of p.0+p.1\n    y[n, oh, ow] = 4:f32"
    )
    counts = run(text, y=y)
    assert (y == 4).all()
    assert counts.elements["y", "store"] == 30


def test_a_statement_that_reads_what_it_wrote() -> None:
    y = np.array([1, 0, 0, 0], np.float32)
    text = "  memory y: f32[i] of i=4\n  for i.0 in 1..4\n    y[i.0] = add:f32(y[i.0-1], y[i.0-1])"
    run(text, y=y)
    assert y.tolist() == [1, 2, 4, 8]


def test_fill_and_functions() -> None:
    x, y = np.array([-2.5, 0.5], np.float32), np.zeros(4, np.float32)
    text = (
        "  memory x: f32[i] of i=2\n  memory y: f32[i] of i=4\n"
        "  for i.0 in 0..4\n    y[i.0] = min:f32(abs:f32((x[i.0-1] inside 0<=i.0-1<2 else 7)), 3:f32)"
    )
    run(text, x=x, y=y)
    assert y.tolist() == [3, 2.5, 0.5, 3]


REFUSED = [
    ("  for i.0 in 0..5\n    y[i.0] = 1:f32", "y[i.0] = 1:f32\n  y: i = 4 is outside 0<=i<4\n  at i.0 = 4"),
    ("  for i.0 in 0..4\n    y[0] = x[-i.0]", "y[0] = x[-i.0]\n  x: i = -1 is outside 0<=i<2\n  at i.0 = 1"),
    ("  registers r: f32[i]\n  for i.0 in 0..2\n    r[i.0] = 0:f32\n  y[0] = r[2]",
     "y[0] = r[2]\n  r: i = 2 is outside 0<=i<2\n  at "),
    ("  scratch s: f32[i] of i=4\n  for i.0 in 0..3\n    s[i.0] = 0:f32\n  for i.0 in 0..4\n    y[i.0] = s[i.0]",
     "y[i.0] = s[i.0]\n  stores what was never written\n  at i.0 = 3"),
    (("  scratch s: f32[i] of i=4\n  registers r: f32[]\n  r[] = 0:f32\n  for i.0 in 0..4\n    r[] += s[i.0] * s[i.0]\n"
     "  y[0] = r[]"), "y[0] = r[]\n  stores what was never written\n  at "),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_what_must_not_be(text: str, message: str) -> None:
    head = "  memory x: f32[i] of i=2\n  memory y: f32[i] of i=4\n"
    with pytest.raises(InternalError) as error:
        run(head + text, x=np.zeros(2, np.float32), y=np.zeros(4, np.float32))
    assert str(error.value) == message


def test_arrays_that_do_not_fit() -> None:
    text = "  memory y: f32[i] of i=4\n  y[0] = 1:f32"
    with pytest.raises(InternalError) as error:
        run(text)
    assert str(error.value) == "memory y: f32[i] of i=4\n  there is no array for it"
    with pytest.raises(InternalError) as error:
        run(text, y=np.zeros(3, np.float32))
    assert str(error.value) == ("memory y: f32[i] of i=4\n  needs 4 elements one after the other, the array has 3")


def test_many_points_are_done_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    y = np.zeros((2, 3), np.float32)
    x = whole(2, 3, 50)
    text = (
        "  memory x: f32[i, j, k] of i=2 j=3 k=50\n  memory y: f32[i, j] of i=2 j=3\n"
        "  for i.0 in 0..2; for j.0 in 0..min(3, i.0+3); for k.0 in 0..50; unroll k.1 in 0..1\n"
        "    y[i.0, j.0] += x[i.0, j.0, k.0+k.1] * x[i.0, j.0, k.0]"
    )
    before = run(text, x=x, y=y)
    assert np.array_equal(y, (x * x).sum(2))
    monkeypatch.setattr("convjit.nest.interpret.MANY", 7)
    y[...] = 0
    assert run(text, x=x, y=y) == before
    assert np.array_equal(y, (x * x).sum(2))
