"""From lark's tree to the syntax tree: the lines of a dataflow block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lark import Token, Tree

from convjit.dsl import ast
from convjit.dsl.build_expr import WHOLE, ExprBuilder, Item, tree_of
from convjit.errors import ConvError
from convjit.source import Span


class ScheduleBuilder(ExprBuilder):
    """Adds the rules of schedules."""

    def _loop(self, item: Item) -> ast.LoopToken:
        token = tree_of(item).children[0]
        head, _, kind = str(token).partition(":")
        head, _, step = head.partition("/")
        axis, _, tap = head.strip("{}").partition("+")
        if len(step) > 7 or step and not 1 <= int(step) <= WHOLE:
            raise ConvError.of(f"A loop cannot step by {step}.", self.span(token), f"1 to {WHOLE}")
        return ast.LoopToken(
            axis, int(step) if step else None, kind or None, tap or None, span=self.span(token)
        )  # fmt: skip

    def _stage(self, tree: Tree[Token]) -> ast.StageToken:
        name, *rest = tree.children
        level = next((str(t) for t in rest if isinstance(t, Token)), "registers")
        details = [d for t in rest if isinstance(t, Tree) and t.data == "detail" for d in self._detail(t)]
        copies = [t for t in rest if isinstance(t, Tree) and t.data == "copy"]
        copy = tuple(self._loop(t) for tree in copies for t in tree.children)
        return ast.StageToken(str(name), level, copy=copy, **dict(details), span=self.span(tree))

    def _detail(self, tree: Tree[Token]) -> list[tuple[str, Any]]:
        word, value = tree.children
        name = {"as": "as_type"}.get(str(word), str(word))
        return [(name, str(value) if name in ("as_type", "by") else self.whole(value))]

    def _pack(self, tree: Tree[Token]) -> ast.Pack:
        name, *rest = tree.children
        loops = tuple(self._loop(t) for t in rest if isinstance(t, Tree))
        words = [str(t) for t in rest if isinstance(t, Token)]  # nothing, or `as` and the type
        return ast.Pack(str(name), loops, words[-1] if words else None, span=self.span(tree))

    def _fuse(self, tree: Tree[Token]) -> ast.Fuse:
        name, axes = tree.children
        return ast.Fuse(str(name), tuple(str(axes).split(".")), span=self.span(tree))

    def _prefetch(self, tree: Tree[Token]) -> ast.Prefetch:
        name, loop, distance = tree.children
        return ast.Prefetch(str(name), self._loop(loop), self.whole(distance), span=self.span(tree))

    def _launch(self, tree: Tree[Token]) -> ast.Launch:
        options = [tree_of(t).children for t in tree.children]
        pairs = tuple((str(o[0]), self.whole(o[1]) if len(o) == 2 else None) for o in options)
        return ast.Launch(pairs, span=self.span(tree))

    def _loops(self, tree: Tree[Token]) -> ast.Loops:
        items = tuple(
            self._stage(tree_of(t)) if tree_of(t).data == "stage" else self._loop(t) for t in tree.children
        )
        return ast.Loops(items, span=self.span(tree))

    def block(self, tree: Tree[Token], phase: str | None = None, span: Span | None = None) -> ast.ScheduleBlock:
        """The lines of a dataflow block."""
        read = [self.kept(LINES[str(t.data)], t) for t in map(tree_of, tree.children)]
        lines = tuple(line for line in read if line is not None)
        return ast.ScheduleBlock(phase, lines, span=span or self.span(tree))

    def _schedule(self, tree: Tree[Token]) -> ast.ScheduleBlock:
        *phase, block = tree.children
        return self.block(tree_of(block), str(phase[0]) if phase else None, self.span(tree))


LINES: dict[str, Callable[[ScheduleBuilder, Tree[Token]], ast.Line]] = {
    "loops": ScheduleBuilder._loops,
    "pack": ScheduleBuilder._pack,
    "fuse": ScheduleBuilder._fuse,
    "prefetch": ScheduleBuilder._prefetch,
    "launch": ScheduleBuilder._launch,
}
