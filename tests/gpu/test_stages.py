"""The stages that a GPU has, the texts that cannot be had, and the cache."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from convjit import api, targets
from convjit.emit.words import entry_name
from convjit.errors import ConvError, InternalError, Unavailable
from convjit.explanation import explain
from convjit.pipeline import stage_texts
from convjit.runtime import sass
from convjit.runtime.ptxas import assemble_ptx
from tests.gpu.cases import CASES
from tests.gpu.fake import Driver
from tests.gpu.test_call import SMALL, compiled

NAMES = ("ast", "spec", "schedule", "nest", "kernel", "llvm", "llvm_opt", "ptx", "sass")


def test_the_stages_in_order(driver: Driver) -> None:
    kernel = compiled(driver, SMALL)
    assert kernel.stages == NAMES
    assert tuple(stage_texts(SMALL.on("cuda:sm_75"))) == NAMES
    with pytest.raises(ConvError, match="There is no stage 'asm'"):
        kernel.dump("asm")
    texts = {name: kernel.dump(name) for name in NAMES[:-1]}
    assert "define ptx_kernel void @small(" in texts["llvm"]
    assert "target triple = " in texts["llvm_opt"] and "define ptx_kernel void @small(" in texts["llvm_opt"]
    assert ".visible .entry small(" in texts["ptx"] and ".visible .entry small$pack(" in texts["ptx"]


def test_the_instructions_of_the_gpu(driver: Driver) -> None:
    try:
        command, _ = sass._command()
    except Unavailable:
        pytest.skip("there is no disassembler")
    assert Path(command).is_file()
    text = compiled(driver, SMALL).dump("sass")
    assert "FFMA" in text and ".text.small$pack" in text


def test_without_a_disassembler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sass, "_places", lambda name: iter(("", f"/nowhere/{name}")))
    with pytest.raises(Unavailable) as caught:
        sass.disassemble(b"")
    assert str(caught.value) == (
        "error: The GPU's instructions cannot be shown here.\n"
        "  note: Neither nvdisasm nor cuobjdump is installed.\n  hint: Run `pip install nvidia-cuda-nvdisasm`."
    )


def test_a_disassembler_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], **_named: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 255, "", "not a cubin\n")

    monkeypatch.setattr(sass, "_command", lambda: ("/bin/nvdisasm", "--print-code"))
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(InternalError) as caught:
        sass.disassemble(b"")
    assert str(caught.value).startswith("`/bin/nvdisasm --print-code /")
    assert str(caught.value).endswith("kernel.cubin` failed:\nnot a cubin\n")


def test_ptx_is_made_once(driver: Driver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONVJIT_CACHE_DIR", str(tmp_path / "cache"))
    texts = [compiled(driver, SMALL)._python.code.ptx]  # type: ignore[attr-defined]

    def no_more(*_args: object) -> str:
        raise AssertionError("the PTX is made again")

    monkeypatch.setattr(targets, "ptx", no_more)
    texts.append(compiled(driver, SMALL)._python.code.ptx)  # type: ignore[attr-defined]
    assert texts[0] == texts[1] and ".version 8.0" in texts[0]
    with pytest.raises(AssertionError, match="made again"):
        compiled(driver, SMALL, "cuda:sm_80")


@pytest.mark.parametrize("name", ["WARP_SZ", "_", "add", "shared", "smem", "tid", "entry"])
def test_a_convolution_may_be_called_what_ptx_keeps_for_itself(name: str) -> None:
    text = SMALL.text.replace("conv small", f"conv {name}")
    ((spec, syntax),) = api.read(text).values()
    usages = assemble_ptx(stage_texts(api.compilation(spec, syntax, "cuda:sm_80"))["ptx"](), "sm_80").kernels
    assert {usage.name for usage in usages} == {entry_name(name), entry_name(f"{name}.pack")}


def test_explain_says_how_kernels_are_launched() -> None:
    by_name = {
        case.name: explain(case.on("cuda:sm_80")) for case in CASES if case.name in ("matrix_async", "open_batch")
    }
    assert f"2 blocks of 128 threads, {CASES[0].shared} bytes shared\n" in by_name["matrix_async"]
    assert "N*5*9 blocks of 20 threads\n" in by_name["open_batch"]
    assert by_name["matrix_async"].startswith("matrix_async on cuda:sm_80\n")
