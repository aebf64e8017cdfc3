"""`target interpret`: the same face, run by the kernel's interpreter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import convjit
from convjit.errors import InternalError
from convjit.runtime import interpreted
from convjit.runtime.compiled import CompiledConv

TEXT = """
conv c {
    input  x : f32[N=?, H=5, W=6, C=3]
    weight w : f32[KH=3, KW=3, OC=5, IC]
    bias   b : f32[OC]
    pad 1
    then relu
}"""
RNG = np.random.default_rng(3)
W, B = RNG.integers(-4, 5, (3, 3, 5, 3)).astype(np.float32), np.arange(5, dtype=np.float32)


def compiled() -> CompiledConv:
    kernel = convjit.compile(TEXT, target="interpret")
    assert isinstance(kernel, CompiledConv)
    return kernel


def test_the_result_is_exact_and_bind_packs_once() -> None:
    kernel = compiled()
    bound = kernel.bind(W, B)
    for n in (1, 2):
        x = RNG.integers(-4, 5, (n, 5, 6, 3)).astype(np.float32)
        want = convjit.reference(kernel.spec, x, W, B)
        np.testing.assert_array_equal(kernel(x, W, B), want)
        out = np.empty_like(want, dtype=np.float32)
        assert bound(x, out=out) is out
        np.testing.assert_array_equal(out, want)


def test_stages_are_the_cpus_without_assembly() -> None:
    kernel = compiled()
    assert kernel.stages == ("ast", "spec", "schedule", "nest", "kernel", "llvm")
    assert kernel.explain().startswith("c on cpu:scalar")


def test_every_access_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that is given less memory than it needs is caught at the op that leaves it."""

    def short(
        array: interpreted.Array, address: int, sizes: dict[str, int]
    ) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        whole = interpreted_memory(array, address, sizes)
        return whole[:-1] if array.name == "x" else whole

    interpreted_memory = interpreted.memory
    monkeypatch.setattr(interpreted, "memory", short)
    with pytest.raises(InternalError, match="^c: .* = load .*: "):
        compiled()(np.zeros((1, 5, 6, 3), np.float32), W, B)


def test_arguments_are_checked_as_on_the_cpu() -> None:
    with pytest.raises(ValueError, match=r"^w: expected f32\[KH=3, KW=3, OC=5, IC=3\], got f32\[3, 3, 5, 4\]\.$"):
        compiled()(np.zeros((1, 5, 6, 3), np.float32), np.zeros((3, 3, 5, 4), np.float32), B)


def test_the_file_says_its_target(tmp_path: Path) -> None:
    path = tmp_path / "c.conv"
    path.write_text(TEXT.replace("pad 1", "pad 1\n    target interpret"))
    kernel = convjit.compile(path)
    assert isinstance(kernel, CompiledConv) and "asm" not in kernel.stages
