"""Targets beyond this machine: their code is made and can be read; a call of it is refused, and nothing is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convjit
from convjit import targets

SMALL = "conv small { input x : f32[N=1, W=9, C=5]; weight w : f32[KW=3, IC=5, OC=20]; dataflow output_stationary }"
TEXT = """error: This machine cannot run cpu:avx512: it has no avx512f avx512bw.
  hint: kernel.dump('asm') shows its code; `convjit targets` what runs here."""


def test_code_that_this_processor_does_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "missing", lambda required: ("avx512f", "avx512bw"))
    kernel: Any = convjit.compile(SMALL, target="cpu:avx512")
    x, w, y = np.ones((1, 9, 5), np.float32), np.ones((3, 5, 20), np.float32), np.full((1, 7, 20), 7, np.float32)
    assert "zmm" in kernel.dump("asm")
    for call in (lambda: kernel(x, w), lambda: kernel(x, w, out=y), lambda: kernel.bind(w)(x, out=y)):
        with pytest.raises(convjit.Unavailable) as caught:
            call()
        assert str(caught.value) == TEXT
    assert (y == 7).all()
    with pytest.raises(ValueError, match="w: expected"):
        kernel(x, w[:2])
