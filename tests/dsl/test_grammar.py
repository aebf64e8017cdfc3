"""The grammar file, the tables made from it, and the time that both take."""

from __future__ import annotations

import random
import time
from pathlib import Path

import lark
import pytest

from convjit.dsl import grammar
from convjit.dsl.parse import parse
from tests.specs import random_program

SPEC = """
let OUT = 64
conv res2a {
    input   x : f32[N=1, H=56, W=56, C=64]
    weight  w : f32[KH=3, KW=3, OC=OUT, IC=64]
    bias    b : f32[OC]
    stride 1; dilation 1; groups 1; pad same
    then relu
    dataflow output_stationary
}
"""


def test_stored_tables_fit_the_grammar() -> None:
    """After a change of the grammar: python -m convjit.dsl.grammar"""
    head = grammar.grammar_file("conv.tables").read_bytes().partition(b"\n")[0].decode()
    assert head.split()[1] == grammar.stamp().split()[1]


def test_stored_and_computed_parsers_are_the_same() -> None:
    computed, stored = grammar.computed_parser(), grammar.stored_parser() or grammar.computed_parser()
    for seed in range(30):
        text = random_program(random.Random(seed))
        assert computed.parse(text, start="start") == stored.parse(text, start="start")


def test_tables_of_another_grammar_or_another_lark_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = grammar.grammar_file("conv.lark").read_bytes()
    (tmp_path / "conv.lark").write_bytes(text)
    monkeypatch.setattr(grammar, "grammar_file", lambda name: tmp_path / name)
    assert grammar.stored_parser() is None
    grammar.write_tables()
    assert grammar.stored_parser() is not None
    (tmp_path / "conv.lark").write_bytes(text + b"// changed\n")
    assert grammar.stored_parser() is None
    (tmp_path / "conv.lark").write_bytes(text)
    monkeypatch.setattr(lark, "__version__", "0.0")
    assert grammar.stored_parser() is None


def test_a_spec_is_parsed_in_a_few_milliseconds() -> None:
    parse(SPEC)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        parse(SPEC)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.010
