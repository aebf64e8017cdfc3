"""The fixture that every test of the command line takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.helpers import CommandLine


@pytest.fixture
def convjit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """The command line, in an empty folder, with short measurements and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONVJIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("convjit.cli.timing.SECONDS", 0.0)
    monkeypatch.setattr("convjit.cli.bench.SECONDS", 0.0)
    return CommandLine(tmp_path, capsys)
