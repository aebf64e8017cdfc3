"""The machines are data that checks itself."""

from __future__ import annotations

import ast
import re
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

import convjit.machine
from convjit import machine
from convjit.errors import ConvError, InternalError
from convjit.machine import Machine
from convjit.machine.intrinsics import INTRINSICS
from convjit.source import Source, Span

FOLDER = Path(convjit.machine.__file__).parent
EACH = pytest.mark.parametrize("m", machine.MACHINES.values(), ids=machine.NAMES)


def test_names_are_those_of_the_language() -> None:
    assert machine.NAMES == (
        "cpu:scalar",
        "cpu:avx2",
        "cpu:avx2_vnni",
        "cpu:avx512",
        "cpu:avx512_vnni",
        "cpu:avx512_bf16",
        "cuda:sm_75",
        "cuda:sm_80",
        "cuda:sm_90a",
    )
    assert machine.get("cpu:avx2").vector_registers == 16


def test_an_unknown_target_names_the_nearest() -> None:
    source = Source("target cpu:avx521", "a.conv")
    with pytest.raises(ConvError) as caught:
        machine.get("cpu:avx521", Span(source, 7, 17))
    assert str(caught.value) == (
        "a.conv:1:8: error: Unknown target 'cpu:avx521'.\n"
        "    1 | target cpu:avx521\n"
        "      |        ^^^^^^^^^^ not a target\n"
        "  note: The targets are cpu:scalar cpu:avx2 cpu:avx2_vnni cpu:avx512 cpu:avx512_vnni cpu:avx512_bf16 "
        "cuda:sm_75 cuda:sm_80 cuda:sm_90a.\n"
        "  hint: Did you mean 'cpu:avx512'?"
    )


@EACH
def test_machines_are_frozen_and_hashable(m: Machine) -> None:
    assert hash(m) == hash(replace(m))
    with pytest.raises(FrozenInstanceError):
        m.sm = 1  # type: ignore[misc]


@EACH
def test_rows_cover_f32_and_f64_at_every_width(m: Machine) -> None:
    for dtype, bits in (("f32", 32), ("f64", 64)):
        widest = m.lanes(bits)
        offered = {row.role("n") for row in m.rows if row.types == (dtype, dtype, dtype)}
        assert offered >= {1, widest}
        assert offered == {n for n in (1, 2, 4, 8, 16) if n == 1 or 128 <= n * bits <= widest * bits}


@EACH
def test_what_rows_call_is_listed_and_there(m: Machine) -> None:
    for row in m.rows:
        for name in re.findall(r"@([\w.]+)", " ".join((*row.code, *row.declare))):
            assert m.kind == "cuda" or INTRINSICS[name].met(m.features)
            assert INTRINSICS[name].sm <= m.sm


@pytest.mark.parametrize("name", [name for name in machine.NAMES if name.startswith("cuda")])
def test_every_gpu_sums_four_products_of_bytes(name: str) -> None:
    rows = {row.types: row for row in machine.get(name).rows if row.role("k") == 4}
    assert set(rows) == {(x, w, "i32") for x in ("u8", "i8") for w in ("u8", "i8")}
    assert all((row.role("n"), row.sm, row.ptx, row.operands) == (1, 61, 50, ("i32",) * 3) for row in rows.values())


def test_named_features_and_nothing_beyond() -> None:
    assert machine.get("cpu:scalar").features == frozenset()
    assert machine.get("cpu:avx2").features == {"avx2", "fma", "f16c", "bmi2"}
    added = machine.get("cpu:avx512").features - machine.get("cpu:avx2").features
    assert added == {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"}
    assert all(m.llvm_cpu == "x86-64" for m in machine.MACHINES.values() if m.kind == "cpu")


def test_machine_files_are_data() -> None:
    """No LLVM in this layer, and no functions in the file of a machine."""
    for path in FOLDER.glob("*.py"):
        tree = ast.parse(path.read_text())
        imported = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
        imported += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
        assert not [name for name in imported if name.startswith("llvmlite")], path.name
        if "MACHINE = " in path.read_text():
            assert not [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)], path.name


def test_two_rows_of_one_name_are_refused() -> None:
    avx2 = machine.get("cpu:avx2")
    with pytest.raises(InternalError, match="^cpu:avx2: two instruction rows are named fma and give f32x8$"):
        replace(avx2, rows=(avx2.rows[0], avx2.rows[0]))


def test_a_row_that_the_machine_cannot_run_is_refused() -> None:
    avx2, avx512, turing = (machine.get(n) for n in ("cpu:avx2", "cpu:avx512", "cuda:sm_75"))
    wrong = "^cpu:avx2: row fma needs avx512f, the machine has \\+avx2,\\+fma,\\+f16c,\\+bmi2$"
    with pytest.raises(InternalError, match=wrong):
        replace(avx2, rows=avx512.rows)
    with pytest.raises(InternalError, match="^cuda:sm_75: row fma needs sm_80, the machine is sm_75$"):
        replace(turing, rows=(replace(turing.rows[0], sm=80),))


def test_memory_levels() -> None:
    assert machine.get("cpu:avx512").cache("L2").bytes == 1 << 20
    with pytest.raises(InternalError, match="^cpu:avx2 has no memory level named L4$"):
        machine.get("cpu:avx2").cache("L4")
    assert machine.get("cuda:sm_90a").cache("shared").bytes == machine.get("cuda:sm_90a").shared_bytes
