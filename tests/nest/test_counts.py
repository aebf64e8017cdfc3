"""What is counted, on statements by hand: what written out loops share, what registers do not, and arithmetic."""

from __future__ import annotations

import numpy as np

from convjit.nest.counts import Counts, different
from convjit.nest.interpret import interpret
from convjit.nest.parse import parse


def counted(text: str) -> Counts:
    """Of a nest whose arrays hold zeros."""
    nest = parse(f"nest a\n{text}")
    types = {"f32": np.float32, "bf16": np.uint16, "u8": np.uint8, "i8": np.int8, "i32": np.int32, "i16": np.int16}
    arrays = {
        b.name: np.zeros(b.layout.elements(), types[b.dtype]) for b in nest.buffers if b.level == "memory" and b.layout
    }
    return interpret(nest, arrays)


TILE = """\
  memory x: u8[i] of i=4
  memory w: i8[k, j] of k=2 j=8
  memory y: i32[i, j] of i=4 j=8
  registers y.r: i32[i.0, j.0]
  unroll i.0 in 0..4; simd j.0 in 0..8
    y.r[i.0, j.0] = 0:i32
  unroll i.0 in 0..4; simd j.0 in 0..8; dot k.0 in 0..2
    y.r[i.0, j.0] += x[i.0] * convert:i16(w[k.0, j.0])
  unroll i.0 in 0..4; simd j.0 in 0..8
    y[i.0, j.0] = max:i32(y.r[i.0, j.0], 0:i32)"""


def test_a_tile_of_dot_products() -> None:
    counts = counted(TILE)
    assert counts.elements["w", "load"] == 2 * 8  # the rows share it
    assert counts.elements["w", "use"] == 4 * 2 * 8  # every instruction reads the register again
    assert (counts.elements["x", "load"], counts.elements["x", "use"]) == (4, 4)  # a broadcast is one
    assert counts.accesses["y.r", "load"] == 4 + 4
    assert counts.elements["y.r", "store"] == 4 * 8 + 4 * 8  # both products of a lane end in one sum
    products = 4 * 8 * 2
    assert counts.operations == {
        ("product", "i16"): products,  # the wider of both types
        ("sum", "i32"): products,
        ("convert", "i16"): 2 * 8,  # done once for what is read once
        ("max", "i32"): 4 * 8,
    }
    assert counts.instructions == {("product", "i16"): 4, ("sum", "i32"): 4, ("convert", "i16"): 1, ("max", "i32"): 4}


def test_what_does_not_happen_is_not_counted() -> None:
    text = "  memory x: f32[i] of i=4\n  memory y: f32[i] of i=4\n  unroll i.0 in 0..4\n"
    counts = counted(text + "    y[i.0] = neg:f32(x[i.0]) when 0<=i.0-9<2")
    assert counts == Counts()


def test_keys_beyond_64_bits() -> None:
    wide = np.array([0, 1 << 40, 0, 1 << 40, 3])
    assert different([wide, wide, wide[::-1]], 5) == 4
    assert different([wide], 5) == 3
    assert different([7, np.array([2, 2, 3, 3, 3])], 5) == 2
