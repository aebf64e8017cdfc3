"""From lark's tree to the syntax tree: places, words and expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lark import Token, Tree

from convjit.dsl import ast
from convjit.errors import ConvError, Diagnostic
from convjit.source import Source, Span

T = TypeVar("T")
Item = Token | Tree[Token]
DEEPEST = 100
"""Operators inside one another in an expression."""
WHOLE = 10**6
"""Greatest plain number inside a schedule."""
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


def tree_of(item: Item) -> Tree[Token]:
    """The type checker's view of a child that the grammar makes a tree."""
    assert isinstance(item, Tree)
    return item


class ExprBuilder:
    """Builds the nodes of one source.

    Where a number or an expression is out of bounds, the line or the clause is left out and `diagnostics` say why.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []

    def kept(self, build: Callable[[Any, Tree[Token]], T], tree: Tree[Token]) -> T | None:
        """What `build` makes of a tree, or None and a diagnostic."""
        try:
            return build(self, tree)
        except ConvError as error:
            self.diagnostics += error.diagnostics
            return None

    # --- leaves

    def span(self, item: Item) -> Span:
        """Where a token or a tree stands; a tree without tokens stands at the start."""
        if isinstance(item, Token):
            return Span(self.source, item.start_pos or 0, item.end_pos or 0)
        if item.meta.empty:
            return Span(self.source, 0, 0)
        return Span(self.source, item.meta.start_pos, item.meta.end_pos)

    def word(self, token: Item) -> ast.Word:
        """A name with its place."""
        return ast.Word(str(token), span=self.span(token))

    def whole(self, token: Item) -> int:
        """A plain number of a schedule."""
        text = str(token)
        if len(text) > 7 or int(text) > WHOLE:
            raise ConvError.of("The number is too large.", self.span(token), f"at most {WHOLE}")
        return int(text)

    # --- expressions

    def expr(self, item: Item, depth: int = 0) -> ast.Expr:
        """The expression that a tree stands for; `ConvError` when it is nested too deeply."""
        tree, span = tree_of(item), self.span(item)
        if depth > DEEPEST:
            raise ConvError.of(
                "The expression is nested too deeply.", span, f"deeper than {DEEPEST} operators",
                hint="Give a part of it a name with 'let'.",
            )  # fmt: skip
        first, *rest = tree.children
        match tree.data:
            case "number":
                return ast.Number(str(first), span=span)
            case "name":
                return ast.Name(str(first), span=span)
            case "neg":
                return ast.Negative(self.expr(first, depth + 1), span=span)
            case "pow":
                return ast.Power(self.expr(first, depth + 1), self._exponent(rest[0]), span=span)
        left, right = self.expr(first, depth + 1), self.expr(rest[0], depth + 1)
        return ast.Binary(OPERATORS[tree.data], left, right, span=span)

    def _exponent(self, item: Item) -> int:
        text = "".join(map(str, tree_of(item).children))
        if len(text) > 6:
            raise ConvError.of("The exponent is too large.", self.span(item), "at most 5 digits")
        return int(text)

    def signed(self, item: Item) -> ast.Expr:
        """A number with its sign, or an expression that stood in parentheses."""
        first, *rest = tree_of(item).children
        if isinstance(first, Tree):
            return self.expr(first)
        number = ast.Number(str(rest[0] if rest else first), span=self.span(item))
        return ast.Negative(number, span=self.span(item)) if rest else number
