"""The wrong programs of tests/errors, and what convjit says about them."""

from __future__ import annotations

from pathlib import Path

from convjit.dsl.parse import read_source
from convjit.errors import ConvError
from convjit.source import Source
from convjit.spec.from_ast import from_source
from convjit.spec.unsupported import refuse

FOLDER = Path(__file__).parent / "errors"


def wrong_programs() -> list[Path]:
    """One file for each mistake."""
    return sorted(FOLDER.glob("*.conv"))


def message(path: Path) -> str:
    """What is said about a program; the path is shown without its folder."""
    try:
        source = read_source(path)
        for spec in from_source(Source(source.text, path.name)).values():
            refuse(spec)
    except ConvError as error:
        return f"{type(error).__name__}\n{error}\n".replace(f"{path.parent}/", "")
    return "no error\n"
