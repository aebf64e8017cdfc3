"""Where loops are cut: looking only near the changes finds the same cuts as looking everywhere."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from convjit import machine
from convjit.dsl.parse import parse_schedule
from convjit.errors import ConvError
from convjit.nest.from_schedule import nests
from convjit.nest.ir import Nest
from convjit.nest.passes import segments
from convjit.nest.passes.peel_borders import instances, peel_borders
from convjit.schedule.choose import choose
from convjit.spec.conv import ConvSpec
from tests.convs import conv
from tests.random_specs import random_spec
from tests.schedules import random_schedule

AVX2 = machine.get("cpu:avx2")


def built(spec: ConvSpec, schedule: str) -> Nest:
    """The nest of the convolution itself, unpeeled."""
    spec = replace(spec, dataflow=(parse_schedule(schedule),))
    return nests(spec, choose(spec, AVX2), AVX2)[-1][0]


@pytest.mark.parametrize("seed", range(40))
def test_few_probes_find_every_cut(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    r = random.Random(seed)
    spec = random_spec(r)
    try:
        nest = built(spec, random_schedule(r, spec))
    except ConvError:
        return
    monkeypatch.setattr(segments, "EVERY", 1 << 30)
    everywhere = peel_borders(nest)
    monkeypatch.setattr(segments, "EVERY", 0)
    assert peel_borders(nest) == everywhere


def test_a_loop_of_many_turns_is_cut_at_once() -> None:
    spec = conv((200_000,), (1, 8), (3,))
    nest = built(spec, "oc/8 ow/4 [y] kw c ow:unroll oc:simd")
    start = time.perf_counter()
    peeled = peel_borders(nest)
    assert time.perf_counter() - start < 0.2
    assert instances(peeled.body) < 100


def test_tiles_in_chunks_that_do_not_divide_are_not_cut_apart() -> None:
    """The last chunk is shorter; all before it are one loop."""
    spec = conv((50, 50), (4, 8), (1, 1))
    nest = built(spec, "fuse p = oh.ow\np/48 oc/8 p/6 [y] c p:unroll oc:simd")
    assert instances(peel_borders(nest).body) < 80
