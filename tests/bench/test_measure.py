"""Measuring a layer: turns, failures, deadlines; libraries that are played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import pytest

from bench.layers import Layer
from bench.measure import LEAST_ROUNDS, Settings, measure
from bench.problem import F32
from convjit import reference
from convjit.api import read
from convjit.bench.peak import Types
from convjit.bench.request import Job
from convjit.bench.workers import Failed, Remote
from convjit.runtime.burst import Burst

LAYER = Layer("tiny", 1, 4, 8, (5, 5), (3, 3), 1, 1, (1, 1))


class Played:
    """A library that computes everything right, in so many seconds; `failing` says what goes wrong."""

    def __init__(self, library: str, names: Mapping[str, float], log: list[str]) -> None:
        self.library, self.names, self.log = library, names, log
        self.failing: Callable[[str, str], Failed | None] = lambda method, name: None
        self.job: Job | None = None

    def ask(self, method: str, *arguments: Any) -> Any:
        name = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        if failure := self.failing(method, name):
            raise failure
        return getattr(self, method)(*arguments)

    def prepare(self, job: Job) -> dict[str, tuple[bool, str]]:
        self.job = job
        return {name: ("blocked" in name, "") for name in self.names}

    def result(self, name: str) -> str:
        assert self.job
        ((spec, _),) = read(self.job.program).values()
        given = {t.name: np.load(f"{self.job.folder}/{t.name}.npy") for t in spec.arguments}
        np.save(f"{self.job.folder}/result.npy", reference(spec, **given).transpose(0, 3, 1, 2).astype(np.float32))
        return f"{self.job.folder}/result.npy"

    def burst(self, name: str, seconds: float) -> Burst:
        self.log.append(name)
        return Burst(self.names[name], self.names[name], 10, 1)

    def peak(self, target: str, threads: int, types: tuple[Types, ...]) -> float:
        assert types == F32.peaks
        self.log.append("peak")
        return 1e9 + len(self.log)

    def forget(self) -> None:
        self.log.append(f"forget {self.library}")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def played(log: list[str]) -> dict[str, Played]:
    ours = Played("convjit", {"convjit": 1e-5, "convjit nchw": 2e-5}, log)
    return {"convjit": ours, "torch": Played("torch", {"torch": 3e-5, "torch blocked": 4e-5}, log)}


def measured(played: Mapping[str, Played], rounds: int = 3, until: float = np.inf) -> Any:
    remotes = cast(dict[str, Remote], played)
    return measure(LAYER, remotes, Settings(0.1, rounds, "cpu:scalar", 1, frozenset({"torch"})), until)


def test_everybody_has_a_turn_in_every_round(played: dict[str, Played], log: list[str]) -> None:
    result = measured(played)
    turns = [name for name in log if "forget" not in name]
    names = {"peak", "convjit", "convjit nchw", "torch", "torch blocked"}
    assert [set(turns[i : i + 5]) for i in (0, 5, 10)] == [names] * 3
    assert len({turns[i + 1] for i in (0, 5, 10)}) == 3, "nobody is always first"
    assert log[-2:] == ["forget convjit", "forget torch"]
    assert [(row.name, row.seconds, row.rounds, row.disturbed) for row in result.rows] == [
        ("convjit", 1e-5, 3, 0.1),
        ("convjit nchw", 2e-5, 3, 0.1),
        ("torch", 3e-5, 3, 0.1),
        ("torch blocked", 4e-5, 3, 0.1),
    ]
    assert [(row.blocked, row.limited) for row in result.rows[1:]] == [(False, True), (False, False), (True, False)]
    assert all(row.verdict.nrmse < 1e-6 for row in result.rows)
    assert result.peak == max(result.peaks) and len(result.peaks) == 3


def test_rounds_end_in_time(played: dict[str, Played]) -> None:
    assert measured(played, rounds=9, until=0.0).ours.rounds == LEAST_ROUNDS


def test_a_candidate_that_fails_is_left_out(played: dict[str, Played], log: list[str]) -> None:
    played["torch"].failing = lambda method, name: (
        Failed("RuntimeError: no") if (method, name) == ("burst", "torch") else None
    )
    result = measured(played)
    assert {row.name: row.problem for row in result.rows if row.problem} == {"torch": "RuntimeError: no"}
    assert log.count("torch blocked") == 3


def test_a_library_that_dies_is_left_out(played: dict[str, Played], log: list[str]) -> None:
    deaths = [Failed("its process ended", died=True)]
    played["torch"].failing = lambda method, name: deaths.pop() if method == "burst" and deaths else None
    result = measured(played)
    assert {row.name for row in result.rows if row.problem == "its process ended"} == {"torch", "torch blocked"}
    assert "torch" not in log and "torch blocked" not in log
    assert result.row("convjit nchw").rounds == 3


@pytest.mark.parametrize("method", ["prepare", "result"])
def test_who_cannot_begin_is_left_out(played: dict[str, Played], method: str) -> None:
    played["torch"].failing = lambda asked, name: Failed("ImportError: gone") if asked == method else None
    result = measured(played)
    assert {row.problem for row in result.rows if row.library == "torch"} == {"ImportError: gone"}
    assert result.ours.rounds == 3
    assert result.row("torch") is None


def test_a_result_of_another_shape_is_wrong(played: dict[str, Played], monkeypatch: pytest.MonkeyPatch) -> None:
    def flat(name: str) -> str:
        path = Played.result(played["torch"], name)
        np.save(path, np.load(path).ravel())
        return path

    monkeypatch.setattr(played["torch"], "result", flat)
    assert {row.problem for row in measured(played).rows[2:]} == {"wrong: its shape is (200,)"}


def test_without_a_peak_there_is_no_share(played: dict[str, Played]) -> None:
    played["convjit"].failing = lambda method, name: Failed("no") if method in ("peak", "forget") else None
    result = measured(played)
    assert (result.peak, result.peaks) == (0.0, ())
