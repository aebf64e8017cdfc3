"""Rooflines: what is measured, and kernels below it."""

from __future__ import annotations

from pathlib import Path

import pytest

from convjit import machine
from convjit.api import compilation, read
from convjit.cost import cost
from convjit.errors import Unavailable
from convjit.runtime.peak import Peak
from convjit.study import roofline
from convjit.study.roofline import KernelPoint, Roofline, measure, peak, point

ROOF = Roofline("cpu:avx2", 1, {"f32": Peak(100e9, "played")}, {"L2": 50e9, "memory": 10e9})


def test_a_roof() -> None:
    assert ROOF.ridge("f32") == 10
    assert ROOF.ridge("f32", "L2") == 2
    assert [ROOF.roof("f32", i) for i in (1, 5, 10, 1000)] == [10e9, 50e9, 100e9, 100e9]
    assert ROOF.roof("f32", 1, "L2") == 50e9


def test_a_kernel_below_it() -> None:
    found = KernelPoint("k", "f32", 4_000, 1_000, 1e-7)
    assert (found.intensity, found.rate) == (4.0, pytest.approx(40e9))
    assert ROOF.share(found) == pytest.approx(1.0)
    assert ROOF.share(KernelPoint("k", "i16", 4_000, 1_000, 1e-7)) is None


def test_a_point_from_a_cost() -> None:
    text = "conv l { input x : u8[N=1, H=8, W=8, C=16]; weight w : i8[KH=1, KW=1, OC=32, IC=16] }"
    ((spec, syntax),) = read(text).values()
    c = cost(compilation(spec, syntax, "cpu:avx2"))
    found = point("l", c, 1e-6)
    assert (found.dtype, found.operations, found.bytes) == ("i16", 2 * 64 * 16 * 32, c.bytes)
    assert found.rate == pytest.approx(found.operations * 1e6)


def test_something_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "bandwidths", lambda machine, threads: {"memory": 1e9 * threads})
    monkeypatch.setattr("convjit.runtime.peak.SECONDS", 1e-4)
    found = measure(machine.get("cpu:scalar"), 1, ("f32", "bf16", "f8e4m3"))
    assert found.peaks.keys() == {"f32", "bf16"}
    assert 1e7 < found.peaks["f32"].operations < 1e13
    assert found.bandwidths == {"memory": 1e9}


def test_the_fastest_instruction_is_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"i64": 1e9, "i32": 2e9}
    monkeypatch.setattr(roofline, "measure_peak", lambda m, types, threads: Peak(rates[types[2]], types[2]))
    assert peak(machine.get("cpu:scalar"), "i32", 1) == Peak(2e9, "i32")


def test_what_has_no_roofline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        measure(machine.get("cuda:sm_80"))
    assert str(caught.value) == (
        "error: The roofline of cuda:sm_80 is not measured: there is no bandwidth kernel for GPUs yet.\n"
        "  hint: Give a target of the processor."
    )
    monkeypatch.setattr(roofline, "missing", lambda required: ("avx512f",))
    with pytest.raises(Unavailable) as caught:
        measure(machine.get("cpu:avx512"))
    assert str(caught.value) == (
        "error: This machine cannot run cpu:avx512: it has no avx512f.\n"
        "  hint: `convjit targets` shows what runs here."
    )
