"""Where clauses begin and end in a text that does not parse: enough to cross one out and read on.

This looks at brackets, line ends and ";" only. It never fails, whatever the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

CLAUSES = (
    "input", "weight", "bias", "output", "residual", "param", "stride", "dilation", "groups", "pad", "compute",
    "algorithm", "error", "requantize", "then", "dataflow", "target", "threads",
)  # fmt: skip
"""The words that begin a clause."""

CLOSING = {"(": ")", "[": "]", "{": "}"}
PIECE = re.compile(r"#[^\n]*|[()\[\]{};]|\r?\n")
NEXT_CLAUSE = re.compile(rf"\s*(?:\}}|(?:{'|'.join((*CLAUSES, 'conv', 'let'))})(?:[ \t]+[\w(]|[ \t]*\r?\n))")


@dataclass(frozen=True)
class Clause:
    """The characters `start` to `end` between separators.

    `closes` is where a block that begins with this clause ends (behind its brace). `unclosed` is the place of a round
    or square bracket that is still open at `end`.
    """

    start: int
    end: int
    closes: int | None = None
    unclosed: int | None = None


@dataclass
class _Scan:
    """The state of one walk over the text."""

    clauses: list[Clause] = field(default_factory=list)
    brackets: list[int] = field(default_factory=list)
    blocks: list[tuple[int, int]] = field(default_factory=list)  # (index of the head's clause, place of the brace)
    start: int = 0

    def end_clause(self, at: int, behind: int) -> None:
        unclosed = self.brackets[-1] if self.brackets else None
        self.clauses.append(Clause(self.start, at, None, unclosed))
        self.brackets.clear()
        self.start = behind

    def close_block(self, behind: int) -> None:
        if self.blocks:
            head, _ = self.blocks.pop()
            clause = self.clauses[head]
            self.clauses[head] = Clause(clause.start, clause.end, behind, clause.unclosed)


@dataclass(frozen=True)
class Outline:
    """The clauses of a text, and the places of braces that are never closed, outermost first."""

    clauses: tuple[Clause, ...]
    open_braces: tuple[int, ...]

    def at(self, offset: int) -> Clause:
        """The clause that an offset lies in, its end included."""
        return next((c for c in self.clauses if offset <= c.end), self.clauses[-1])

    def swallowed_before(self, offset: int) -> Clause | None:
        """The first clause before `offset` with a bracket that is never closed."""
        return next((c for c in self.clauses if c.unclosed is not None and c.end <= offset), None)


def outline(text: str) -> Outline:
    """Split a text into clauses."""
    scan = _Scan()
    for match in PIECE.finditer(text):
        _step(scan, text, match)
    scan.end_clause(len(text), len(text))
    return Outline(tuple(scan.clauses), tuple(brace for _, brace in scan.blocks))


def _step(scan: _Scan, text: str, match: re.Match[str]) -> None:
    piece, at, behind = match[0], match.start(), match.end()
    if piece in ("(", "["):
        scan.brackets.append(at)
    elif piece in (")", "]"):
        if scan.brackets and CLOSING[text[scan.brackets[-1]]] == piece:
            scan.brackets.pop()
    elif piece in (";", "{", "}"):
        scan.end_clause(at, behind)
        if piece == "{":
            scan.blocks.append((len(scan.clauses) - 1, at))
        elif piece == "}":
            scan.close_block(behind)
    elif piece.endswith("\n") and (not scan.brackets or NEXT_CLAUSE.match(text, behind)):
        scan.end_clause(at, behind)
