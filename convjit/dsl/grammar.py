"""The LALR parser made from grammars/conv.lark, and the filter between its lexer and itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from lark import Lark, Token
from lark.lark import PostLex

DEEPEST = 200
"""Brackets inside one another; more is refused before anything recurses."""


class GluedWords(Exception):
    """Two tokens without a space between them, such as "stride" and "x" in `stridex`."""

    def __init__(self, first: Token, second: Token) -> None:
        super().__init__(f"{first}{second}")
        self.first = first
        self.second = second


class TooDeep(Exception):
    """Brackets nested deeper than `DEEPEST`."""

    def __init__(self, token: Token) -> None:
        super().__init__(str(token))
        self.token = token


class LineEnds(PostLex):
    """Drops the line ends inside ( ) and [ ], and refuses words that run together."""

    always_accept = ("_NL",)

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """The tokens that the parser sees."""
        depth = 0
        last: Token | None = None
        for token in stream:
            if last is not None and _glued(last, token):
                raise GluedWords(last, token)
            last = token
            depth += (token.type in ("LPAR", "LSQB")) - (token.type in ("RPAR", "RSQB"))
            if depth > DEEPEST:
                raise TooDeep(token)
            if token.type != "_NL" or depth <= 0:
                yield token


def grammar_text(name: str) -> str:
    """A grammar file: `convjit/grammars` of an installed package, `grammars` beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    folders = (package / "grammars", package.parent / "grammars")
    path = next((f / name for f in folders if (f / name).is_file()), folders[0] / name)
    return path.read_text(encoding="utf-8")


@cache
def parser() -> Lark:
    """The parser of whole programs ("start") and of the inside of a dataflow block ("block"), built once."""
    return Lark(
        grammar_text("conv.lark"),
        parser="lalr",
        start=["start", "block"],
        postlex=LineEnds(),
        propagate_positions=True,
        maybe_placeholders=False,
    )


def _glued(first: Token, second: Token) -> bool:
    touching = first.end_pos == second.start_pos
    return touching and _wordlike(str(first)[-1:]) and _wordlike(str(second)[:1])


def _wordlike(char: str) -> bool:
    return char.isalnum() or char == "_"
