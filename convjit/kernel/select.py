"""Which instruction: the one place that reads the machine's rows."""

from __future__ import annotations

from functools import lru_cache

from convjit.errors import InternalError
from convjit.kernel.ir import Op, Type
from convjit.machine import Machine, Row


def find_row(machine: Machine, types: tuple[str, str, str], roles: tuple[tuple[str, int], ...]) -> Row | None:
    """The row that multiplies numbers of these types (a, b, accumulator) with exactly these roles, or None.

    Roles that cover one are left out: `(("n", 1),)` and `()` are the same.
    """
    wanted = _several(roles)
    return next((row for row in machine.rows_for(types) if _several(row.roles) == wanted), None)


def widths(machine: Machine, types: tuple[str, str, str]) -> tuple[int, ...]:
    """How many outputs side by side (role n) the rows for these types offer, widest first."""
    return tuple(sorted({row.role("n") for row in machine.rows_for(types)}, reverse=True))


def row_named(machine: Machine, name: str, type: Type) -> Row | None:
    """The row that an op of that name and type stands for."""
    return _by_name(machine).get((name, type))


def row_of(machine: Machine, op: Op) -> Row:
    """The row that the op stands for; `InternalError` where the machine has none."""
    row = row_named(machine, op.name, op.type)
    if row is None:
        raise InternalError(f"{machine.name} has no instruction {op.name} that gives {op.type}")
    return row


@lru_cache(maxsize=64)
def _by_name(machine: Machine) -> dict[tuple[str, Type], Row]:
    return {(row.name, row.operands[2]): row for row in machine.rows}


def _several(roles: tuple[tuple[str, int], ...]) -> frozenset[tuple[str, int]]:
    return frozenset(role for role in roles if role[1] > 1)
