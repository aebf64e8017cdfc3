"""Tiles whose elements go through a costly function: the loops are rolled, the rest stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

from convjit.api import compilation, read
from convjit.nest.interpret import interpret
from convjit.nest.ir import Nest
from convjit.nest.parse import parse
from convjit.nest.passes.roll_functions import roll_functions
from convjit.nest.verify import verify
from convjit.nest.visit import walk

HEAD = """\
nest a
  memory x: f32[ow, oc] of ow=14 oc=27
  memory y: f32[ow, oc] of ow=14 oc=27
  registers y.r: f32[ow.1, oc.1, oc.2]
"""
TILE = """\
  for ow.0 in 0..14 step 4
    unroll ow.1 in 0..min(4, -ow.0+14); unroll oc.1 in 0..32 step 16; simd oc.2 in 0..16
      y.r[ow.1, oc.1, oc.2] = (x[ow.0+ow.1, oc.1+oc.2] inside 0<=oc.1+oc.2<27)
"""
STORE = """\
    unroll ow.1 in 0..min(4, -ow.0+14); unroll oc.1 in 0..32 step 16; simd oc.2 in 0..16
      y[ow.0+ow.1, oc.1+oc.2] = {value} when 0<=oc.1+oc.2<27"""
ROLLED = """\
    unroll ow.1 in 0..min(4, -ow.0+14); unroll oc.1 in 0..32 step 16; simd oc.2 in 0..16
      y.r.f[ow.1, oc.1+oc.2] = y.r[ow.1, oc.1, oc.2]
    for ow.1 in 0..min(4, -ow.0+14); for oc.1 in 0..32 step 16; simd oc.2 in 0..16
      y[ow.0+ow.1, oc.1+oc.2] = gelu:f32(y.r.f[ow.1, oc.1+oc.2]) when 0<=oc.1+oc.2<27"""
GELU = "gelu:f32(y.r[ow.1, oc.1, oc.2])"


def kinds(nest: Nest) -> list[str]:
    """Of the loops around the last statement."""
    *_, (_, loops) = walk(nest.body)
    return [l.kind for l in loops]


def test_a_tile_is_laid_down_and_taken_up() -> None:
    before = verify(parse(HEAD + TILE + STORE.format(value=GELU)))
    after = verify(roll_functions(before))
    head = HEAD + "  scratch y.r.f: f32[ow, oc] of ow=4 oc=32\n"
    assert str(after) == head + TILE + ROLLED
    assert parse(str(after)) == after
    x = np.linspace(-4, 4, 14 * 27, dtype=np.float32).reshape(14, 27)
    results = [np.full((14, 27), 99, np.float32) for _ in range(2)]
    for nest, y in zip((before, after), results):
        interpret(nest, {"x": x, "y": y})
    assert np.array_equal(results[0], results[1])


@pytest.mark.parametrize(
    "value",
    [
        "max:f32(y.r[ow.1, oc.1, oc.2], 0:f32)",
        "hardswish:f32(y.r[ow.1, oc.1, oc.2])",
        "gelu:f32(x[ow.1, oc.1])",
        "gelu:f32(add:f32(y.r[0, 0, oc.2], y.r[1, 0, oc.2]))",
    ],
)
def test_what_is_cheap_or_reads_no_single_register_is_left_alone(value: str) -> None:
    nest = verify(parse(HEAD + TILE + STORE.format(value=value)))
    assert roll_functions(nest) == nest


def test_a_single_vector_is_left_alone() -> None:
    """There is nothing to roll, however costly it is."""
    costly = "y.r[0, 0, oc.2]"
    for _ in range(5):
        costly = f"gelu:f32({costly})"
    text = f"  simd oc.2 in 0..16\n    y.r[0, 0, oc.2] = x[0, oc.2]\n  simd oc.2 in 0..16\n    y[0, oc.2] = {costly}"
    nest = verify(parse(HEAD + text))
    assert roll_functions(nest) == nest


def test_tiles_of_the_same_kind_share_their_memory() -> None:
    """A body for the border and one for the middle; a smaller tile has its own."""
    small = STORE.replace("oc.1 in 0..32 step 16", "oc.1 in 0..16 step 16").format(value=f"gelu:f32({GELU})")
    nest = parse(HEAD + TILE + STORE.format(value=GELU) + "\n" + STORE.format(value=GELU) + "\n" + small)
    after = verify(roll_functions(nest))
    assert [(b.name, b.layout and b.layout.elements()) for b in after.buffers if b.level == "scratch"] == [
        ("y.r.f", 128),
        ("y.r.f1", 64),
    ]


def test_digits_are_taken_along() -> None:
    """A fused axis: its digits stand in the innermost body."""
    text = (
        HEAD.replace("ow=14", "oh=2 ow=7").replace("[ow, oc]", "[oh, ow, oc]")
        + """\
  for p.0 in 0..14 step 7
    unroll p.1 in 0..7; unroll oc.1 in 0..32 step 16; simd oc.2 in 0..16
      let oh in 2, ow in 7 of p.0+p.1
      y.r[p.1, oc.1, oc.2] = (x[oh, ow, oc.1+oc.2] inside 0<=oc.1+oc.2<27)
    unroll p.1 in 0..7; unroll oc.1 in 0..32 step 16; simd oc.2 in 0..16
      let oh in 2, ow in 7 of p.0+p.1
      y[oh, ow, oc.1+oc.2] = tanh:f32(y.r[p.1, oc.1, oc.2]) when 0<=oc.1+oc.2<27"""
    )
    nest = verify(roll_functions(parse(text)))
    assert kinds(nest) == ["serial", "serial", "serial", "simd"]
    x, y = np.linspace(-2, 2, 14 * 27, dtype=np.float32), np.zeros(14 * 27, np.float32)
    interpret(nest, {"x": x, "y": y})
    assert np.array_equal(y, np.tanh(x))


def test_a_compiled_convolution_has_one_copy() -> None:
    """However many bodies the borders cut off, every one has its function once."""
    text = """
    conv a { input x : f32[N=1, H=9, W=28, C=4]; weight w : f32[OC=32, KH=3, KW=3, IC=4]; pad same; then gelu
      dataflow { oc/32 oh ow/7 [y] kh kw c ow:unroll oc/8:unroll oc:simd
                 pack w: oc/32 kh kw c oc } }"""
    ((spec, syntax),) = read(text).values()
    c = compilation(spec, syntax, "cpu:avx2")
    stores = [loops for n in c.nests for s, loops in walk(n.body) if "gelu" in str(s)]
    assert stores and all(l.kind in ("serial", "worker", "simd") for loops in stores for l in loops)


def test_registers_that_hold_nothing_are_not_read() -> None:
    guard = "0<=ow.1-1<4"
    tile = TILE.replace("inside 0<=oc.1+oc.2<27)", f"inside 0<=oc.1+oc.2<27) when {guard}")
    nest = parse(HEAD + tile + STORE.format(value=GELU).replace("when ", f"when {guard} and "))
    text = str(roll_functions(nest))
    assert f"y.r.f[ow.1, oc.1+oc.2] = y.r[ow.1, oc.1, oc.2] when {guard}\n" in text
