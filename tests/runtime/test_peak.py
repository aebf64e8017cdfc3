"""The peak: what is counted, and where nothing can be said."""

from __future__ import annotations

import pytest

from convjit import machine
from convjit.runtime.cuda import Gpu
from convjit.runtime.peak import Peak, _chains, _text, measure, of_gpu

F32 = ("f32", "f32", "f32")
H100 = Gpu(0, "H100", 90, 132, 80 << 30, 1980.0, 130)


def test_a_scalar_peak_is_found() -> None:
    peak = measure(machine.get("cpu:scalar"), F32)
    assert peak is not None
    assert peak.operations > 1e8
    assert str(peak).endswith("GFLOP/s, measured with scalar fma")


def test_it_is_measured_once() -> None:
    assert measure(machine.get("cpu:scalar"), F32) is measure(machine.get("cpu:scalar"), F32)


@pytest.mark.isa("avx2", "fma")
def test_the_widest_instruction_is_taken() -> None:
    avx2 = machine.get("cpu:avx2")
    row = max((r for r in avx2.rows if r.types == F32), key=lambda r: r.role("n"))
    text = _text(row, avx2)
    assert text.count("@llvm.fma.v8f32(") == _chains(avx2) + 1
    peak = measure(avx2, F32, threads=2)
    assert peak is not None and peak.origin == "measured with avx2 fma"


def test_no_instruction_no_peak() -> None:
    assert measure(machine.get("cpu:scalar"), ("u8", "i64", "f32")) is None


def test_a_gpu_s_peak_is_computed() -> None:
    peak = of_gpu(H100, F32)
    assert peak == Peak(2e6 * 1980.0 * 132 * 128, "computed from 132 x 128 units at 1980 MHz")
    assert of_gpu(H100, ("f64", "f64", "f64")) is None
