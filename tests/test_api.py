"""`compile` and `reference`: what they take, and what comes first when several say the same thing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import convjit
from convjit import api
from convjit.dsl.parse import parse

ONE = "conv one { input x : f32[N=1, W=9, C=4]; weight w : f32[KW=3, OC=8, IC=4]; target cpu:scalar; threads 2 }"
TWO = ONE + "\nconv two { input x : f32[N=1, W=9, C=4]; weight w : f32[KW=1, OC=8, IC=4] }"
X, W = np.ones((1, 9, 4), np.float32), np.ones((3, 8, 4), np.float32)


def test_text_path_spec_and_program_are_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.conv"
    path.write_text(ONE)
    ways = [ONE, str(path), path, parse(ONE), api.read(ONE)["one"][0]]
    texts = {convjit.compile(way).dump("llvm") for way in ways}
    assert len(texts) == 1
    for way in ways:
        assert np.array_equal(convjit.reference(way, X, W), np.full((1, 7, 8), 12.0))


def test_a_spec_that_was_built() -> None:
    built = convjit.Conv("one", input=("x", "f32", dict(N=1, W=9, C=4)), weight=("w", "f32", dict(KW=3, OC=8, IC=4)))
    assert np.array_equal(convjit.compile(built, "cpu:scalar")(X, W), np.full((1, 7, 8), 12.0, np.float32))


def test_several_blocks_are_a_mapping() -> None:
    kernels = convjit.compile(TWO)
    assert list(kernels) == ["one", "two"]
    assert kernels["one"](X, W).shape == (1, 7, 8)


def test_the_call_s_target_wins_over_the_program_s_over_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVJIT_TARGET", "cpu:avx512")
    one, two = (api.read(TWO)[name][0] for name in ("one", "two"))
    assert api.machine_for(one, "cpu:avx2").name == "cpu:avx2"
    assert api.machine_for(one, None).name == "cpu:scalar"
    assert api.machine_for(two, None).name == "cpu:avx512"


def test_the_call_s_threads_win_over_the_program_s_over_the_environment_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVJIT_THREADS", "3")
    assert convjit.compile(ONE, threads=1).threads == 1
    assert convjit.compile(ONE).threads == 2
    assert convjit.compile(TWO, "cpu:scalar")["two"].threads == 3


def refusal(program: object) -> str:
    with pytest.raises(convjit.ConvError) as caught:
        convjit.compile(program)  # type: ignore[arg-type]
    return str(caught.value)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    hint = "\n  hint: A program has a '{'; any other text is taken as the path of a file."
    assert refusal("res2a.conf") == f"error: There is no file 'res2a.conf'.{hint}"
    assert refusal(tmp_path / "a.conv") == f"error: There is no file '{tmp_path / 'a.conv'}'."


def test_mistakes_of_syntax_and_of_meaning_come_at_once() -> None:
    text = refusal("conv c {\n input x : f32[N=1, W=9, C=4]\n weight w : f33[KW=3, OC=8, IC=4]\n strid 2\n}")
    assert "Unknown type 'f33'." in text and "Unknown clause 'strid'." in text


def test_the_reference_of_several_blocks() -> None:
    with pytest.raises(convjit.ConvError) as caught:
        convjit.reference(TWO, X, W)
    assert str(caught.value) == (
        "error: The program has 2 blocks; the reference of one is wanted.\n"
        "  note: The blocks are one, two.\n  hint: Give the spec of one of them."
    )
