"""Errors as data, and the one function that draws them.

A message is a sentence that says what is wrong, with names from the program in single quotes; the label stands beside
the caret, a note says why, a hint says what to do. The user's mistake (`ConvError`), a thing that cannot be had here
(`Unavailable`) and our own bug (`InternalError`) are different classes.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Self

from convjit.source import Span

SHOWN = 110  # characters of a source line that are drawn; longer lines are cut around the caret


@dataclass(frozen=True)
class Diagnostic:
    """One thing that is wrong: where, what, why (`notes`) and the way out (`hints`)."""

    message: str
    span: Span | None = None
    label: str = ""
    notes: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    code: str = ""


class ConvError(ValueError):
    """The user's mistake: every diagnostic that was found, drawn in the order of the text."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__(*diagnostics)
        self.diagnostics: tuple[Diagnostic, ...] = tuple(sorted(diagnostics, key=_place))

    @classmethod
    def of(
        cls,
        message: str,
        span: Span | None = None,
        label: str = "",
        note: str | Iterable[str] = (),
        hint: str | Iterable[str] = (),
    ) -> Self:
        """An error with a single diagnostic."""
        return cls(Diagnostic(message, span, label, _several(note), _several(hint)))

    def __str__(self) -> str:
        return "\n\n".join(render(d) for d in self.diagnostics)


class Unavailable(ConvError):
    """What was asked for is sound, but not to be had here: no such device, or not implemented yet."""


class InternalError(Exception):
    """A bug in convjit itself, never the user's mistake."""


def did_you_mean(word: str, choices: Iterable[str]) -> tuple[str, ...]:
    """A hint with the nearest choice, as a tuple to put into `hints`; empty when none is near."""
    by_folded = {choice.casefold(): choice for choice in choices}
    near = get_close_matches(word.casefold(), list(by_folded), n=1, cutoff=0.6)
    return tuple(f"Did you mean '{by_folded[name]}'?" for name in near)


def render(diagnostic: Diagnostic) -> str:
    """The text of one diagnostic: place and message, source line, caret and label, notes, hints.

    >>> print(render(Diagnostic("Groups must be at least 1.", hints=("Leave the clause out.",))))
    error: Groups must be at least 1.
      hint: Leave the clause out.
    """
    lines = [f"{_where(diagnostic.span)}error: {diagnostic.message}"]
    if diagnostic.span is not None:
        lines += _excerpt(diagnostic.span, diagnostic.label)
    lines += [f"  note: {note}" for note in diagnostic.notes]
    lines += [f"  hint: {hint}" for hint in diagnostic.hints]
    return "\n".join(lines)


def _several(texts: str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(texts, str):
        return (texts,) if texts else ()
    return tuple(texts)


def _place(diagnostic: Diagnostic) -> tuple[str, int]:
    span = diagnostic.span
    return (span.source.name, span.start) if span else ("", -1)


def _where(span: Span | None) -> str:
    return f"{span.source.name}:{span.line}:{span.column}: " if span else ""


def _excerpt(span: Span, label: str) -> list[str]:
    """The source line under its number, and the caret line below it."""
    line = span.source.line(span.line)
    start = span.column - 1
    length = max(1, min(span.end - span.start, len(line) - start))
    first = max(0, min(start - SHOWN // 3, len(line) - SHOWN))
    shown = line[first : first + SHOWN]
    before = shown[: start - first]
    marked = shown[start - first : start - first + length]
    blank = "".join("\t" if c == "\t" else " " * _width(c) for c in before)
    caret = "^" * max(1, sum(map(_width, marked)))
    gutter = f"{span.line:>5} | "
    return [
        gutter + "".join(map(_visible, shown)),
        f"{'':>5} | {blank}{caret} {label}".rstrip(),
    ]


def _visible(char: str) -> str:
    return char if char == "\t" or char.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _width(char: str) -> int:
    """Columns of a terminal that a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
