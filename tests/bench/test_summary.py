"""From times to ratios, means and tables; made-up times."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from bench import summary, tables
from bench.layers import Layer, load
from bench.plot import draw
from bench.problem import Verdict
from bench.result import Result, Row

LAYER = Layer("made_up", 1, 64, 64, (56, 56), (3, 3), 1, 1, (1, 1))


def result(layer: Layer = LAYER, threads: int = 1, **times: float) -> Result:
    """One with these times in microseconds; `torch_blocked=3` is PyTorch's candidate in its own order."""
    rows = tuple(
        Row(name.split("_")[0], name.replace("_", " "), "blocked" in name, True, us * 1e-6, us * 1e-6, 3)
        for name, us in times.items()
    )
    operations = layer.spec().operations or 0
    return Result(layer, threads, operations, 10**6, rows, (operations / 8e-6, operations / 9e-6))


R = result(convjit=10, convjit_nchw=12.5, torch=20, torch_packed=15, torch_blocked=5, openvino=18)


def test_the_best_peer() -> None:
    assert (row := summary.best(R)) and row.name == "torch packed"
    assert (row := summary.best(R, blocked=True)) and row.name == "torch blocked"
    assert (row := summary.best(R, library="openvino")) and row.name == "openvino"
    assert summary.best(R, library="onnxruntime") is None


def test_ratios() -> None:
    assert summary.ratio(R) == pytest.approx(1.5)
    assert summary.ratio_blocked(R) == pytest.approx(0.5)
    assert summary.nchw(R) == pytest.approx(0.8)
    assert summary.of_peak(R) == pytest.approx(0.8)
    assert summary.speedup(R) is None
    assert summary.speedup(result(threads=2, convjit=10, convjit_1_thread=19)) == pytest.approx(1.9)


def test_who_has_more_instructions_is_not_the_best() -> None:
    rows = tuple(replace(row, limited=row.library != "torch") for row in R.rows)
    free = replace(R, rows=rows)
    assert summary.ratio(free) == pytest.approx(1.8)
    assert "15.0*" in "\n".join(tables.layers([free], ["convjit", "torch", "openvino"], lambda r: None))


def off(result: Result, name: str, verdict: Verdict) -> Result:
    """With that verdict on a candidate."""
    rows = tuple(replace(row, verdict=verdict) if row.name == name else row for row in result.rows)
    return replace(result, rows=rows, outputs=1000, unit="Gop/s")


def test_who_is_off_by_more_than_a_unit_is_marked_and_counted_apart() -> None:
    wrong = off(R, "torch packed", Verdict(differ=9, beyond=4, most=7))
    assert summary.ratio(wrong) == pytest.approx(1.5)
    assert summary.ratio_right(wrong) == pytest.approx(1.8)
    lines = tables.layers([wrong], ["convjit", "torch"], lambda r: None)
    assert "15.0!" in lines[4] and "1.80" in lines[4]
    assert "Gop/s" in lines[2] and "vs right" in lines[2]
    lost = replace(wrong, rows=tuple(replace(row, seconds=row.seconds * 0.5) for row in wrong.rows if row.library == "torch"))
    lost = replace(lost, rows=(*R.rows[:1], *lost.rows))
    assert tables.losers([lost])[2].endswith("torch packed! |")


def test_differences_are_added_up_by_candidate() -> None:
    one, two = (off(R, "torch", Verdict(differ=9, beyond=beyond, most=most)) for beyond, most in ((4, 7), (0, 1)))
    assert tables.off([one, two, off(R, "openvino", Verdict(differ=1, most=1)), R]) == [
        "| not exact | layers | outputs | differ | by more than 1 |   part | at most |",
        "| --------- | -----: | ------: | -----: | -------------: | -----: | ------: |",
        "| torch     |      2 |    2000 |     18 |              4 | 0.200% |       7 |",
        "| openvino  |      1 |    1000 |      1 |              0 | 0.000% |       1 |",
    ]
    assert tables.off([R]) == []


def test_columns_that_nobody_fills_are_left_out() -> None:
    plain = replace(R, rows=tuple(row for row in R.rows if not row.blocked))
    head = tables.layers([plain], ["convjit"], summary.of_peak)[2]
    assert "vs best" in head and "vs blocked" not in head and "vs right" not in head


def test_what_failed_has_no_ratio() -> None:
    lost = replace(R, rows=(Row("convjit", "convjit", problem="wrong: NRMSE 0.1"), *R.rows[1:]))
    assert summary.ratio(lost) is None
    assert summary.of_peak(lost) is None
    assert tables.problems([lost, lost]) == ["- convjit: wrong: NRMSE 0.1 (56x56x64 3x3, 56x56x64 3x3)"]
    assert tables.losers([lost]) == []


def test_the_roofline_takes_the_nearest_memory_that_holds_everything() -> None:
    caches = {"L2": 10**5, "L3": 10**7}
    assert summary.of_limit(R, {"L2": 1e12, "L3": 2e11, "memory": 1e10}, caches) == pytest.approx(0.8)
    assert summary.of_limit(R, {"L2": 1e12, "L3": 1.25e11, "memory": 1e10}, caches) == pytest.approx(0.8)
    assert summary.of_limit(R, {"L3": 1e11, "memory": 1e10}, caches) == pytest.approx(1.0)
    assert summary.of_limit(R, {}, caches) is None


def test_rounds_that_do_not_agree() -> None:
    assert summary.unsteadiness(R) == 1
    slow = replace(R, rows=(R.rows[0], *(replace(row, seconds=1.3 * row.seconds) for row in R.rows[1:])))
    assert summary.unsteadiness(slow) == pytest.approx(1.3)
    assert summary.faster(R, slow) is R and summary.faster(slow, R) is R
    lost = replace(R, rows=R.rows[:2])
    assert summary.faster(R, lost) is R and summary.faster(lost, R) is R


def test_means_are_geometric() -> None:
    other = result(convjit=10, torch=60)
    assert summary.mean([R, other], summary.ratio) == pytest.approx(3.0)
    assert summary.mean([R], summary.speedup) is None


def test_a_network_is_added_up_when_all_of_it_is_there() -> None:
    layers = [layer for layer in load() if "vgg19" in dict(layer.uses)]
    whole = [result(layer, convjit=10, torch=20) for layer in layers]
    times = sum(dict(layer.uses)["vgg19"] for layer in layers)
    found = summary.networks(whole, ["convjit", "torch"])
    assert set(found) == {"vgg19"}
    assert found["vgg19"] == pytest.approx({"convjit": times * 1e-5, "torch": times * 2e-5})
    assert summary.networks(whole[1:], ["convjit", "torch"]) == {}
    assert summary.networks(whole, ["convjit", "openvino"]) == {}


def test_the_table_of_a_kind() -> None:
    rate = R.operations / 1e-5 / 1e9
    assert tables.layers([R], ["convjit", "torch"], summary.of_peak) == [
        "### report",
        "",
        "| layer          |   us |    GF/s | peak | limit | torch us | vs best | vs blocked | NCHW | NumPy |",
        "| -------------- | ---: | ------: | ---: | ----: | -------: | ------: | ---------: | ---: | ----: |",
        f"| 56x56x64 3x3   | 10.0 | {rate:.1f} |  80% |   80% |     15.0 |    1.50 |       0.50 | 0.80 |     - |",
        "| geometric mean |      |         |  80% |   80% |          |    1.50 |       0.50 | 0.80 |     - |",
        "",
    ]


def test_losses_are_listed_the_worst_first() -> None:
    worse = result(replace(LAYER, name="worse"), convjit=30, torch=15)
    bad = result(replace(LAYER, name="bad"), convjit=20, openvino=19)
    lines = tables.losers([R, bad, worse])
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["56x56x64 3x3 (worse)", "56x56x64 3x3 (bad)"]
    assert [line.split("|")[2].strip() for line in lines[2:]] == ["0.500", "0.950"]


def test_without_an_undisturbed_sample_a_time_is_marked() -> None:
    rows = tuple(replace(row, rounds=0) for row in R.rows)
    assert "| ~10.0 |" in tables.layers([replace(R, rows=rows)], ["convjit"], summary.of_peak)[4]


def test_a_csv_line_for_each_candidate(tmp_path: Path) -> None:
    tables.write_csv(tmp_path / "a.csv", [R])
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["candidate"] for row in rows] == [row.name for row in R.rows]
    assert rows[0] | {"us": "10.000", "kind": "report", "of_peak": "0.8000", "problem": ""} == rows[0]


def test_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    first = next(layer for layer in load() if layer.kind == "first")
    written = draw([R, result(first, convjit=10)], ["convjit", "torch"], "title", tmp_path / "a")
    assert [path.name for path in written] == ["a.png", "a.svg"]
    assert all(path.stat().st_size > 1000 for path in written)
    assert draw([], ["convjit"], "title", tmp_path / "b") == []
