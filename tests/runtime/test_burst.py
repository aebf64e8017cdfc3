"""Bursts: what is counted, what is left out."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from convjit.runtime.burst import LEAST, Burst, burst


class Clock:
    """A clock that only calls move, and the switches that they meet."""

    def __init__(self, costs: Iterator[tuple[float, int]]) -> None:
        self.now, self.switches, self.calls = 0.0, 0, 0
        self.costs = costs

    def call(self) -> None:
        seconds, switches = next(self.costs)
        self.now += seconds
        self.switches += switches
        self.calls += 1


def burst_of(
    monkeypatch: pytest.MonkeyPatch, costs: Iterator[tuple[float, int]], seconds: float
) -> tuple[Burst, Clock]:
    clock = Clock(costs)
    monkeypatch.setattr("convjit.runtime.burst.time.perf_counter", lambda: clock.now)
    monkeypatch.setattr("convjit.runtime.burst._switches", lambda: clock.switches)
    return burst(clock.call, seconds), clock


def forever(*pattern: tuple[float, int]) -> Iterator[tuple[float, int]]:
    while True:
        yield from pattern


def test_the_median_of_undisturbed_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = burst_of(monkeypatch, forever((1e-3, 0), (2e-3, 0), (3e-3, 0), (50e-3, 1)), 1.0)
    assert found.median == pytest.approx(2e-3)
    assert found.least == pytest.approx(1e-3)
    assert found.disturbed == pytest.approx(found.samples / 4, abs=1)
    assert found.clean


def test_long_calls_have_at_least_three_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    found, clock = burst_of(monkeypatch, forever((1.0, 0)), 0.1)
    assert (found.samples, clock.calls) == (LEAST, LEAST + 1)


def test_short_calls_are_timed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    found, clock = burst_of(monkeypatch, forever((1e-6, 0)), 1e-2)
    assert found.median == pytest.approx(1e-6)
    assert clock.calls > 15 * found.samples


def test_it_goes_on_until_enough_samples_are_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    costs = iter([(1.0, 0), *[(2.0, 1)] * 3, *[(1.0, 0)] * 3])
    found, _ = burst_of(monkeypatch, costs, 5.0)
    assert (found.samples, found.disturbed, found.median) == (6, 3, 1.0)


def test_nothing_clean_within_three_times_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found, clock = burst_of(monkeypatch, forever((0.2, 1), (0.1, 1)), 0.1)
    assert not found.clean
    assert found.median == found.least == pytest.approx(0.1)
    assert clock.now < 1


def test_a_real_call() -> None:
    assert gc.isenabled()
    found = burst(lambda: sum(range(1000)), 2e-3)
    assert gc.isenabled()
    assert 0 < found.least <= found.median < 1e-2


def test_an_error_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        burst(lambda: 1 / 0, 1e-3)
    assert gc.isenabled()
