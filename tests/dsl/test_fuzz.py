"""No text raises anything but ConvError, and every text gets its answer soon."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convjit.dsl.clauses import CLAUSES, outline
from convjit.dsl.parse import parse_schedule, read_source
from convjit.errors import ConvError
from convjit.spec.from_ast import from_text
from tests.specs import random_program, random_schedule

PIECES = [
    *CLAUSES, "conv", "let", "transposed", "sparse", "per", "in", "scale", "zero", "{", "}", "(", ")", "[", "]", ",", ";",
    ":", "=", "?", "..", ".", "+", "-", "*", "/", "^", "|", "\n", "#", "N", "H", "W", "C", "OC", "IC", "KH", "KW", "OH", "x",
    "w", "f32", "i8", "u8", "1", "0", "3", "64", "0.5", "1e-5", "1e999", "2^999999999", "9" * 30, "same", "valid", "relu",
    "clip", "oc/32", "oh:thread", "{oh+kh}", "[y]", "shared", "ring", "cp.async", "auto", "winograd", "\0", "\r", "\t",
    "\ufeff", "é", "畳", "\u2028", "\U0001f600", "'", '"', "\\", "$", "%",
]  # fmt: skip


def check(text: str) -> None:
    """A program, whatever it is: specs that print back, or a ConvError that can be drawn."""
    try:
        for name, spec in from_text(text).items():
            assert from_text(str(spec))[name] == spec
    except ConvError as error:
        assert str(error) and error.diagnostics


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    check(text)


@given(st.lists(st.sampled_from(PIECES), max_size=60), st.sampled_from(["", " "]))
def test_any_pieces_of_the_language(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    check(text)
    check("conv a {\ninput x : f32[N=1, W=8, C=4]\nweight w : f32[OC=8, KW=3, IC=4]\n" + text + "\n}")
    try:
        parse_schedule(text)
    except ConvError as error:
        assert str(error)


@given(st.integers(0, 2**32))
def test_mutated_programs(seed: int) -> None:
    r = random.Random(seed)
    text = random_program(r) + (random_program(r) if r.random() < 0.3 else "")
    for _ in range(r.randint(1, 4)):
        text = mutated(r, text)
    check(text)


def mutated(r: random.Random, text: str) -> str:
    """A piece removed, doubled, replaced or put in, or two swapped."""
    words = re.findall(r"\w+|\s+|.", text, re.DOTALL)
    if not words:
        return r.choice(PIECES)
    at, other = r.randrange(len(words)), r.randrange(len(words))
    match r.randrange(5):
        case 0:
            words[at] = ""
        case 1:
            words[at] *= 2
        case 2:
            words[at] = r.choice(PIECES)
        case 3:
            words[at] += r.choice(PIECES)
        case _:
            words[at], words[other] = words[other], words[at]
    return "".join(words)


@given(st.binary(max_size=200))
def test_any_bytes_in_a_file(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.conv"
    Path(path).write_bytes(data)
    try:
        check(read_source(path).text)
    except ConvError as error:
        assert str(error)


@given(st.integers(0, 2**32))
def test_mutated_schedules(seed: int) -> None:
    r = random.Random(seed)
    text = mutated(r, mutated(r, random_schedule(r)))
    try:
        parse_schedule(text)
    except ConvError as error:
        assert str(error)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 20_000,
        "let a = " + "(" * 20_000,
        "let a = " + "-" * 20_000 + "1",
        "let a = 1" + "+1" * 20_000,
        "conv a {" * 2_000,
        "}" * 20_000,
        "conv a { input x : f32[" + "N=1," * 5_000,
        "let a = 2^999999999\n" * 100,
        "let a = " + "9" * 300_000,
        "let a = 1e999999999",
        "let a = 2^99999\nlet b = a^99999",
        "#" * 300_000,
        "\n" * 300_000,
        "\0" * 2_000,
        "x\n" * 2_000,
    ],
    ids=lambda text: text[:24],
)
def test_large_and_nested_texts(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ConvError) as error:
        from_text(text)
    assert str(error.value)
    assert time.perf_counter() - start < 10


@given(st.text(alphabet="()[]{};#\n ab", max_size=60))
def test_an_outline_covers_the_text(text: str) -> None:
    found = outline(text)
    assert found.clauses[-1].end == len(text)
    assert all(0 <= c.start <= c.end <= len(text) for c in found.clauses)
    for offset in range(len(text) + 1):
        assert found.at(offset).end >= offset
