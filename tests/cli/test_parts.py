"""Small parts of the command line: memory, tables, times, and what peers do wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from convjit.bench.candidate import Candidate
from convjit.bench.libraries import LIBRARIES
from convjit.cli import status, timing
from convjit.cli.memory import available, readable
from convjit.cli.show import milliseconds
from convjit.cli.table import table
from convjit.runtime.peak import Peak
from tests.cli.helpers import SMALL, CommandLine


def system(folder: Path, **files: str) -> Path:
    """A root folder with these files below proc and sys/fs/cgroup."""
    for name, text in files.items():
        path = folder / ("proc/meminfo" if name == "meminfo" else f"sys/fs/cgroup/{name.replace('_', '.')}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_memory_is_what_the_system_has_left(tmp_path: Path) -> None:
    root = system(tmp_path, meminfo="MemTotal: 999 kB\nMemAvailable:   1000 kB\n")
    assert available(root) == 1000 * 1024


def test_memory_is_what_the_control_group_allows(tmp_path: Path) -> None:
    files = {"memory_max": "5000\n", "memory_current": "4000\n", "memory_stat": "anon 100\nfile 300\n"}
    root = system(tmp_path, meminfo="MemAvailable: 1000 kB\n", **files)
    assert available(root) == 5000 - 4000 + 300


def test_memory_without_a_limit(tmp_path: Path) -> None:
    files = {"memory_max": "max\n", "memory_current": "4000\n", "memory_stat": "file 300\n"}
    assert available(system(tmp_path, **files)) == 2**47


def test_memory_where_nobody_says(tmp_path: Path) -> None:
    assert available(tmp_path) == 2**47


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**41, "2.0 TiB"), (2**60, "1024.0 PiB")]
)
def test_bytes_for_people(amount: int, text: str) -> None:
    assert readable(amount) == text


@pytest.mark.parametrize(("seconds", "text"), [(1.5, "1500.000 ms"), (2.5e-4, "0.250 ms"), (9.87e-6, "9.87 us")])
def test_times_for_people(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text


def test_tables_are_plain_elsewhere_and_drawn_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    head, rows = ("name", "n"), [("first", "1"), ("b", "22")]
    assert table(head, rows) == "name   n\nfirst  1\nb      22"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    drawn = table(head, rows)
    assert "first" in drawn and "│" in drawn


def test_errors_are_coloured_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    status.say("a.conv:1:1: error: One.\n\nerror: Two.")
    assert capsys.readouterr().err.count("\x1b[31m\x1b[1merror:\x1b[0m") == 2


def test_batches_are_long_enough_to_be_timed() -> None:
    asked = []

    def seconds_of(repeat: int) -> float:
        asked.append(repeat)
        return 1e-4

    assert timing.batch_seconds(seconds_of) == 1e-4
    assert asked[0] == 3 and asked[1] == round(timing.BATCH / 1e-4)
    assert len(asked) > timing.LEAST
    assert timing.batch_seconds(lambda repeat: 0.0) == 0.0


def test_calls_are_interleaved(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    times = timing.interleaved(calls, seconds=0.0)
    assert set(times) == {"a", "b"}
    assert "".join(order) == "ab" * (2 + timing.LEAST)


def test_one_call_is_one_call() -> None:
    count: list[int] = []
    assert timing.median_seconds(lambda: count.append(1), once=True) >= 0
    assert len(count) == 1


class Broken:
    """A library in which nothing works."""

    @staticmethod
    def builders(*_: object) -> dict[str, object]:
        raise RuntimeError("could not create a primitive\nmore")


class Wrong:
    """A library that computes something else."""

    @staticmethod
    def builders(*_: object) -> dict[str, object]:
        zeros = np.zeros((1, 4, 5, 6), np.float32)
        return {"torch": lambda: Candidate(call=lambda: zeros, result=lambda: zeros)}


def test_a_peer_that_fails(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, "torch", Broken)
    outcome = convjit("bench", convjit.file(SMALL), "--against", "torch")
    assert outcome.status == 3
    assert outcome.err == "error: torch cannot run 'small' here: could not create a primitive\n"


def test_a_peer_that_computes_something_else(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, "torch", Wrong)
    outcome = convjit("bench", convjit.file(SMALL), "--against", "torch")
    assert outcome.status == 2
    assert outcome.err == "error: 'torch' gives another result for 'small', so that times cannot be compared.\n"


def test_bench_is_for_processors(convjit: CommandLine) -> None:
    outcome = convjit("bench", convjit.file(SMALL), "--target", "cuda:sm_80")
    assert (outcome.status, outcome.err) == (3, "error: 'convjit bench' compares on CPUs only, so far.\n")


def test_a_stage_that_a_target_does_not_have(convjit: CommandLine) -> None:
    outcome = convjit("dump", convjit.file(SMALL), "--stage", "ptx", "--target", "cpu:avx2")
    assert outcome.status == 2
    assert outcome.err == (
        "error: cpu:avx2 has no stage 'ptx'.\n  note: Its stages are ast spec schedule nest kernel llvm asm.\n"
    )


def test_a_dataflow_that_is_written_out_is_named_so(convjit: CommandLine) -> None:
    text = SMALL.replace("pad same", "pad same\n    dataflow { n oh ow [y] kh kw c oc:unroll }")
    outcome = convjit("run", convjit.file(text), "--target", "cpu:scalar")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("small: the dataflow as written on cpu:scalar")


def test_types_without_an_instruction_have_no_peak(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convjit.cli.runner.measure_now", lambda *_: None)
    outcome = convjit("run", convjit.file(SMALL))
    assert outcome.out.splitlines()[-1].endswith(" GFLOP/s")


def test_the_better_of_two_peaks_is_shown(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = [Peak(1e18, "measured well"), Peak(1e9, "measured beside a neighbour")]
    monkeypatch.setattr("convjit.cli.runner.measure_now", lambda *_: peaks.pop())
    outcome = convjit("run", convjit.file(SMALL))
    assert outcome.out.endswith(" 0% of the peak of 1000000000.0 GFLOP/s, measured well\n")
