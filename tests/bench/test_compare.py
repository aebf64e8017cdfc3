"""The whole comparison, on a tiny layer and without other libraries."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench import compare, measure
from convjit import reference
from convjit.machine import get
from convjit.runtime import bandwidth
from convjit.runtime.detect import host
from convjit.spec.conv import ConvSpec

FACTS = """\
network,layer,times,groups,c,oc,h,w,kh,kw,stride,dilation,pad_h,pad_w
special,tiny,1,1,4,8,5,5,3,3,1,1,1,1
"""


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    path = tmp_path / "layers.csv"
    path.write_text(FACTS)
    return path


def called(*arguments: object) -> Result:
    return CliRunner().invoke(compare.main, [str(argument) for argument in arguments])


def test_a_tiny_layer_without_peers(facts: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    quick = ("--seconds", 0.002, "--rounds", 2, "--peers", "")
    outcome = called("--facts", facts, "--out", out, *quick)
    assert outcome.exit_code == 0, outcome.output
    (table,) = out.glob("*.csv")
    with table.open() as file:
        rows = {row["candidate"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["convjit", "convjit nchw", "convjit numpy"]
    assert all(float(row["us"]) > 0 and float(row["nrmse"]) < 1e-6 and not row["problem"] for row in rows.values())
    report = table.with_suffix(".md").read_text()
    assert outcome.stdout == report
    assert "| 5x5x4 3x3 8 " in report and "measured limits: multiply-adds" in report
    assert table.with_suffix(".svg").exists()


@pytest.mark.parametrize("zero", [0, 128])
def test_the_same_in_8_bits(zero: int, facts: Path, tmp_path: Path) -> None:
    quick = ("--seconds", 0.002, "--rounds", 2, "--peers", "", "--types", "u8", "--zero", zero)
    outcome = called("--facts", facts, "--out", tmp_path, *quick)
    assert outcome.exit_code == 0, outcome.output
    (table,) = tmp_path.glob(f"u8-{'zero128-' if zero else '[!z]'}*-1t.csv")
    with table.open() as file:
        rows = {row["candidate"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["convjit", "convjit nchw", "convjit numpy"]
    assert all(float(row["us"]) > 0 and (row["differ"], row["outputs"]) == ("0", "200") for row in rows.values())
    report = table.with_suffix(".md").read_text()
    assert report.startswith(f"# u8{'-zero128' * bool(zero)} on cpu:")
    assert "Gop/s | peak |" in report and "## Not exact" not in report


def test_one_wrong_integer_is_enough(facts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(spec: ConvSpec, **given: Any) -> np.ndarray[Any, Any]:
        y = reference(spec, **given)
        y.flat[3] ^= 1
        return y

    monkeypatch.setattr(measure, "reference", spoiled)
    outcome = called("--facts", facts, "--out", tmp_path, "--types", "u8", "--peers", "", "--rounds", 2)
    assert outcome.exit_code == 1
    assert "- convjit: wrong: 1 of 200 differ, by up to 1 (" in outcome.stdout


def test_a_wrong_result_is_not_timed(facts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "reference", lambda spec, **given: np.arange(200.0).reshape(1, 5, 5, 8))
    outcome = called("--facts", facts, "--out", tmp_path, "--peers", "", "--rounds", 2)
    assert outcome.exit_code == 1
    assert "convjit wrong: NRMSE" in outcome.stderr
    assert "- convjit: wrong: NRMSE" in outcome.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--layers", "resnet"), "There is no set of layers 'resnet'."),
        (("--peers", "tourch"), "There is no library 'tourch'."),
        (("--threads", "two"), "'two' is no number of threads."),
        (("--threads", "999"), "999 threads cannot have a processor each: this process may use"),
        (("--only", "nothing like it"), "There is no such layer."),
        (("--zero", "128"), "error: '--zero 128' has no meaning for f32.\n  hint: It goes with --types u8.\n"),
        (("--bits", "7"), "error: '--bits 7' has no meaning for f32.\n  hint: It goes with --types u8.\n"),
        (
            ("--types", "u8", "--zero", "128", "--bits", "7"),
            "error: '--zero 128' has no meaning for 7 bits.\n  hint: It goes with --bits 8.\n",
        ),
    ],
)
def test_wrong_options(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    outcome = called("--out", tmp_path, *arguments)
    assert outcome.exit_code == 2
    assert message in outcome.stderr


def test_instructions_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "missing", lambda required: ("avx512f",))
    outcome = called("--isa", "avx512")
    assert outcome.exit_code == 2
    assert outcome.stderr == "error: This machine cannot run cpu:avx512: it has no avx512f.\n"


def test_who_cannot_be_limited() -> None:
    more = host().runs(get("cpu:avx512").required[-5:-4])
    assert compare.at_liberty("avx2") == (frozenset({"onnxruntime"}) if more else frozenset())
    assert compare.at_liberty("best") == frozenset()


@pytest.mark.parametrize(
    ("isa", "types", "flags", "free"),
    [
        ("avx512", "f32", {"avx512f", "avx512_vnni"}, False),
        ("avx512", "u8", {"avx512f", "avx512_vnni"}, True),
        ("avx512_vnni", "u8", {"avx512f", "avx512_vnni"}, False),
        ("avx512_vnni", "u8", {"avx512f", "avx512_vnni", "amx_int8"}, True),
        ("avx2", "u8", {"avx2", "avx_vnni"}, True),
        ("avx2", "f32", {"avx2", "avx_vnni"}, False),
        ("best", "u8", {"avx512f", "avx512_vnni", "amx_int8"}, False),
    ],
)
def test_what_is_better_depends_on_types(
    isa: str, types: str, flags: set[str], free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "host", lambda: replace(host(), flags=frozenset(flags)))
    assert bool(compare.at_liberty(isa, types)) is free


def test_the_blocks_of_this_machine_are_whole() -> None:
    assert all(size % 512 == 0 for size in bandwidth.blocks(host(), 1).values())
