"""Some random cases in every run, many with `-m sweep`; see `fuzz.py`."""

from __future__ import annotations

from collections import Counter

import pytest

from convjit.machine.registry import get
from tests.fuzz import outcomes


def tally(seed: int, count: int, target: str) -> Counter[str]:
    """Outcomes by their first word; every wrong case is shown."""
    found: Counter[str] = Counter()
    for case, outcome in outcomes(seed, count, get(target)):
        assert not outcome.startswith("WRONG"), f"{case!r}\n  {outcome}"
        found[outcome.split()[0]] += 1
    return found


@pytest.mark.parametrize("target", ["cpu:scalar", "cpu:avx2", "cpu:avx512", "cuda:sm_80"])
@pytest.mark.parametrize("seed", [7000, 7100])
def test_some(seed: int, target: str) -> None:
    assert tally(seed, 6, target)["exact"] >= 2


@pytest.mark.sweep
@pytest.mark.parametrize("target", ["cpu:scalar", "cpu:avx2", "cpu:avx512", "cuda:sm_75", "cuda:sm_90a"])
@pytest.mark.parametrize("seed", range(10_000, 10_500, 50))
def test_many(seed: int, target: str) -> None:
    assert tally(seed, 50, target)["exact"] >= 20
