"""What is printed parses back to the same tree, and printing again changes nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convjit.dsl import ast
from convjit.dsl.format import WRITERS, format, schedule
from convjit.dsl.parse import parse, parse_schedule
from tests.specs import programs, random_schedule

LEAVES = st.sampled_from([ast.Number("1"), ast.Number("0.5"), ast.Number("1e-3"), ast.Name("A"), ast.Name("ab_1")])
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(ast.Negative, inner),
        st.builds(ast.Power, inner, st.integers(-9, 99)),
        st.builds(ast.Binary, st.sampled_from("+-*/"), inner, inner),
    ),
    max_leaves=12,
)


@given(programs())
def test_programs_come_back(text: str) -> None:
    program = parse(text)
    printed = format(program)
    assert parse(printed) == program
    assert format(parse(printed)) == printed


@given(EXPRESSIONS)
def test_expressions_come_back(expr: ast.Expr) -> None:
    program = ast.Program((ast.Let(ast.Word("A"), expr), ast.Conv(ast.Word("a"), (ast.Pad((expr, expr)),))))
    assert parse(format(program)) == program
    steps = ast.Program((ast.Conv(ast.Word("a"), (ast.Then(ast.Word("clip"), (expr, expr)),)),))
    assert parse(format(steps)) == steps


@given(st.integers(0, 2**32))
def test_schedules_come_back(seed: int) -> None:
    block = parse_schedule(random_schedule(random.Random(seed)))
    assert parse_schedule(schedule(block)) == block
    program = ast.Program((ast.Conv(ast.Word("a"), (ast.ScheduleBlock("gemm", block.lines),)),))
    assert parse(format(program)) == program


def test_every_node_has_a_writer() -> None:
    nodes = {c for c in vars(ast).values() if isinstance(c, type) and issubclass(c, ast.Node) and c is not ast.Node}
    assert nodes - set(WRITERS) == {ast.InRange, ast.Factor}  # printed by the nodes that hold them


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "examples").rglob("*.conv")), ids=lambda p: p.name)
def test_examples_come_back(path: Path) -> None:
    program = parse(path.read_text(encoding="utf-8"))
    assert parse(format(program)) == program
