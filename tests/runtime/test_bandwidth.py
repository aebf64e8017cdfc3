"""Bandwidths: what is read, and that it is read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convjit import machine
from convjit.runtime import bandwidth
from convjit.runtime.assemble import CodeTarget, assembly
from convjit.runtime.bandwidth import _text, bandwidths, blocks
from convjit.runtime.detect import host

HERE = replace(host(), l1=32 << 10, l2=1 << 20, l3=32 << 20)


def test_blocks_fit_their_level() -> None:
    assert blocks(HERE, 1) == {"L1": 1 << 14, "L2": 1 << 19, "L3": 4 << 20, "memory": 256 << 20}
    assert blocks(HERE, 2) == {"L1": 1 << 14, "L2": 1 << 19, "L3": 4 << 20, "memory": 128 << 20}


def test_levels_that_cannot_be_told_apart_are_left_out() -> None:
    assert list(blocks(HERE, 16)) == ["L1", "L2", "memory"]
    assert list(blocks(replace(HERE, l1=0, l2=0, l3=0), 1)) == ["memory"]


def test_the_widest_loads_are_used() -> None:
    wide = machine.get("cpu:avx512")
    text = assembly(_text(wide), CodeTarget(wide.llvm_cpu, wide.llvm_features))
    assert text.count("(%rdi,%r") == bandwidth.UNROLLED
    assert "zmm" in text


def test_something_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bandwidth, "SECONDS", 1e-4)
    monkeypatch.setattr(bandwidth, "blocks", lambda here, threads: {"L2": 1 << 16})
    rates = bandwidths(machine.get("cpu:scalar"), 2)
    assert list(rates) == ["L2"]
    assert 1e8 < rates["L2"] < 1e13
