"""Peaks: the highest of what several types of products reach."""

from __future__ import annotations

import pytest

from convjit.bench import peak
from convjit.bench.peak import BYTES, FLOATS, highest
from convjit.machine.machine import Machine
from convjit.runtime.peak import Peak


def test_the_highest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"u8": 1e9, "i16": 3e9}
    asked = []

    def measured(machine: Machine, types: tuple[str, str, str], threads: int) -> Peak | None:
        asked.append((machine.name, threads))
        return Peak(rates[types[0]], "played") if types[0] in rates else None

    monkeypatch.setattr(peak, "measure_now", measured)
    assert highest("cpu:avx2", 2, BYTES) == 3e9
    assert highest("cpu:avx2", 2, FLOATS) == 0.0
    assert set(asked) == {("cpu:avx2", 2)}


def test_something_is_measured() -> None:
    assert 1e8 < highest("cpu:scalar", 1, BYTES) < 1e13
