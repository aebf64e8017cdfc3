"""`convjit report`: writes a page, or says why not and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.helpers import SMALL, CommandLine
from tests.study.html_page import read


def test_a_page_for_every_block(convjit: CommandLine, tmp_path: Path) -> None:
    path = convjit.file(SMALL + SMALL.replace("small", "second"))
    page = tmp_path / "page.html"
    outcome = convjit("report", path, "-o", page, "--target", "cpu:scalar")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith(f"{page}: small, second on cpu:scalar, ")
    reader = read(page.read_text(encoding="utf-8"))
    assert f"convjit report {path} -o {page} --target cpu:scalar" in reader.text()
    assert convjit("report", path, "-o", page, "--target", "cpu:scalar", "--block", "second").status == 0
    assert [t for tag, t in read(page.read_text(encoding="utf-8")).texts if tag == "title"] == ["second on cpu:scalar"]


def test_the_page_is_called_report_unless_said(convjit: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert convjit("report", convjit.file(SMALL), "--target", "cpu:scalar").out.startswith("report.html: small on cpu:scalar, ")
    assert (tmp_path / "report.html").exists()


def test_what_cannot_be_written(convjit: CommandLine, tmp_path: Path) -> None:
    path = convjit.file(SMALL)
    missing = tmp_path / "no" / "a.html"
    outcome = convjit("report", path, "-o", missing)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == f"error: '{missing}' cannot be written: there is no folder '{missing.parent}'.\n"
    outcome = convjit("report", path, "-o", tmp_path)
    assert (outcome.status, outcome.err) == (2, f"error: '{tmp_path}' cannot be written: it is a folder.\n")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("nothing.conv",), 2, "error: There is no file 'nothing.conv'."),
        (("FILE", "--block", "smal"), 2, "has no block 'smal'"),
        (("FILE", "--target", "cpu:avx3"), 2, "cpu:avx3"),
        ((), 2, "Missing argument 'FILE'"),
    ],
)
def test_bad_input_leaves_no_page(convjit: CommandLine, tmp_path: Path, words: tuple[str, ...], status: int, message: str) -> None:
    path, page = convjit.file(SMALL), tmp_path / "page.html"
    outcome = convjit("report", *(path if w == "FILE" else w for w in words), "-o", page)
    assert outcome.status == status and message in outcome.err and outcome.out == ""
    assert not page.exists()


def test_a_program_with_a_mistake_leaves_the_old_page(convjit: CommandLine, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("old")
    outcome = convjit("report", convjit.file(SMALL.replace("KW=3", "KW=0")), "-o", page)
    assert outcome.status == 2 and outcome.err.count("error:") >= 1
    assert page.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.conv", "page.html"]
