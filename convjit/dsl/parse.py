"""From text to the syntax tree.

A text with syntax mistakes is read to its end all the same: the clause that a mistake lies in is crossed out (blanks
take its place, so that nothing moves) and the text is parsed again, until it parses or too much is wrong with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike, fspath

from lark import Token, Tree
from lark.exceptions import LarkError

from convjit.dsl import ast
from convjit.dsl.build import Builder
from convjit.dsl.clauses import Clause, Outline, outline
from convjit.dsl.grammar import GluedWords, TooDeep, parser
from convjit.dsl.mistakes import diagnose, place
from convjit.errors import ConvError, Diagnostic
from convjit.source import Source

ITEM = re.compile(r"(conv|let)\s")
MOST_ERRORS = 30
LONGEST = 2**20  # characters of a program


@dataclass(frozen=True)
class Reading:
    """What could be read of a text, and what is wrong with the rest. A convolution with a crossed-out clause is
    marked as damaged, so that nothing is said about what it may lack."""

    program: ast.Program
    diagnostics: tuple[Diagnostic, ...]


def parse(text: str, name: str = "<text>") -> ast.Program:
    """The syntax tree of a program; `ConvError` with every syntax mistake of the text."""
    reading = read(Source(text, name))
    if reading.diagnostics:
        raise ConvError(*reading.diagnostics)
    return reading.program


def parse_schedule(text: str, name: str = "<schedule>") -> ast.ScheduleBlock:
    """The lines of a schedule: what stands between the braces of `dataflow { … }`."""
    source = Source(text, name)
    tree, diagnostics, _ = _tree_of(source, "block")
    builder = Builder(source)
    block = builder.block(tree)
    if diagnostics or builder.diagnostics:
        raise ConvError(*diagnostics, *builder.diagnostics)
    return block


def read(source: Source) -> Reading:
    """As much of a program as can be read."""
    tree, diagnostics, crossed = _tree_of(source, "start")
    builder = Builder(source, tuple(crossed))
    program = builder.program(tree)
    return Reading(program, (*diagnostics, *builder.diagnostics))


def read_source(path: str | PathLike[str]) -> Source:
    """The text of a file (UTF-8); `ConvError` when there is none or it is no text."""
    name = fspath(path)
    try:
        with open(name, encoding="utf-8-sig", newline="") as file:
            return Source(file.read(), name)
    except UnicodeDecodeError as error:
        raise ConvError.of(f"'{name}' is not a text in UTF-8: byte {error.start} does not belong there.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConvError.of(f"'{name}' cannot be read: {reason}.") from None


def _tree_of(source: Source, start: str) -> tuple[Tree[Token], list[Diagnostic], list[int]]:
    """The tree of the text without its mistaken clauses, the mistakes, and where clauses were crossed out."""
    if len(source.text) > LONGEST:
        raise ConvError.of(f"The program has {len(source.text)} characters, more than {LONGEST}.")
    text, diagnostics, crossed = source.text, list[Diagnostic](), list[int]()
    while True:
        try:
            return parser().parse(text, start=start), diagnostics, crossed
        except (LarkError, GluedWords, TooDeep) as error:
            lines, at = outline(text), place(error, source)
            diagnostics.append(diagnose(error, source, lines, start))
        repaired = _repair(text, lines, at)
        if not repaired.strip() or repaired == text or len(diagnostics) >= MOST_ERRORS:
            raise ConvError(*diagnostics)
        text, crossed = repaired, [*crossed, at]


def _repair(text: str, lines: Outline, at: int) -> str:
    """The text without the mistake at `at`; everything behind it stays where it is."""
    swallowed = lines.swallowed_before(at)
    if swallowed is not None:
        return _cross_out(text, swallowed, at)
    if at >= len(text.rstrip()) and lines.open_braces:
        return text + "\n}"
    if lines.open_braces and ITEM.match(text, at) and text[at - 1].isspace():
        return text[: at - 1] + "}" + text[at:]
    return _cross_out(text, lines.at(at), at)


def _cross_out(text: str, clause: Clause, at: int) -> str:
    """Blanks for a clause (a head takes its whole block with it), or for one character where no clause is."""
    start, end = clause.start, clause.closes or clause.end
    if not text[start:end].strip():
        start, end = at, at + 1
    return text[:start] + "".join(c if c == "\n" else " " for c in text[start:end]) + text[end:]
