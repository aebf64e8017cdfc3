"""Tiles written at once are what the general way writes, name for name."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from convjit import machine
from convjit.dsl.parse import parse_schedule
from convjit.errors import ConvError, InternalError
from convjit.kernel import loops
from convjit.pipeline import Compilation
from convjit.spec.conv import ConvSpec
from tests.convs import conv
from tests.random_specs import random_spec
from tests.schedules import random_schedule

SHAPES = [
    conv((12, 12), (8, 24), (3, 3)),
    conv((9, 14), (16, 16), (3, 3), groups=16),
    conv((9, 14), (16, 16), (3, 3), groups=4, stride=2),
    conv((9, 14), (6, 16), (3, 3), x="NCHW"),
    conv((9, 14), (16, 16), (5, 5), groups=16, x="NCHW"),
    conv((7, 7), (3, 5), (1, 1), batch="?"),
]


def kernels(spec: ConvSpec) -> list[str]:
    """The text of every kernel."""
    return [str(k) for k in Compilation(spec, machine.get("cpu:avx2")).kernels]


def both_ways(spec: ConvSpec, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """With tiles written at once, and without."""
    at_once = kernels(spec)
    with monkeypatch.context() as patch:
        patch.setattr(loops, "burst", lambda *_: False)
        return at_once, kernels(spec)


@pytest.mark.parametrize("spec", SHAPES, ids=range(len(SHAPES)))
def test_default_schedules(spec: ConvSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, turn_by_turn = both_ways(spec, monkeypatch)
    assert at_once == turn_by_turn


@pytest.mark.parametrize("seed", range(30))
def test_random_schedules(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    r = random.Random(seed)
    spec = random_spec(r)
    spec = replace(spec, dataflow=(parse_schedule(random_schedule(r, spec)),))
    try:
        at_once, turn_by_turn = both_ways(spec, monkeypatch)
    except (ConvError, InternalError):
        return  # refused, or lanes without an instruction
    assert at_once == turn_by_turn
