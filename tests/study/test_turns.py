"""Timing in turns: what fits, what is left out, and the median over rounds."""

from __future__ import annotations

import pytest

from convjit.study.turns import CALLS, ROUNDS, Turn, fit, in_turns


class Time:
    """A clock that only calls move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def turn(self, once: float, kept: bool = False) -> Turn:
        def burst(seconds: float) -> float:
            self.now += max(seconds, CALLS * once)
            return once + self.now * 1e-6

        return Turn(burst, once, kept)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr("convjit.study.turns.time.perf_counter", lambda: made.now)
    return made


def test_everything_that_fits_is_timed_in_every_round(clock: Time) -> None:
    heard: list[int] = []
    turns = {"slow": clock.turn(0.1), "fast": clock.turn(0.001)}
    times = in_turns(turns, 100.0, lambda: heard.append(1))
    assert len(heard) == 2 * ROUNDS
    assert times == pytest.approx({"slow": 0.1, "fast": 0.001}, abs=1e-4)


def test_rounds_end_before_the_time_does(clock: Time) -> None:
    in_turns({"a": clock.turn(1.0)}, 2.9 * CALLS)
    assert clock.now == pytest.approx(2 * CALLS)


def test_the_slowest_are_left_out_first_unless_they_are_kept(clock: Time) -> None:
    turns = {"b": clock.turn(0.2), "base": clock.turn(0.5, kept=True), "a": clock.turn(0.1), "c": clock.turn(0.3)}
    assert list(fit(turns, CALLS * 0.85)) == ["b", "base", "a"]
    assert list(fit(turns, 0.0)) == ["base"]
    assert set(in_turns(turns, 0.0)) == {"base"}


def test_nothing_takes_no_time() -> None:
    assert in_turns({}, 1.0) == {}
