"""Some lanes of a vector, stored without a mask where masked stores are slow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import machine
from convjit.dsl.parse import parse_schedule
from convjit.kernel.ir import Op, lanes, walk
from convjit.kernel.part_stores import parts
from convjit.pipeline import Compilation
from convjit.spec.conv import ConvSpec
from tests import shapes
from tests.convs import conv


def tail(channels: int) -> ConvSpec:
    """Channels in lanes, the last vector cut short."""
    spec = conv((3, 3), (2, channels), (1, 1))
    return replace(spec, dataflow=(parse_schedule("oh ow oc/8 [y] c oc:simd"),))


def stores(spec: ConvSpec, target: str) -> list[tuple[str, int]]:
    """What is stored, and how many lanes."""
    kernel = Compilation(spec, machine.get(target)).kernels[-1]
    found = [s for s in walk(kernel.body) if isinstance(s, Op) and s.name.startswith("store")]
    return sorted({(s.name, lanes(s.type)) for s in found})


def test_runs_are_powers_of_two() -> None:
    assert parts((True,) * 7 + (False,)) == [(0, 4), (4, 2), (6, 1)]
    assert parts((False, True, True, True)) == [(1, 2), (3, 1)]
    assert parts((True, False, True, True)) == [(0, 1), (2, 2)]
    assert parts((False, False)) == []


def test_avx2_stores_runs_and_avx512_masks() -> None:
    assert stores(tail(14), "cpu:avx2") == [("store", 2), ("store", 4), ("store", 8)]
    assert stores(tail(14), "cpu:avx512") == [("store", 8), ("store_masked", 8)]


@pytest.mark.parametrize("channels", range(9, 17))
def test_exact_with_every_tail(channels: int) -> None:
    spec = tail(channels)
    given = shapes.arrays(spec)
    kernel: Any = convjit.compile(spec, target="cpu:avx2")
    assert np.array_equal(kernel(*given), convjit.reference(spec, *given))
