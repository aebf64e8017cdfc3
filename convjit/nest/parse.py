"""Reading back what `str` of a nest prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

from lark import Lark, Token, Transformer, v_args
from lark.indenter import Indenter

from convjit.dsl.grammar import grammar_file
from convjit.nest.affine import Affine, Bound, Limit, number, total, var
from convjit.nest.ir import (
    Apply,
    Buffer,
    Expr,
    Grid,
    Guard,
    If,
    Index,
    Let,
    Load,
    Loop,
    MulAdd,
    Nest,
    Number,
    OpenSize,
    Par,
    Prefetch,
    Read,
    Stmt,
    Store,
    Sync,
    WorkerAxis,
)
from convjit.nest.layout import Extent, Layout

TERM = re.compile(r"([+-]?)(?:(\d+)\*)?([A-Za-z_][\w.~]*|\d+)")
CEIL = re.compile(r"(?:(-?\d+)\*)?ceil\(\((.*)\)/(\d+)\)")

Opener = Callable[[tuple[Stmt, ...]], Stmt]
"""Makes a loop, a `par` or an `if` of its body."""


def parse(text: str) -> Nest:
    """The nest that prints so. Raises lark's UnexpectedInput where the text is no nest."""
    return cast(Nest, PARSER.parse(text.rstrip() + "\n"))


class Lines(Indenter):
    """Indentation as tokens."""

    NL_type = "_NL"
    OPEN_PAREN_types: list[str] = []  # noqa: RUF012  (lark's own declaration)
    CLOSE_PAREN_types: list[str] = []  # noqa: RUF012
    INDENT_type = "_INDENT"
    DEDENT_type = "_DEDENT"
    tab_len = 8


@v_args(inline=True)
class Build(Transformer[Token, Nest]):
    """One method for a rule or a token of the grammar, in its order."""

    NAME = BUFFER = LEVEL = KIND = SYNC = ROW = str
    INT = SIGNED = int

    def start(self, name: str, *parts: object) -> Nest:
        def of(kind: Any) -> tuple[object, ...]:
            return tuple(p for p in parts if isinstance(p, kind))

        grid = cast(tuple[Grid, ...], of(Grid))
        return Nest(
            name,
            cast(tuple[Buffer, ...], of(Buffer)),
            cast(tuple[Stmt, ...], of(Stmt)),
            cast(tuple[OpenSize, ...], of(OpenSize)),
            cast(tuple[WorkerAxis, ...], of(WorkerAxis)),
            grid[0] if grid else None,
        )

    def size(self, name: str, source: str = "", add: int = 0, divisor: int = 1, _: int = 1) -> OpenSize:
        return OpenSize(name, source, add, divisor)

    workers = WorkerAxis

    def grid(self, counts: tuple[Affine, ...], threads: int, min_blocks: int = 0) -> Grid:
        return Grid(counts, threads, min_blocks)

    def buffer(self, level: str, name: str, dtype: str, dims: tuple[str, ...], *more: object) -> Buffer:
        ring = next((m for m in more if isinstance(m, int)), 1)
        layout = next((m for m in more if isinstance(m, Layout)), None)
        packed = any(isinstance(m, Token) for m in more)
        return Buffer(name, dims, dtype, level, layout, packed, ring)

    def ring(self, slots: int) -> int:
        return slots

    def layout(self, *parts: object) -> Layout:
        pad = next((p[0] for p in parts if isinstance(p, tuple) and len(p) == 1), 0)
        sizes = tuple(p for p in parts if isinstance(p, tuple) and len(p) == 2)
        order = next((p for p in parts if isinstance(p, list)), [(name, 1) for name, _ in sizes])
        return Layout(tuple(order), cast(tuple[tuple[str, Extent], ...], sizes), cast(int, pad))

    def pad(self, elements: int) -> tuple[int]:
        return (elements,)

    def order(self, *parts: tuple[str, int]) -> list[tuple[str, int]]:
        return list(parts)

    def SIZE(self, token: str) -> tuple[str, Extent]:
        name, size = token.split("=")
        return name, int(size) if size.isdigit() else size

    def PART(self, token: str) -> tuple[str, int]:
        name, _, block = token.partition("/")
        return name, int(block or 1)

    def nested(self, chain: tuple[Opener, ...], *body: Stmt) -> Stmt:
        for opener in reversed(chain):
            body = (opener(body),)
        return body[0]

    def loop(self, kind: str, name: str, low: Bound, high: Bound, step: int = 1) -> Opener:
        return lambda body: Loop(name, low, high, step, "serial" if kind == "for" else kind, body)

    def par(self, *binds: Let) -> Opener:
        return lambda body: Par(binds, body)

    def if_(self, guard: Guard) -> Opener:
        return lambda body: If(guard, body)

    def store(self, target: Load, value: Expr, *more: object) -> Store:
        return Store(target, value, whens(more), next((m for m in more if isinstance(m, str)), "loads"))

    def muladd(self, target: Load, a: Expr, b: Expr, *more: object) -> MulAdd:
        return MulAdd(target, a, b, whens(more))

    prefetch = Prefetch

    read = Read

    def let(self, digits: Let) -> Let:
        return digits

    sync = Sync

    def digits(self, *parts: object) -> Let:
        *digits, of = parts
        names, counts, steps = zip(*cast(list[tuple[str, Affine, int]], digits), strict=True)
        return Let(names, counts, steps, cast(Affine, of))

    def digit(self, name: str, count: Affine, step: int = 1) -> tuple[str, Affine, int]:
        return name, count, step

    def by(self, row: str) -> str:
        return row

    def load(self, buffer: str, *more: object) -> Load:
        slot, index = more if len(more) == 2 else (None, more[0])
        return Load(buffer, cast(tuple[Affine, ...], index), slot=cast(Affine | None, slot))

    def guarded(self, load: Load, *more: object) -> Load:
        fill = next((m for m in more if isinstance(m, (int, float))), 0.0)
        return Load(load.buffer, load.index, whens(more), fill, load.slot)

    def fill(self, value: float) -> float:
        return value

    number = Number
    guard = Guard

    def index(self, operation: str, affine: Affine) -> Index:
        return Index(affine, operation.partition(":")[2])

    def apply(self, operation: str, *args: Expr) -> Apply:
        op, dtype = operation.split(":")
        return Apply(op, args, dtype)

    def tuple_(self, *parts: object) -> tuple[object, ...]:
        return parts

    dims = low = high = chain = when = guards = affines = tuple_

    def limit(self, limit: Affine | Limit) -> Limit:
        return limit if isinstance(limit, Limit) else Limit(limit)

    def AFFINE(self, token: str) -> Affine:
        return affine(token)

    def CEIL(self, token: str) -> Limit:
        match = CEIL.fullmatch(token)
        assert match
        scale, inner, divisor = match.groups()
        return Limit(affine(inner), int(divisor), int(scale or 1))

    def VALUE(self, token: str) -> float:
        return int(token) if token.lstrip("-").isdigit() else float(token)


def whens(parts: tuple[object, ...]) -> tuple[Guard, ...]:
    """The guards among the parts of a rule."""
    return next((cast(tuple[Guard, ...], p) for p in parts if isinstance(p, tuple)), ())


def affine(text: str) -> Affine:
    """`2*kh.0+oh.0-1`."""
    terms = []
    for sign, factor, word in TERM.findall(text):
        one = number(int(word)) if word.isdigit() else var(word)
        terms.append(one * (int(f"{sign}{factor or 1}")))
    return total(terms)


PARSER = Lark(
    grammar_file("nest.lark").read_text(),
    parser="lalr",
    lexer="contextual",
    postlex=Lines(),
    transformer=Build(),
    maybe_placeholders=False,
)
