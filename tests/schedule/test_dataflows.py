"""The named dataflows: each a nest of its own, and counts that show what is stationary."""

from __future__ import annotations

import numpy as np
import pytest

import convjit
from convjit.api import compilation, read
from convjit.errors import ConvError
from convjit.nest.interpret import interpret
from convjit.pipeline import Compilation
from convjit.runtime.compiled import CompiledConv

WORDS = ("output_stationary", "weight_stationary", "input_stationary", "row_stationary")
SPEC = """conv l {{
    input x : f32[N=1, H=8, W=8, C=8]
    weight w : f32[KH=3, KW=3, OC=16, IC=8]
    pad same
    dataflow {word}
}}"""


def compiled(word: str, target: str) -> Compilation:
    ((spec, syntax),) = read(SPEC.format(word=word)).values()
    return compilation(spec, syntax, target)


def counted(word: str, target: str) -> dict[tuple[str, str], int]:
    """Vector accesses of the nests, added up by buffer."""
    c = compiled(word, target)
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.integers(-3, 4, (1, 8, 8, 8)).astype(np.float32),
        "w": rng.integers(-3, 4, (3, 3, 16, 8)).astype(np.float32),
        "y": np.full((1, 8, 8, 16), np.nan, np.float32),
    }
    total: dict[tuple[str, str], int] = {}
    for nest in c.nests:
        for b in nest.buffers:
            if b.level == "memory" and b.name not in arrays:
                assert b.layout
                arrays[b.name] = np.full(b.layout.elements(), np.nan, np.float32)
        counts = interpret(nest, {b.name: arrays[b.name] for b in nest.buffers if b.level == "memory"})
        if not nest.name.endswith(".pack"):
            for key, n in counts.accesses.items():
                total[key] = total.get(key, 0) + n
    assert np.array_equal(arrays["y"], convjit.reference(c.spec, arrays["x"], arrays["w"]).astype(np.float32))
    return total


def test_each_keeps_what_its_name_says() -> None:
    """The stationary tensor is read least under its own dataflow, and the output is written once where it stays."""
    counts = {word: counted(word, "cpu:avx2") for word in WORDS}
    x = {word: c["x", "load"] for word, c in counts.items()}
    w = {word: c["w.packed", "load"] for word, c in counts.items()}
    y = {word: c.get(("y", "load"), 0) + c["y", "store"] for word, c in counts.items()}
    assert min(y, key=y.__getitem__) == "output_stationary"
    assert y["output_stationary"] == 8 * 8 * 16 // 8
    assert min(x, key=x.__getitem__) == "input_stationary"
    assert w["weight_stationary"] == w["row_stationary"] == 3 * 3 * 8 * 16 // 8
    assert w["weight_stationary"] < w["output_stationary"] < w["input_stationary"]


@pytest.mark.parametrize("target", ["cpu:avx2", "cpu:scalar", "cpu:avx512", "cuda:sm_80"])
def test_each_gives_a_nest_of_its_own(target: str) -> None:
    words = [w for w in WORDS if target != "cuda:sm_80" or w != "row_stationary"]
    nests = {str(compiled(word, target).nests[-1]) for word in words}
    assert len(nests) == len(words)


@pytest.mark.parametrize("word", WORDS)
def test_its_schedule_can_be_pasted_back(word: str) -> None:
    c = compiled(word, "cpu:avx2")
    block = str(c.schedule)
    again = convjit.compile(SPEC.format(word=word).replace(f"dataflow {word}", block), target="cpu:avx2")
    assert isinstance(again, CompiledConv)
    assert again.dump("kernel").split() == " ".join(map(str, c.kernels)).split()


def test_a_gpu_has_no_row_stationary_schedule() -> None:
    with pytest.raises(ConvError, match=r"The dataflow row_stationary cannot be realised on cuda:sm_80\.") as caught:
        compiled("row_stationary", "cuda:sm_80").schedule  # noqa: B018
    assert "no schedule here moves sums between threads" in str(caught.value)
    assert "The nearest is output_stationary" in str(caught.value)


@pytest.mark.parametrize(("word", "size"), [("input_stationary", "H"), ("weight_stationary", "N")])
def test_open_sizes_that_a_gpu_dataflow_cannot_take(word: str, size: str) -> None:
    text = SPEC.format(word=word).replace(f"{size}={1 if size == 'N' else 8}", f"{size}=?", 1)
    ((spec, syntax),) = read(text).values()
    with pytest.raises(ConvError, match=rf"The dataflow {word} cannot be realised on a GPU for open sizes \({size}\)"):
        compilation(spec, syntax, "cuda:sm_80").schedule  # noqa: B018
