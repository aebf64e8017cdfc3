"""A value that a loop hands on unchanged is no value of the loop: its uses read what it was before.

A tile at the border leaves sums alone in the turns whose taps lie outside for them; written as carried values all the
same, they kept LLVM from giving every sum a register of its own, and it moved them through memory in the innermost loop.
"""

from __future__ import annotations

from dataclasses import replace

from convjit.kernel.ir import Carried, For, If, Merged, Op, Operand, Stmt


def unchanged(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """The same statements without carried and merged values that are always one and the same."""
    known: dict[Operand, Operand] = {}
    find(body, known)
    return tuple(renamed(stmt, known) for stmt in body) if known else body


def find(body: tuple[Stmt, ...], known: dict[Operand, Operand]) -> None:
    """Add what such values are to `known`, from the inside out."""
    for stmt in body:
        if isinstance(stmt, For):
            find(stmt.body, known)
            for c in stmt.carried:
                if value(c.following, known) == c.name:
                    known[c.name] = known[c.result] = c.start
        elif isinstance(stmt, If):
            find(stmt.body, known)
            for m in stmt.merged:
                if value(m.taken, known) == value(m.skipped, known):
                    known[m.result] = m.skipped


def value(operand: Operand, known: dict[Operand, Operand]) -> Operand:
    """What an operand is in the end; the value itself where nothing is known of it."""
    while isinstance(operand, str) and operand in known:
        operand = known[operand]
    return operand


def renamed(stmt: Stmt, known: dict[Operand, Operand]) -> Stmt:
    """The statement with operands as they are known."""
    if isinstance(stmt, Op):
        if known.keys().isdisjoint(stmt.args):
            return stmt
        args = tuple(value(a, known) for a in stmt.args)
        return Op(stmt.result, stmt.name, stmt.type, args, stmt.attributes, stmt.origin)
    body = tuple(renamed(s, known) for s in stmt.body)
    if isinstance(stmt, If):
        merged = tuple(
            Merged(m.result, m.type, value(m.taken, known), value(m.skipped, known))
            for m in stmt.merged
            if m.result not in known
        )
        return If(str(value(stmt.condition, known)), body, merged, stmt.origin)
    carried = tuple(handed(c, known) for c in stmt.carried if c.name not in known)
    return replace(stmt, low=value(stmt.low, known), high=value(stmt.high, known), carried=carried, body=body)


def handed(c: Carried, known: dict[Operand, Operand]) -> Carried:
    """A carried value that does change."""
    return Carried(c.name, c.type, value(c.start, known), value(c.following, known), c.result)
