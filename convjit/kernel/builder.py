"""Writing ops: scopes, what was already computed in them, and where hoisted ops go.

A scope is a place where variables get values: the function, a loop, a branch, a `Let`. Ops that depend on nothing
further in go into its preamble, so that hoisting costs nothing: an address is built one step per scope.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field

from convjit.errors import ConvError
from convjit.kernel.ir import Attribute, Op, Operand, Stmt, Type

Lines = list["Stmt | Lines"]


@dataclass
class Scope:
    """`bindings` are the variables that get their value here; `known` what was computed here, by what it is.
    `number` tells it from every other scope of the function, `origin` is the statement that opened it."""

    preamble: Lines
    number: int = 0
    bindings: dict[str, Operand] = field(default_factory=dict)
    known: dict[Hashable, str] = field(default_factory=dict)
    origin: int = 0


class Builder:
    """The ops of one function, in order. `numbers` are those of the nest's statements, by their identity, where it is to
    be known what was written for which."""

    def __init__(self, index: Type, numbers: Mapping[int, int] | None = None) -> None:
        self.index = index
        self.numbers = numbers or {}
        self.origin = 0
        self.count = self.opened = 0
        first: Lines = []
        self.lines: Lines = [first]
        self.scopes = [Scope(first)]
        self.before_edges: Callable[[], None] = lambda: None
        """Called before a body opens and before it closes: what waits belongs to the body it was given in."""

    def fresh(self) -> str:
        """A new name."""
        self.count += 1
        return f"%{self.count}"

    def op(self, name: str, kind: Type, /, *args: Operand, **attributes: Attribute) -> str:
        """An op with a result, at the end of what is written."""
        result = self.fresh()
        self.lines.append(Op(result, name, kind, args, tuple(attributes.items()), self.origin))
        return result

    def op_in(self, lines: Lines, name: str, kind: Type, *args: Operand) -> str:
        """An op with a result, at the end of these lines: a preamble."""
        result = self.fresh()
        lines.append(Op(result, name, kind, args, (), self._opener(lines) if self.numbers else 0))
        return result

    def do(self, name: str, kind: Type, /, *args: Operand, **attributes: Attribute) -> None:
        """An op without a result."""
        self.lines.append(Op("", name, kind, args, tuple(attributes.items()), self.origin))

    def write_for(self, stmt: object) -> None:
        """What is written from here on is for this statement of the nest, if it has a number."""
        self.origin = self.numbers.get(id(stmt), self.origin)

    def _opener(self, lines: Lines) -> int:
        """The statement whose turns an op in these lines belongs to: what is hoisted into the preamble of a loop runs once in
        each of its turns, whoever asked for it first."""
        if lines is self.lines:
            return self.origin
        return next((s.origin for s in self.scopes if s.preamble is lines), self.origin)

    def remember(self, key: Hashable, make: Callable[[], str]) -> str:
        """The value of that key, made now unless this scope or one around it knows it."""
        for scope in reversed(self.scopes):
            value = scope.known.get(key)
            if value is not None:
                return value
        value = self.scopes[-1].known[key] = make()
        return value

    def once(self, name: str, kind: Type, /, *args: Operand, **attributes: Attribute) -> str:
        """An op without side effects, written once where it is already known."""
        key = (name, kind, args, tuple(attributes.items()))
        return self.remember(key, lambda: self.op(name, kind, *args, **attributes))

    def forget(self, buffers: frozenset[str]) -> None:
        """What was loaded from these buffers is no longer sure."""
        for scope in self.scopes:
            stale = [k for k in scope.known if isinstance(k, tuple) and k[0] == "load" and k[1] in buffers]
            for key in stale:
                del scope.known[key]

    # ---- places to write to

    def whole(self) -> tuple[Stmt, ...]:
        """The statements of the function."""
        self.before_edges()
        return tuple(flat(self.lines))

    def next_scope(self) -> int:
        """The number of a new scope."""
        self.opened += 1
        return self.opened

    def begin(self, bindings: dict[str, Operand]) -> tuple[Lines, Lines]:
        """Open a body: (what was written so far, the new body)."""
        self.before_edges()
        outer = self.lines
        preamble: Lines = []
        self.lines = [preamble]
        self.scopes.append(Scope(preamble, self.next_scope(), bindings, origin=self.origin))
        return outer, self.lines

    def end(self, outer: Lines) -> tuple[Stmt, ...]:
        """Close the body; its statements."""
        self.before_edges()
        body = tuple(flat(self.lines))
        self.lines = outer
        self.scopes.pop()
        return body

    def open_scope(self, bindings: dict[str, Operand]) -> None:
        """A scope in the middle of a body: digits that a `Let` binds."""
        preamble: Lines = []
        self.lines.append(preamble)
        self.scopes.append(Scope(preamble, self.next_scope(), bindings, origin=self.origin))

    def close_scope(self) -> None:
        """The end of the body in which the scope was opened."""
        self.scopes.pop()

    # ---- integer arithmetic, constants folded

    def arith(self, name: str, a: Operand, b: Operand, into: Lines | None = None) -> Operand:
        """add, sub, mul, udiv, urem, max or min of indices."""
        if isinstance(a, int) and isinstance(b, int):
            return self.fitting(FOLD[name](a, b))
        if b == NEUTRAL.get(name) or (name == "udiv" and b == 1):
            return a
        if name in ("add", "mul") and a == NEUTRAL[name]:
            return b
        if name == "mul" and 0 in (a, b):
            return 0
        return self.op_in(self.lines if into is None else into, name, self.index, self.fitting(a), self.fitting(b))

    def fitting(self, value: Operand) -> Operand:
        """The same; a number must be one of the type that addresses are computed in."""
        most = 1 << int(self.index[1:]) - 1
        if isinstance(value, int) and not -most <= value < most:
            raise ConvError.of(
                f"The convolution is too large: an offset of {value} does not fit into {self.index}.",
                hint="Make sizes, strides, dilations or padding smaller.",
            )
        return value


FOLD: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "udiv": lambda a, b: a // b,
    "urem": lambda a, b: a % b,
    "max": max,
    "min": min,
}
NEUTRAL = {"add": 0, "sub": 0, "mul": 1}


def flat(lines: Lines) -> list[Stmt]:
    """Nested lists written out."""
    result: list[Stmt] = []
    for item in lines:
        if isinstance(item, list):
            result += flat(item)
        else:
            result.append(item)
    return result
