"""The dataflows side by side: exact figures, and sentences that follow from them."""

from __future__ import annotations

import pytest

from convjit.api import read
from convjit.errors import ConvError
from convjit.spec.conv import ConvSpec
from convjit.study.dataflows import WORDS, Comparison, amount, compare, joules, place, spent

TAPS = (3 * 8 - 2) ** 2


def spec_of(size: int, c: int, oc: int, more: str = "") -> ConvSpec:
    """A 3 x 3 layer."""
    text = (
        f"conv l {{ input x : f32[N=1, H={size}, W={size}, C={c}]; weight w : f32[KH=3, KW=3, OC={oc}, IC={c}]\n"
        f"pad same; {more} }}"
    )
    return read(text)["l"][0]


@pytest.fixture(scope="module")
def small() -> Comparison:
    """8 x 8 x 8 -> 16 channels, on both kinds of machines."""
    return compare(spec_of(8, 8, 16))


def test_every_dataflow_on_every_target(small: Comparison) -> None:
    assert [(r.target, r.dataflow) for r in small.rows] == [(t, w) for t in ("cpu:avx2", "cuda:sm_80") for w in WORDS]
    assert [r.refused for r in small.rows if not r.cost] == [
        "The dataflow row_stationary cannot be realised on cuda:sm_80."
    ]
    assert small.tensors == {"x": 8 * 8 * 8 * 4, "w": 9 * 8 * 16 * 4, "y": 8 * 8 * 16 * 4}


def test_each_keeps_what_its_name_says(small: Comparison) -> None:
    rows = {r.dataflow: r for r in small.rows if r.target == "cpu:avx2"}
    moved = {word: {t: rows[word].moved(t) for t in "xwy"} for word in WORDS}
    assert min(moved, key=lambda w: moved[w]["y"]) == "output_stationary"
    assert moved["output_stationary"]["y"] == small.tensors["y"]
    assert min(moved, key=lambda w: moved[w]["x"]) == "input_stationary"
    assert moved["weight_stationary"]["w"] == moved["row_stationary"]["w"] == small.tensors["w"]


def test_operations_are_those_of_the_layer(small: Comparison) -> None:
    costs = {r.dataflow: r.cost for r in small.rows if r.target == "cpu:avx2" and r.cost}
    for word in ("output_stationary", "weight_stationary", "row_stationary"):
        assert costs[word].operations.multiply_adds == TAPS * 8 * 16
    assert costs["input_stationary"].operations.multiply_adds >= TAPS * 8 * 16  # its tile has zeros beyond the border


def test_tables(small: Comparison) -> None:
    header, lines = small.table()
    assert all(len(line) == len(header) for line in lines)
    assert ("cpu:avx2", "output_stationary", "y", "memory", "0", "128", "1024", "4096", "") in lines
    assert ("cpu:avx2", "output_stationary", "x", "L3 - memory", "", "", "", "2048", "modelled") in lines
    refused = [line for line in lines if line[1] == "row_stationary" and line[0] == "cuda:sm_80"]
    assert [line[3] for line in refused] == ["The dataflow row_stationary cannot be realised on cuda:sm_80."]
    header, lines = small.totals()
    assert all(len(line) == len(header) for line in lines)
    assert len(lines) == 8
    assert lines[0][2] == str(TAPS * 8 * 16)


def test_sentences_follow_from_the_figures(small: Comparison) -> None:
    assert len(small.reasons) == len(small.rows) + 2
    first = small.rows[0]
    assert first.cost is not None
    memory = {t: sum(levels.values()) for t, levels in spent(first).items() if t in small.tensors}
    most = max(memory, key=memory.__getitem__)
    share = memory[most] / sum(memory.values())
    assert small.reasons[0].startswith(f"cpu:avx2 output_stationary: {most} takes {share:.0%} of the ")
    assert small.reasons[0].endswith("for each byte of the tensor: x 7.56, w 14.7, y 1.")
    assert sum(map(sum, (levels.values() for levels in spent(first).values()))) == pytest.approx(first.cost.picojoules)
    best = small.best("cpu:avx2")
    assert f"{best.dataflow} takes the least modelled energy" in small.reasons[-2]
    assert small.reasons[-2].startswith("cpu:avx2: the tensors have x 2.05 kB, w 4.61 kB, y 4.1 kB.")


def test_which_dataflow_suits_which_shape() -> None:
    """Few pixels and many weights: weights that are read once win. Many pixels: sums that never leave the registers."""
    wide, deep = (compare(spec_of(*shape), ("cpu:avx2",)) for shape in ((56, 32, 32), (7, 512, 512)))
    assert wide.best("cpu:avx2").dataflow == "output_stationary"
    assert deep.best("cpu:avx2").dataflow in ("weight_stationary", "row_stationary")
    text = deep.reasons[-1]
    assert "for w (in" in text


def test_what_no_dataflow_takes() -> None:
    with pytest.raises(ConvError) as caught:
        compare(spec_of(8, 8, 8), ("cuda:sm_80",), ("row_stationary",))
    assert str(caught.value) == (
        "error: No dataflow of l can be had on cuda:sm_80.\n"
        "  note: The dataflow row_stationary cannot be realised on cuda:sm_80."
    )


def test_units() -> None:
    assert [amount(n) for n in (0, 999, 1500, 2.5e6, 3e9)] == ["0 B", "999 B", "1.5 kB", "2.5 MB", "3 GB"]
    assert [joules(n) for n in (0.5, 2, 4e3, 5e6, 6e9, 7e12)] == ["0.5 pJ", "2 pJ", "4 nJ", "5 uJ", "6 mJ", "7 J"]
    assert [place(level) for level in ("memory", "shared", "L2")] == ["DRAM", "shared memory", "L2"]
