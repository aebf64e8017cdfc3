"""docs/calibration.md: its examples run, and the numbers that they show are those that come out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "calibration.md").read_text(encoding="utf-8")


def test_the_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    scope: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(code, scope)
    printed = capsys.readouterr().out
    shown = re.search(r"compute i8 scale x (\S+), w (\S+) round half_even", PAGE)
    found = re.search(r"compute i8 scale x (\S+), w (\S+) round half_even", printed)
    assert shown and found
    assert [f"{float(n):.4g}" for n in found.groups()] == list(shown.groups())
    assert scope["y"].shape == (1, 14, 14, 64) and scope["found"].best.nrmse < 0.02
