"""The programs in docs/language.md are programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from convjit.dsl.clauses import CLAUSES
from convjit.spec import words
from convjit.spec.from_ast import from_text

PAGE = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
HEAD = "conv a { input x : f32[N=1, H=56, W=56, C=64]; weight w : f32[OC=64, KH=3, KW=3, IC=64]\n"


@pytest.mark.parametrize("text", re.findall(r"```conv\n(.*?)```", PAGE, re.DOTALL))
def test_programs(text: str) -> None:
    for name, spec in from_text(text).items():
        assert from_text(str(spec))[name] == spec


@pytest.mark.parametrize("text", re.findall(r"```clauses\n(.*?)```", PAGE, re.DOTALL))
def test_clauses(text: str) -> None:
    from_text(HEAD + text + "}")


def test_every_word_is_documented() -> None:
    known = (*CLAUSES, *words.STEPS, *words.PROFILES, *words.ALGORITHMS, *words.DATAFLOWS, *words.ROUNDINGS, *words.PADDINGS)
    assert [word for word in known if not re.search(rf"\b{word}\b", PAGE)] == []
