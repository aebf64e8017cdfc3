"""Every wrong program of tests/errors gets exactly the message beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import FOLDER, message, wrong_programs


@pytest.mark.parametrize("path", wrong_programs(), ids=lambda path: path.stem)
def test_message(path: Path, request: pytest.FixtureRequest) -> None:
    expected, said = path.with_suffix(".txt"), message(path)
    assert said != "no error\n"
    if request.config.getoption("--update-golden"):
        expected.write_text(said, encoding="utf-8")
    assert expected.exists(), f"no expected text {expected}; write it with --update-golden"
    assert said == expected.read_text(encoding="utf-8")


def test_every_expected_text_has_its_program() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {path.stem for path in wrong_programs()}
