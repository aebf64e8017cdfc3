"""Integer types beside f32: their numbers, turns, ratios; on a tiny layer."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench import integers
from bench.integer_cases import CASES, WORDS, longs, same, words
from bench.integers import Times, prepare, ratio, table
from bench.layers import NHWC, Layer
from bench.problem import equal

LAYER = Layer("tiny", 1, 16, 16, (5, 5), (3, 3), 1, 1, (1, 1))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_right_and_its_mistakes_are_seen(case: Any) -> None:
    candidate, times = prepare(LAYER, case, "cpu:scalar", 1)
    assert candidate and times.problem == ""
    right = candidate.result()
    wrong = right.copy()
    wrong.flat[7] += 1
    assert case.judge(right, right.astype(np.float64) if case.name == "f32" else right, True).problem == ""
    assert case.judge(wrong, right, True).problem.startswith("wrong: ")


def test_numbers_are_those_of_the_report() -> None:
    x, w = words((1, 56, 56, 64), (64, 3, 3, 64))
    assert (np.abs(x).max(), np.abs(w).max()) == (6230, 20000)
    assert w.std() == pytest.approx(2060, rel=0.02) and x.std() == pytest.approx(6230 / 4.5, rel=0.1)
    np.testing.assert_array_equal(longs((2, 3), (3, 2))[0], words((2, 3), (3, 2))[0].astype(int) * 4096)


def test_floats_of_an_exact_sum_are_equal_to_the_last_bit() -> None:
    one = np.array([1.0, 2.0], np.float32)
    assert same(one, one.astype(np.float64), True).problem == ""
    assert same(np.nextafter(one, np.float32(9)), one, True).problem == "wrong: 2 of 2 differ, by up to 1"


def test_what_cannot_be_compiled_has_no_time() -> None:
    case = replace(CASES[0], spec=lambda layer, axes: layer.spec(axes, dataflow="row_stationary", algorithm="winograd 4"))
    candidate, times = prepare(LAYER, case, "cpu:scalar", 1)
    assert candidate is None and times.problem and times.time is None


def test_ratios_and_parts() -> None:
    first = Times(LAYER, "f32", 4000, seconds=[3e-6, 1e-6, 2e-6], peaks=[1e9, 4e9])
    other = Times(LAYER, "i8", 4000, seconds=[1e-6], peaks=[8e9])
    lost = Times(LAYER, "i16", 4000, problem="wrong: 1 of 1 differ, by up to 1")
    assert [first.time, first.rate, first.of_peak] == pytest.approx([2e-6, 2e9, 0.5])
    assert ratio(other, first) == pytest.approx(2.0)
    assert ratio(lost, first) is None and ratio(other, lost) is None
    assert table([[first, other, lost], [first, replace(other, seconds=[4e-6]), lost]]) == [
        "| layer          | types |    us | Gop/s | of peak | x f32 |",
        "| -------------- | ----: | ----: | ----: | ------: | ----: |",
        "| 5x5x16 3x3     |   f32 |   2.0 |   2.0 |     50% |  1.00 |",
        "|                |    i8 |   1.0 |   4.0 |     50% |  2.00 |",
        "|                |   i16 | wrong |     - |       - |     - |",
        "| 5x5x16 3x3     |   f32 |   2.0 |   2.0 |     50% |  1.00 |",
        "|                |    i8 |   4.0 |   1.0 |     12% |  0.50 |",
        "|                |   i16 | wrong |     - |       - |     - |",
        "| geometric mean |   f32 |       |       |     50% |  1.00 |",
        "|                |    i8 |       |       |     25% |  1.00 |",
        "|                |   i16 |       |       |       - |     - |",
    ]


def called(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Any:
    monkeypatch.setattr("bench.layers.load", lambda: (LAYER,))
    return CliRunner().invoke(integers.main, ["--layers", "all", "--seconds", "0.001", "--rounds", "2", *arguments])


def test_the_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    outcome = called(monkeypatch, "--out", str(tmp_path))
    assert outcome.exit_code == 0, outcome.output
    assert os.sched_getaffinity(0) == before
    (written,) = tmp_path.glob("integers-*-1t.md")
    assert written.read_text() == outcome.stdout
    assert all(f" {case.name} |" in outcome.stdout for case in CASES)


def test_a_wrong_result_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shifted = replace(CASES[1], judge=lambda result, wanted, ours: equal(result, wanted + 1, ours))
    monkeypatch.setattr(integers, "CASES", (CASES[0], shifted))
    outcome = called(monkeypatch, "--out", str(tmp_path))
    assert outcome.exit_code == 1
    assert "- 5x5x16 3x3 i16 -> i32: wrong: 400 of 400 differ, by up to 1" in outcome.stdout


def test_wrong_options(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = called(monkeypatch, "--only", "nothing like it")
    assert (outcome.exit_code, outcome.stderr.splitlines()[0]) == (2, "error: There is no such layer.")


def test_cases_have_their_own_types() -> None:
    specs = {case.name: case.spec(LAYER, NHWC) for case in CASES}
    assert (specs["i16 -> i64, ranges"].input.in_range, specs["i16 -> i64"].input.in_range) == ((-6230, 6230), None)
    assert specs["compute i16"].compute and specs["compute i16"].compute.scales == (2**7, 2**7 * 500)
    assert {case.name for case in CASES if case.peaks == WORDS} > {"i16 -> i32", "compute i16"}
