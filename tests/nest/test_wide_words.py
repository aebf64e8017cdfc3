"""Words that go to registers are read several at a time where they lie side by side."""

from __future__ import annotations

import numpy as np
import pytest

from convjit.nest.interpret import interpret
from convjit.nest.parse import parse
from convjit.nest.passes.wide_words import wide_words
from convjit.nest.verify import verify

NEST = """\
nest f
  grid 1 threads 1
  memory x: u8[p, c] of p=8 c=64
  memory y: u8[p, c] of p=8 c=64
  registers x.r: u8[p.0, c.0, c.1]
  par
    {fill}
    unroll p.0 in 0..2; unroll c.0 in 0..{last} step 4; unroll c.1 in 0..4
      y[p.0, c.0+c.1] = x.r[p.0, c.0, c.1]"""


def nest(fill: str, last: int = 16, layout: str = "") -> str:
    copy = "\n      x.r[p.0, c.0, c.1] = x[p.0, c.0+c.1]"
    text = NEST.format(fill=fill.replace("; COPY", copy), last=last)
    return text.replace("memory x: u8[p, c] of p=8 c=64", f"memory x: u8[p, c] of p=8 c=64{layout}")


def widened(text: str) -> str:
    """The fill's loops after the pass, which changes nothing that is computed."""
    before = verify(parse(text))
    after = verify(wide_words(before))
    x = np.arange(8 * 64, dtype=np.uint8)
    results = []
    for one in (before, after):
        y = np.zeros_like(x)
        interpret(one, {"x": x, "y": y})
        results.append(y)
    np.testing.assert_array_equal(*results)
    assert results[0].any()
    return str(after).split("\n")[6].strip()


ROWS = "unroll p.0 in 0..2"
WORD = "dot c.1 in 0..4"


@pytest.mark.parametrize(
    ("fill", "last", "wanted"),
    [
        (f"unroll c.0 in 0..16 step 4; {ROWS}; {WORD}; COPY", 16, f"{ROWS}; vec c.0 in 0..16 step 4; {WORD}"),
        (f"unroll c.0 in 0..8 step 4; {ROWS}; {WORD}; COPY", 8, f"{ROWS}; vec c.0 in 0..8 step 4; {WORD}"),
        (f"unroll c.0 in 0..12 step 4; {ROWS}; {WORD}; COPY", 12, f"unroll c.0 in 0..12 step 4; {ROWS}; {WORD}"),
        (f"{ROWS}; unroll c.0 in 0..32 step 4; {WORD}; COPY", 32,
         f"{ROWS}; unroll c.0 in 0..32 step 16; vec c.0.v in 0..16 step 4; {WORD}"),
        (f"{ROWS}; unroll c.0 in 0..24 step 4; {WORD}; COPY", 24,
         f"{ROWS}; unroll c.0 in 0..24 step 8; vec c.0.v in 0..8 step 4; {WORD}"),
        (f"{ROWS}; unroll c.0 in 0..16 step 4; unroll c.1 in 0..4; COPY", 16,
         f"{ROWS}; unroll c.0 in 0..16 step 4; unroll c.1 in 0..4"),
    ],
)  # fmt: skip
def test_loops(fill: str, last: int, wanted: str) -> None:
    assert widened(nest(fill, last)) == wanted


def test_rows_that_are_neighbours_in_a_blocked_layout() -> None:
    """c/4 p c: the words of neighbouring rows lie side by side, those of a row do not."""
    fill = f"unroll p.0 in 0..2; unroll c.0 in 0..16 step 4; {WORD}; COPY"
    assert widened(nest(fill, layout=" as c/4 p c")) == f"unroll c.0 in 0..16 step 4; vec p.0 in 0..2; {WORD}"


def test_a_row_that_digits_are_made_of_stays() -> None:
    text = nest(f"unroll p.0 in 0..2; unroll c.0 in 0..16 step 4; {WORD}; COPY", layout=" as c/4 p c")
    copy = "      x.r[p.0, c.0, c.1] = x["
    digits = text.replace(f"{copy}p.0,", f"      let a in 8 of p.0\n{copy}a,")
    assert widened(digits) == f"unroll p.0 in 0..2; unroll c.0 in 0..16 step 4; {WORD}"
