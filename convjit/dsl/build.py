"""From lark's tree to the syntax tree: one function for each rule, no meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lark import Token, Tree

from convjit.dsl import ast
from convjit.dsl.build_expr import Item, tree_of
from convjit.dsl.build_schedule import ScheduleBuilder
from convjit.source import Source, Span


class Builder(ScheduleBuilder):
    """Builds a program.

    `crossed` are the offsets where the parser already found a mistake.
    """

    def __init__(self, source: Source, crossed: tuple[int, ...] = ()) -> None:
        super().__init__(source)
        self.crossed = crossed

    # --- tensors

    def _tensor(self, tree: Tree[Token]) -> ast.Tensor:
        role, name, dtype, *rest = tree.children
        found = {str(t.data): t for t in rest if isinstance(t, Tree)}
        sparse = next((self.word(t) for t in rest if isinstance(t, Token)), None)
        in_range = found.get("in_range")
        return ast.Tensor(
            str(role),
            self.word(name),
            self.word(tree_of(dtype).children[0]),
            tuple(self._axis(t) for t in rest if isinstance(t, Tree) and t.data == "axis"),
            self._in_range(in_range) if in_range else None,
            sparse,
            self._scale(found["scale"], self.expr) if "scale" in found else None,
            self._scale(found["zero"], self.signed) if "zero" in found else None,
            span=self.span(tree),
        )

    def _param(self, tree: Tree[Token]) -> ast.Tensor:
        name, dtype, axis, *sizes = tree.children
        kind, axes = self.word(tree_of(dtype).children[0]), (self._axis(tree_of(axis)),)
        values = tuple(self.expr(t) for t in tree_of(sizes[0]).children) if sizes else ()
        return ast.Tensor("param", self.word(name), kind, axes, values=values, span=self.span(tree))

    def _axis(self, tree: Tree[Token]) -> ast.Axis:
        name, *size = tree.children
        return ast.Axis(str(name), self._size(size[0]) if size else None, span=self.span(tree))

    def _size(self, item: Item) -> ast.Expr | ast.Open:
        return ast.Open(span=self.span(item)) if isinstance(item, Token) else self.expr(item)

    def _in_range(self, tree: Tree[Token]) -> ast.InRange:
        low, high = tree.children
        return ast.InRange(self.signed(low), self.signed(high), span=self.span(tree))

    def _scale(self, tree: Tree[Token], read: Callable[[Item], ast.Expr]) -> ast.Expr | ast.Per:
        if len(tree.children) == 2:
            return self._per(tree.children, self.span(tree.children[0]).to(self.span(tree.children[1])))
        return read(tree.children[0])

    def _per(self, pair: Iterable[Item], span: Span) -> ast.Per:
        tensor, axis = pair
        return ast.Per(str(tensor), str(axis), span=span)

    # --- clauses

    def _sizes(self, tree: Tree[Token]) -> tuple[ast.Expr, ...]:
        return tuple(self.expr(t) for t in tree_of(tree.children[0]).children)

    def _pad(self, tree: Tree[Token]) -> ast.Pad:
        first = tree.children[0]
        if isinstance(first, Token):
            return ast.Pad(self.word(first), span=self.span(tree))
        if first.data != "padaxis":
            return ast.Pad(self.expr(first), span=self.span(tree))
        return ast.Pad(tuple(self._padaxis(tree_of(t)) for t in tree.children), span=self.span(tree))

    def _padaxis(self, tree: Tree[Token]) -> ast.Expr | ast.PadPair:
        amounts = [self.expr(t) for t in tree.children]
        return amounts[0] if len(amounts) == 1 else ast.PadPair(*amounts, span=self.span(tree))

    def _compute(self, tree: Tree[Token]) -> ast.Compute:
        dtype, *rest = tree.children
        found = [t for t in rest if isinstance(t, Tree)]
        auto = next((self.word(t) for t in rest if isinstance(t, Token)), None)
        factors = tuple(self._factor(t) for t in found if t.data == "factor")
        rounds = [self.word(t.children[0]) for t in found if t.data == "round"]
        kind = self.word(tree_of(dtype).children[0])
        return ast.Compute(kind, auto or factors, rounds[0] if rounds else None, span=self.span(tree))

    def _factor(self, tree: Tree[Token]) -> ast.Factor:
        name, *value = tree.children
        read = self._per(value, self.span(value[0]).to(self.span(value[1]))) if len(value) == 2 else self.expr(value[0])
        return ast.Factor(self.word(name), read, span=self.span(tree))

    def _algorithm(self, tree: Tree[Token]) -> ast.Algorithm:
        word, *tile = tree.children
        return ast.Algorithm(self.word(word), self.whole(tile[0]) if tile else None, span=self.span(tree))

    def _error(self, tree: Tree[Token]) -> ast.Error:
        token = tree.children[0]
        return ast.Error(ast.Number(str(token), span=self.span(token)), span=self.span(tree))

    def _then(self, tree: Tree[Token]) -> ast.Then:
        word, *arguments = tree.children
        return ast.Then(self.word(word), tuple(map(self._argument, arguments)), span=self.span(tree))

    def _argument(self, item: Item) -> ast.Expr | ast.Per | ast.Word:
        children = tree_of(item).children
        if len(children) == 2:
            return self._per(children, self.span(item))
        return self.word(children[0]) if isinstance(children[0], Token) else self.signed(children[0])

    # --- programs

    def _let(self, tree: Tree[Token]) -> ast.Let:
        name, value = tree.children
        return ast.Let(self.word(name), self.expr(value), span=self.span(tree))

    def _conv(self, tree: Tree[Token]) -> ast.Conv:
        name, *rest = tree.children
        before = len(self.diagnostics)
        read = [self.kept(CLAUSES[str(t.data)], t) for t in rest if isinstance(t, Tree)]
        clauses = tuple(clause for clause in read if clause is not None)
        transposed = any(isinstance(t, Token) for t in rest)
        span = self.span(tree)
        damaged = len(self.diagnostics) > before or any(span.start <= at <= span.end for at in self.crossed)
        return ast.Conv(self.word(name), clauses, transposed, damaged, span=span)

    def program(self, tree: Tree[Token]) -> ast.Program:
        """A whole file."""
        read = [self.kept(ITEMS[str(t.data)], t) for t in map(tree_of, tree.children)]
        items = tuple(item for item in read if item is not None)
        convs = [item.span for item in items if isinstance(item, ast.Conv) and item.span]
        outside = [at for at in self.crossed if not any(s.start <= at <= s.end for s in convs)]
        return ast.Program(items, bool(outside) or len(items) < len(read), span=self.span(tree))


def _word_clause(make: Callable[..., ast.Clause]) -> Callable[[Builder, Tree[Token]], ast.Clause]:
    return lambda b, tree: make(b.word(tree.children[0]), span=b.span(tree))


def _value_clause(make: Callable[..., ast.Clause]) -> Callable[[Builder, Tree[Token]], ast.Clause]:
    return lambda b, tree: make(b.expr(tree.children[0]), span=b.span(tree))


CLAUSES: dict[str, Callable[[Builder, Tree[Token]], ast.Clause]] = {
    "tensor": Builder._tensor,
    "param": Builder._param,
    "stride": lambda b, tree: ast.Stride(b._sizes(tree), span=b.span(tree)),
    "dilation": lambda b, tree: ast.Dilation(b._sizes(tree), span=b.span(tree)),
    "groups": _value_clause(ast.Groups),
    "pad": Builder._pad,
    "compute": Builder._compute,
    "algorithm": Builder._algorithm,
    "error": Builder._error,
    "requantize": _word_clause(ast.Requantize),
    "then": Builder._then,
    "target": _word_clause(ast.Target),
    "threads": _value_clause(ast.Threads),
    "dataflow": _word_clause(ast.Dataflow),
    "schedule": Builder._schedule,
}

ITEMS: dict[str, Callable[[Builder, Tree[Token]], ast.Let | ast.Conv]] = {"let": Builder._let, "conv": Builder._conv}
