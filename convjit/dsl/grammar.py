"""The LALR parser made from grammars/conv.lark, and the filter between its lexer and itself."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import lark
from lark import Lark, Token
from lark.grammar import Rule
from lark.lark import PostLex
from lark.lexer import TerminalDef

from convjit.fingerprint import fingerprint

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


def grammar_file(name: str) -> Path:
    """A grammar file: in `convjit/grammars` of an installed package, in `grammars` beside the package in a checkout."""
    package = Path(__file__).resolve().parent.parent
    folders = (package / "grammars", package.parent / "grammars")
    return next((folder / name for folder in folders if (folder / name).is_file()), folders[-1] / name)


@cache
def parser() -> Lark:
    """The parser of whole programs ("start") and of the inside of a dataflow block ("block"), made once.

    Its tables are read from conv.tables where that file was written for this grammar by this version of lark (about
    10 ms), and computed otherwise (about 100 ms).
    """
    return stored_parser() or computed_parser()


def computed_parser() -> Lark:
    """The parser, from the grammar alone."""
    return Lark(
        grammar_file("conv.lark").read_text(encoding="utf-8"),
        parser="lalr",
        start=["start", "block"],
        postlex=LineEnds(),
        propagate_positions=True,
        maybe_placeholders=False,
    )


def stored_parser() -> Lark | None:
    """The parser, from tables that fit; None where there are none."""
    path = grammar_file("conv.tables")
    if not path.is_file():
        return None
    head, _, tables = path.read_bytes().partition(b"\n")
    if head.decode("ascii", "replace") != stamp():
        return None
    load: Callable[..., Lark] = Lark._load_from_dict
    return load(*pickle.loads(tables), postlex=LineEnds())


def write_tables() -> None:
    """Write conv.tables; to be done after every change of the grammar (`python -m convjit.dsl.grammar`)."""
    data, memo = computed_parser().memo_serialize([TerminalDef, Rule])
    del data["options"]["postlex"]  # a class of ours; the rest is numbers and words
    tables = pickle.dumps((data, memo), protocol=4)
    grammar_file("conv.lark").with_name("conv.tables").write_bytes(stamp().encode() + b"\n" + tables)


def stamp() -> str:
    """What tables must have been made from to fit."""
    return f"{lark.__version__} {fingerprint(grammar_file('conv.lark').read_bytes())}"


def _glued(first: Token, second: Token) -> bool:
    touching = first.end_pos == second.start_pos
    return touching and wordlike(str(first)[-1:]) and wordlike(str(second)[:1])


def wordlike(char: str) -> bool:
    """Whether a character can stand inside a word or a number."""
    return char.isalnum() or char == "_"


if __name__ == "__main__":
    write_tables()
