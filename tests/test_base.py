"""Sources, number types, settings and fingerprints."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from convjit import dtypes
from convjit.errors import ConvError, InternalError
from convjit.fingerprint import fingerprint
from convjit.settings import all_settings, settings
from convjit.source import Source, Span


def test_positions_count_from_one() -> None:
    source = Source("ab\r\n\ncd")
    assert [source.position(i) for i in (0, 1, 4, 5, 7)] == [(1, 1), (1, 2), (2, 1), (3, 1), (3, 3)]
    assert [source.line(i) for i in (1, 2, 3)] == ["ab", "", "cd"]


def test_spans_join_and_know_their_first_word() -> None:
    source = Source("stride 1\npad 2")
    joined = Span(source, 0, 6).to(Span(source, 9, 12))
    assert (joined.text, joined.first_word.text, joined.line, joined.column) == ("stride 1\npad", "stride", 1, 1)
    assert Span(source, 6, 8).first_word.text == " 1"


@pytest.mark.parametrize("dtype", dtypes.TYPES.values(), ids=lambda t: t.name)
def test_types_agree_with_numpy(dtype: dtypes.DType) -> None:
    assert dtype.numpy.itemsize == max(1, dtype.bits // 8)
    assert dtypes.bits(dtype.name) == dtype.bits
    assert dtypes.is_float(dtype.name) == (dtype.kind == "float")
    if dtype.kind != "float":
        info: Any = ml_dtypes.iinfo(dtype.numpy)  # type: ignore[no-untyped-call]
        assert dtypes.limits(dtype.name) == (info.min, info.max)
        assert dtypes.is_signed(dtype.name) == (info.min < 0)


def test_unknown_type() -> None:
    with pytest.raises(ConvError, match="Unknown type 'f33'") as error:
        dtypes.get("f33")
    assert error.value.diagnostics[0].hints == ("Did you mean 'f32'?",)


def test_floats_have_no_limits() -> None:
    with pytest.raises(InternalError, match="limits of f32: only integer types have them"):
        dtypes.limits("f32")


def test_settings_have_defaults_and_types(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in all_settings():
        monkeypatch.delenv(setting.variable, raising=False)
    assert (settings.verbose, settings.cache, settings.threads) == (frozenset(), True, None)
    monkeypatch.setenv("CONVJIT_VERBOSE", "profile,calls")
    monkeypatch.setenv("CONVJIT_CACHE", "off")
    monkeypatch.setenv("CONVJIT_VERIFY", "1")
    monkeypatch.setenv("CONVJIT_THREADS", "4")
    monkeypatch.setenv("CONVJIT_CACHE_DIR", " /somewhere ")
    assert settings.verbose == frozenset({"profile", "calls"})
    assert (settings.cache, settings.verify, settings.threads, settings.cache_dir) == (False, True, 4, "/somewhere")


WRONG_SETTINGS = [
    ("CONVJIT_THREADS", "threads", "many", "it must be a whole number from 1 to 4096"),
    ("CONVJIT_CACHE", "cache", "maybe", "it must be 0 or 1"),
    ("CONVJIT_VERBOSE", "verbose", "loud", "it knows the words profile and calls, not 'loud'"),
]


@pytest.mark.parametrize(("variable", "name", "text", "message"), WRONG_SETTINGS)
def test_wrong_settings(monkeypatch: pytest.MonkeyPatch, variable: str, name: str, text: str, message: str) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(ConvError) as error:
        getattr(settings, name)
    first, note, hint = str(error.value).split("\n")
    assert first == f"error: The environment variable {variable} is '{text}': {message}."
    assert note.startswith(f"  note: {variable}: ")
    assert hint == f"  hint: Correct it, or run `unset {variable}`."


@dataclass(frozen=True)
class Sample:
    number: int
    words: tuple[str, ...]
    place: int = field(default=0, compare=False)


def test_fingerprints_tell_values_apart() -> None:
    values: list[object] = [
        1, "1", 1.0, True, None, b"1", (1,), ((1,),), ("a", "b"), ("ab",), (), {"a": 1}, frozenset({1, 2}),
        Sample(1, ("a",)), Sample(1, ("b",)),
    ]  # fmt: skip
    assert len({fingerprint(value) for value in values}) == len(values)
    assert fingerprint(Sample(1, ("a",), 3)) == fingerprint(Sample(1, ("a",), 4))
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint([1, 2]) == fingerprint((1, 2))


def test_fingerprints_are_the_same_in_every_process() -> None:
    code = "from convjit.fingerprint import fingerprint; print(fingerprint('x', 1.5, frozenset('abc')), end='')"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == fingerprint("x", 1.5, frozenset("abc"))


def test_what_has_no_fingerprint() -> None:
    with pytest.raises(InternalError, match="no fingerprint for a ndarray"):
        fingerprint(np.zeros(1))
