"""Words of neighbours: read and written at once or number by number, as kernels of small nests show."""

from __future__ import annotations

import numpy as np
import pytest

from convjit import machine
from convjit.errors import InternalError
from convjit.kernel.from_nest import lower
from convjit.kernel.interpret import interpret
from convjit.kernel.ir import Kernel, Op, walk
from convjit.kernel.runs import both
from convjit.kernel.verify import verify
from convjit.nest.parse import parse

GPU = machine.get("cuda:sm_80")
COPY = """\
nest f
  grid 1 threads 16
  memory x: u8[p, c] of p=8 c={c}
  memory y: u8[p, c] of p=8 c=8
  shared s: u8[p, c] of p=8 c={row}
  par p in 8, c in 2 step 4 of thread
    dot k in 0..4
      s[p, c+k] = {source}
  barrier
  par p in 8, c in 2 step 4 of thread
    unroll k in 0..4
      y[p, c+k] = s[p, c+k]"""


def made(c: int, row: int, source: str) -> Kernel:
    kernel = lower(parse(COPY.format(c=c, row=row, source=source)), GPU)
    verify(kernel, GPU)
    return kernel


def copied(kernel: Kernel, c: int) -> tuple[np.ndarray, np.ndarray]:
    """The input, and what was copied of it."""
    x, y = np.arange(1, 8 * c + 1, dtype=np.uint8).reshape(8, c), np.zeros((8, 8), np.uint8)
    interpret(kernel, GPU, {"x": x, "y": y})
    return x, y


def accesses(kernel: Kernel) -> list[str]:
    """Types of loads from memory and of stores to shared memory, in order."""
    found = [s for s in walk(kernel.body) if isinstance(s, Op) and s.name in ("load", "store")]
    return [f"{s.name} {s.type}" for s in found if s.name == "load" or "u8" in s.type or "32" in s.type]


WHOLE = "x[p, c+k]"
PART = "(x[p, c+k] inside 0<=c+k<7)"


def test_a_word_at_once() -> None:
    kernel = made(8, 8, WHOLE)
    x, y = copied(kernel, 8)
    np.testing.assert_array_equal(y, x)
    assert accesses(kernel)[:2] == ["load i32", "store i32"]


def test_what_does_not_exist_is_not_read() -> None:
    """Rows of 7 begin anywhere; the interpreter refuses to read behind the last."""
    kernel = made(7, 8, PART)
    x, y = copied(kernel, 7)
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (0, 1))))
    assert accesses(kernel)[:5] == ["load u8"] * 4 + ["store i32"]


def test_a_word_that_is_whole_or_outside_is_read_at_once() -> None:
    kernel = made(8, 8, "(x[p, c+k] inside 0<=c+k<4)")
    x, y = copied(kernel, 8)
    np.testing.assert_array_equal(y, x * (np.arange(8) < 4).astype(np.uint8))
    assert accesses(kernel)[:2] == ["load i32", "store i32"]


def test_rows_of_shared_memory_that_begin_anywhere() -> None:
    kernel = made(8, 9, WHOLE)
    x, y = copied(kernel, 8)
    np.testing.assert_array_equal(y, x)
    assert accesses(kernel)[:5] == ["load i32"] + ["store u8"] * 4


def test_numbers_of_a_word_are_neighbours() -> None:
    with pytest.raises(InternalError, match=r"^.*x\[.*\].*: the 4 values of a dot must be neighbours$"):
        made(64, 8, "x[p, c+2*k]")
    text = COPY.format(c=8, row=32, source=WHOLE).replace("      s[p, c+k] = x", "      s[p, c+2*k] = x")
    with pytest.raises(InternalError, match=r"^.*s\[.*\].*: the 4 values of a dot must be neighbours$"):
        lower(parse(text), GPU)


def test_conditions_together() -> None:
    kernel = made(7, 8, "(x[p, c+k] inside 0<=c+k<7 and 0<=p<5)")
    x, y = copied(kernel, 7)
    x[5:] = 0
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (0, 1))))
    assert both(None, "", "%a") == both(None, "%a", "") == "%a"  # type: ignore[arg-type]
