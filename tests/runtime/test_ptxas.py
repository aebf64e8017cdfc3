"""PTX assembled without a GPU: what is refused, what the figures are, what is missing. `tests/emit` assembles kernels."""

from __future__ import annotations

import pytest

from convjit import machine
from convjit.emit.llvm import emit
from convjit.emit.ptx import ptx
from convjit.errors import InternalError, Unavailable
from convjit.kernel.parse import parse
from convjit.runtime import ptxas
from convjit.runtime.ptxas import Usage, assemble_ptx, usages
from tests.kernel.samples import TILE


def test_what_the_assembler_refuses() -> None:
    text = ptx(emit(parse(TILE), machine.get("cuda:sm_80")), machine.get("cuda:sm_80")).replace(
        "fma.rn.f32", "fma.zz.f32"
    )
    with pytest.raises(InternalError, match="^PTX does not assemble for sm_80: ") as caught:
        assemble_ptx(text, "sm_80")
    assert "fma.zz.f32" in str(caught.value)


def test_figures_of_several_kernels() -> None:
    log = (
        "ptxas info    : Compiling entry function 'a' for 'sm_80'\n"
        "ptxas         .    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n"
        "ptxas info    : Used 26 registers, used 1 barriers, 1024 bytes smem, 380 bytes cmem[0]\n"
        "ptxas info    : Compiling entry function 'b.1' for 'sm_80'\n"
        "ptxas info    : Used 8 registers\n"
    )
    assert usages(log) == (Usage("a", 26, 16, 8, 12, 1024), Usage("b.1", 8, 0, 0, 0, 0))


def test_without_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(f"No module named '{name}'")

    monkeypatch.setattr(ptxas, "import_module", missing)
    with pytest.raises(Unavailable) as caught:
        assemble_ptx("", "sm_80")
    assert str(caught.value) == (
        "error: Assembling PTX without a GPU is not to be had here.\n"
        "  note: nvJitLink could not be loaded: No module named 'cuda.bindings.nvjitlink'\n"
        "  hint: Run `pip install cuda-bindings nvidia-nvjitlink`."
    )
