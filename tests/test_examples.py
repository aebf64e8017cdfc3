"""Every example runs, and its stable texts are those of tests/golden.

The programs run as a user runs them, on the best target of this machine, with data that is made; what they compute is
checked by `convjit run` itself, whose status is 0 only where all results are right.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from convjit import api
from convjit.cli import main
from convjit.front import onnx
from convjit.pipeline import STAGES
from tests.conftest import Golden

EXAMPLES = Path(__file__).parents[1] / "examples"
PROGRAMS = sorted(path.stem for path in EXAMPLES.glob("*.conv"))
AVX2 = pytest.mark.isa("avx2", "fma")


@pytest.fixture(autouse=True)
def short_and_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short measurements, in an empty folder."""
    monkeypatch.setattr("convjit.cli.timing.SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command line that succeeds prints."""
    status = main(list(words))
    out, err = capsys.readouterr()
    assert (status, err) == (0, ""), out + err
    return out


def script(name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    """What an example in Python prints."""
    monkeypatch.setattr(sys, "argv", [name, *words])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    return capsys.readouterr().out


@pytest.mark.parametrize(
    "name", [pytest.param(p, marks=AVX2) if p == "custom_schedule" else p for p in PROGRAMS]
)
def test_program_runs_and_is_right(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(EXAMPLES / f"{name}.conv")
    out = printed(capsys, "run", path)
    assert out.count("): right\n") + out.count("exact: every element equals") == len(api.read(path))


@pytest.mark.parametrize("name", PROGRAMS)
def test_meaning_of_a_program(name: str, capsys: pytest.CaptureFixture[str], golden: Golden) -> None:
    golden(f"{name}.spec", printed(capsys, "dump", str(EXAMPLES / f"{name}.conv"), "--stage", "spec"))


def test_open_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(EXAMPLES / "open_size.conv")
    out = printed(capsys, "run", path, "--size", "N=4", "--size", "H=30", "--size", "W=41")
    assert "y  f32[N=4, OH=30, OW=41, OC=32]" in out


def test_dataflows_differ(capsys: pytest.CaptureFixture[str]) -> None:
    """The same convolution four times: four schedules, four nests, one result."""
    path = str(EXAMPLES / "dataflows.conv")
    names = list(api.read(path))
    for stage in ("schedule", "nest"):
        texts = [printed(capsys, "dump", path, "--stage", stage, "--block", n).replace(n, "") for n in names]
        assert len(set(texts)) == len(names) == 4
    printed(capsys, "run", path, "--out", "y.npy")
    results = [np.load(f"y-{name}.npy") for name in names]
    assert all(np.allclose(results[0], y, rtol=0, atol=1e-5) for y in results)


def test_report_data_is_read_by_the_report_s_programs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "sample1_input.bin: [1, 56, 56, 64]" in script("report_data.py", capsys, monkeypatch)
    for number in (1, 2):
        files = ["--input", f"sample{number}_input.bin", "--weight", f"sample{number}_kernel.bin"]
        out = printed(capsys, "run", str(EXAMPLES / f"report_sample{number}.conv"), *files)
        assert f"from sample{number}_kernel.bin" in out


def test_python_api(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    out = script("python_api.py", capsys, monkeypatch)
    assert "by name the same: True" in out
    assert "bound, into an array of ours, the same: True" in out
    assert "close to the reference: True" in out
    assert "out (1, 14, 14, 64)" in out
    assert "hint: Did you mean 'then'?" in out
    assert "ValueError: x: expected f32[N=1, H=28, W=28, C=32], got f32[1, 28, 28, 16]." in out


def test_digits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A small CNN learns digits in three epochs; integers answer nearly as f32 does."""
    pytest.importorskip("sklearn")
    out = script("digits.py", capsys, monkeypatch, "3")
    losses = [float(line.split()[-1]) for line in out.splitlines() if line.startswith("epoch")]
    assert len(losses) == 3 and losses[-1] < losses[0] / 4
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if "%" in line}
    assert list(rows) == ["f32", "i16", "i8", "i4", "i8_per_channel"]
    accuracy = {name: float(row[0].rstrip("%")) for name, row in rows.items()}
    changed, errors = ({name: float(row[i]) for name, row in rows.items()} for i in (1, -1))
    assert accuracy["f32"] > 93 and accuracy["i4"] > 85
    assert changed["f32"] == 0 and changed["i16"] <= 1 and changed["i8"] <= 12 and changed["i8_per_channel"] <= 12
    assert 0 == errors["f32"] < errors["i16"] < errors["i8"] / 20 < errors["i4"] / 100


def test_ocr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What it prints of rows that are made up; tests/networks makes real ones."""
    ocr = pytest.importorskip("convjit.networks.ocr")
    layer = onnx.Layer("c", "Conv", "convjit", "i8", nrmse=1e-3, accumulated=2e-3)
    left = onnx.Layer("up", "ConvTranspose", "onnxruntime", "", "only Conv is replaced, not ConvTranspose")
    reference = ocr._read(ocr.REFERENCE, ocr.LINES, ocr.LINES, (), 0.0)
    row = ocr._read("i8", ["x", *ocr.LINES[1:]], ocr.LINES, (layer,), 3e-3)
    monkeypatch.setattr(ocr, "study", lambda arithmetics: (reference, row))
    monkeypatch.setattr(ocr, "study_detector", lambda arithmetics: (ocr.Detected("i8", 0.01, 0.9, (layer, left), 0.1),))
    out = script("ocr.py", capsys, monkeypatch, "i8")
    assert f"i8: {row.right} of {row.words} words" in out and f"    x      <- {ocr.LINES[0]}" in out
    assert "c                   1.0e-03    2.0e-03" in out
    assert "left to ONNX Runtime: up (only Conv is replaced, not ConvTranspose)" in out


@pytest.mark.parametrize("target", ["cpu:scalar", "cpu:avx2", "cpu:avx512"])
def test_walkthrough(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    out = script("walkthrough.py", capsys, monkeypatch, target)
    places = [out.index(f"--- {stage} ---\n") for stage in ("ast", "spec", "schedule", "nest", "kernel", "llvm", "asm")]
    assert places == sorted(places)
    instruction = {"cpu:scalar": "mulss", "cpu:avx2": "ymm", "cpu:avx512": "zmm"}[target]
    assert instruction in out[places[-1] :]


def test_walkthrough_of_a_gpu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nvidia")
    out = script("walkthrough.py", capsys, monkeypatch, "cuda:sm_80")
    places = [out.index(f"--- {stage} ---\n") for stage in ("kernel", "llvm", "llvm_opt", "ptx", "sass")]
    assert places == sorted(places)
    assert "fma.rn.f32" in out[places[3] : places[4]]
    assert "FFMA" in out[places[4] :]


def test_walkthrough_knows_every_stage() -> None:
    sentences = runpy.run_path(str(EXAMPLES / "walkthrough.py"))["SENTENCES"]
    assert {stage.name for stage in STAGES} <= set(sentences)
