"""Every place in the language and the spec that reports or raises something is reached by a test that reads the text.

The wrong programs of tests/errors and the tests named below are run while the lines that execute are recorded; a place
that none of them reaches fails here by file and line.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests import programs, test_base
from tests.dsl import test_parse
from tests.spec import test_build, test_certificate, test_conv, test_from_ast, test_reference

PACKAGE = Path(__file__).parent.parent / "convjit"
FILES = sorted([*(PACKAGE / "dsl").glob("*.py"), *(PACKAGE / "spec").glob("*.py"), *PACKAGE.glob("[dfs]*.py")])

Witness = Callable[[], object]


def witnesses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Witness]:
    """Everything that meets a message on purpose, and compares it."""
    return [
        *(lambda path=path: programs.message(path) for path in programs.wrong_programs()),
        *(lambda case=case: test_base.test_wrong_settings(monkeypatch, *case) for case in test_base.WRONG_SETTINGS),
        test_base.test_unknown_type,
        test_base.test_floats_have_no_limits,
        test_base.test_what_has_no_fingerprint,
        lambda: test_parse.test_files_that_cannot_be_read(tmp_path),
        test_parse.test_a_text_that_is_too_long,
        test_parse.test_mistakes_in_a_schedule_are_placed,
        test_parse.test_what_the_parser_does_not_raise,
        test_parse.test_all_mistakes_come_at_once,
        test_from_ast.test_a_tree_built_in_python_needs_no_places,
        test_conv.test_sizes_that_do_not_go_together,
        test_conv.test_channels_that_do_not_go_together,
        test_conv.test_channels_must_be_known,
        test_build.test_what_is_no_program,
        test_reference.test_wrong_arrays,
        test_reference.test_what_has_no_reference,
        test_certificate.test_what_cannot_be_certified,
        test_certificate.test_what_is_no_certificate,
        test_certificate.test_words_of_32_bits_have_exact_bounds_only,
    ]


def places(path: Path) -> list[tuple[int, int]]:
    """First and last lines of what reports or raises, in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Raise) or speaks(node)]
    return sorted({(node.lineno, node.end_lineno or node.lineno) for node in found if isinstance(node, (ast.stmt, ast.expr))})


def speaks(node: ast.AST) -> bool:
    """Whether a node makes a diagnostic."""
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    if isinstance(function, ast.Attribute):
        return function.attr == "report" or function.attr == "of" and isinstance(function.value, ast.Name)
    return isinstance(function, ast.Name) and function.id in ("Diagnostic", "known_word")


def record(run: Witness, seen: set[tuple[str, int]]) -> None:
    """Run something, adding the lines of FILES that execute."""
    names = {str(path) for path in FILES}

    def line(frame: FrameType, event: str, argument: object) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return line

    def call(frame: FrameType, event: str, argument: object) -> Any:
        return line(frame, event, argument) if frame.f_code.co_filename in names else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        run()
    finally:
        sys.settrace(before)


def test_every_message_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, int]] = set()
    for run in witnesses(tmp_path, monkeypatch):
        record(run, seen)
    missed = [
        f"{path.relative_to(PACKAGE)}:{first}"
        for path in FILES
        for first, last in places(path)
        if not any((str(path), number) in seen for number in range(first, last + 1))
    ]
    assert not missed, f"no test meets {', '.join(missed)}"


def test_places_are_found() -> None:
    assert sum(len(places(path)) for path in FILES) > 90
