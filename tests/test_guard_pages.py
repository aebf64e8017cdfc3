"""Nothing is read or written outside the arrays: between unmapped pages, one byte too far is a fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TARGETS = (
    "cpu:scalar",
    "cpu:avx2",
    pytest.param("cpu:avx512", marks=pytest.mark.isa("avx512f", "avx512vl", "avx512bw", "avx512dq")),
)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("suite", "calls"),
    [
        ("random", 80),
        ("sample", 120),
        ("double", 30),
        ("integers", 78),
        ("quantised", 120),
        ("short", 64),
        ("lists", 44),
        ("layouts1", 36),
        ("layouts2", 144),
        pytest.param("layouts3", 720, marks=pytest.mark.sweep),
    ],
)
def test_calls_between_unmapped_pages(target: str, suite: str, calls: int) -> None:
    command = [sys.executable, "-m", "tests.guarded_calls", target, suite]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = child.stdout.splitlines() or [""]
    assert child.returncode == 0, f"status {child.returncode} in {lines[-1]}\n{child.stderr[-2000:]}"
    assert lines[-1] == f"{calls} calls"
