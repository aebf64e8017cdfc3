"""The command line, called in this process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from convjit.cli import main

SMALL = """\
conv small {
    input  x : f32[N=1, H=5, W=6, C=3]
    weight w : f32[KH=3, KW=3, OC=4, IC=3]
    output y : f32[N, OH, OW, OC]
    pad same
}
"""

OPEN = """\
conv open {
    input  x : f32[N=?, H=?, W=6, C=3]
    weight w : f32[KH=3, KW=3, OC=4, IC=3]
}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    status: int
    out: str
    err: str


class CommandLine:
    """`convjit`, with files in a folder of its own."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.capsys = capsys

    def __call__(self, *words: object) -> Outcome:
        status = main([str(word) for word in words])
        out, err = self.capsys.readouterr()
        assert "Traceback" not in out + err
        return Outcome(status, out, err)

    def file(self, text: str, name: str = "a.conv") -> Path:
        """A program as a file."""
        path = self.folder / name
        path.write_text(text)
        return path
