"""The report's conclusions on speed, on rows that are made up: each is confirmed by some, not by others, open without."""

from __future__ import annotations

import pytest

from convjit.study.finding import CONFIRMED, OPEN, REFUTED, Finding
from convjit.study.findings_speed import lists, speed
from convjit.study.hosts import SCALAR
from convjit.study.sections.sparse import Lists
from convjit.study.sections.tradeoff import TradeOff
from convjit.study.sparse import Point, Sparse
from convjit.study.tradeoff import ABSENT, Row

NRMSE = {"f32": 4e-8, "i32": 4e-9, "i16": 1e-5, "i8": 3e-3}


def rows(target: str, seconds: dict[str, float], threads: int = 1) -> list[Row]:
    return [Row(d, "direct", target, threads, nrmse=NRMSE[d], seconds=s, dataflow="input_stationary") for d, s in seconds.items()]


def found(*groups: list[Row]) -> dict[str, Finding]:
    """The findings by their claims."""
    return {f.claim: f for f in speed(TradeOff(tuple(row for group in groups for row in group), ()))}


SLOW = rows(SCALAR, {"f32": 1.0, "i32": 0.9, "i16": 0.8, "i8": 0.75})


def verdict(claims: dict[str, Finding], words: str) -> str:
    (chosen,) = [f for claim, f in claims.items() if words in claim]
    return chosen.verdict


@pytest.mark.parametrize(
    ("words", "fast", "wanted"),
    [
        ("INT32 with AVX", {"f32": 0.1, "i32": 0.108}, CONFIRMED),
        ("INT32 with AVX", {"f32": 0.1, "i32": 0.08}, REFUTED),
        ("INT16 with AVX", {"f32": 0.15, "i16": 0.1}, CONFIRMED),
        ("INT16 with AVX", {"f32": 0.12, "i16": 0.1}, REFUTED),
        ("INT8 on avx2 ", {"f32": 0.3, "i32": 0.4, "i16": 0.2, "i8": 0.1}, CONFIRMED),
        ("INT8 on avx2 ", {"f32": 0.3, "i32": 0.4, "i16": 0.09, "i8": 0.1}, REFUTED),
        ("about 10 times", {"i32": 0.09, "i16": 0.07, "i8": 0.05}, CONFIRMED),
        ("about 10 times", {"i32": 0.5, "i16": 0.07, "i8": 0.05}, REFUTED),
    ],
)
def test_vectors(words: str, fast: dict[str, float], wanted: str) -> None:
    assert verdict(found(SLOW, rows("cpu:avx2", fast, 2)), words) == wanted


def test_scalar_integers() -> None:
    assert verdict(found(SLOW), "less than 1.4 times") == CONFIRMED
    assert verdict(found(rows(SCALAR, {"f32": 1.0, "i8": 1.1})), "less than 1.4 times") == REFUTED


def test_a_gpu() -> None:
    words = "about 40 times"
    assert verdict(found(SLOW, rows("cuda:sm_90a", {"f32": 0.02})), words) == CONFIRMED
    assert verdict(found(SLOW, rows("cuda:sm_90a", {"f32": 0.1})), words) == REFUTED
    open_ = found(SLOW, [Row("*", "*", "cuda", state=ABSENT, why="There is no GPU to be had here.")])
    (finding,) = [f for c, f in open_.items() if words in c]
    assert (finding.verdict, finding.figure) == (OPEN, "There is no GPU to be had here.")


def test_without_rows_everything_is_open() -> None:
    claims = found([])
    assert len(claims) >= 8 and {f.verdict for f in claims.values()} == {OPEN}
    assert all(f.figure for f in claims.values())


def test_integers_that_differ_between_targets_are_noticed() -> None:
    other = [Row("i8", "direct", "cpu:avx2", 1, nrmse=4e-3, seconds=0.1)]
    assert verdict(found(SLOW), "has the error of scalar code") == CONFIRMED
    assert verdict(found(SLOW, other), "has the error of scalar code") == REFUTED


@pytest.mark.parametrize(("seconds", "wanted"), [(0.5, CONFIRMED), (1.5, REFUTED)])
def test_lists(seconds: float, wanted: str) -> None:
    sparse = Sparse("c", ("f32", "f32", "f32"), "cpu:avx2", 1, (Point(0.9, 0.1, 1.0, seconds),), 0.5)
    (finding,) = lists(Lists((("f32", sparse),), (), ()))
    assert finding.verdict == wanted and f"90% zeros {1 / seconds:.2f} times" in finding.figure
