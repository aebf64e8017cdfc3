"""A compilation whose texts are linked: what in each of them was made from which statement of the nest, and which loops
and stages of the schedule those come from.

Statements have numbers, from 1, in the order of the text of all nests; those that stand in a loop follow it directly.
What cannot be said for sure stays unlinked.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """A part of a line. `statement` is what it is, or was made for (0: unknown); `things` are the loops and stages of the
    schedule that it names, by index."""

    text: str
    statement: int = 0
    things: tuple[int, ...] = ()


Line = tuple[Piece, ...]


@dataclass(frozen=True)
class Thing:
    """What a schedule names: a loop, a stage, an order in memory; and the statements that come from it."""

    label: str
    statements: tuple[int, ...]


@dataclass(frozen=True)
class Form:
    """One text of a compilation. `note` says how it is linked, or why it is not."""

    name: str
    title: str
    lines: tuple[Line, ...]
    note: str = ""

    @property
    def text(self) -> str:
        """The text itself, as `convjit dump` prints it."""
        return "\n".join("".join(p.text for p in line) for line in self.lines)

    @property
    def linked(self) -> int:
        """How many lines have a link."""
        return sum(any(p.statement or p.things for p in line) for line in self.lines)


@dataclass(frozen=True)
class Linked:
    """All texts. `ends[n]` is the last statement that stands in statement n (n itself where it has no body)."""

    forms: tuple[Form, ...]
    things: tuple[Thing, ...]
    ends: tuple[int, ...]


def plain(text: str, statements: dict[int, int] | None = None) -> tuple[Line, ...]:
    """The lines of a text; `statements` by line, counted from 0."""
    known = statements or {}
    return tuple((Piece(line, known.get(n, 0)),) for n, line in enumerate(text.rstrip("\n").split("\n")))
