"""Random convolutions of bytes, random schedules with dot products: all forms compute the same (`tests/fuzz.py`)."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from convjit import dtypes, machine
from convjit.errors import ConvError
from convjit.schedule.dataflow import DATAFLOWS
from convjit.spec.conv import ConvSpec
from tests.fuzz import Case, check
from tests.random_specs import random_arrays, random_sizes, random_spec
from tests.schedules import Axes
from tests.schedules_gpu import random_dot_schedule

BYTES = ("u8", "i8")


def bytes_spec(r: random.Random) -> ConvSpec:
    """A convolution of bytes whose channels lie side by side, two at least in a group."""
    spec = random_spec(r)
    while spec.input.dtype not in BYTES or spec.accumulator != "i32" or spec.ic_per_group < 2:
        spec = random_spec(r)
    tensors = []
    for t in spec.tensors:
        last = {"input": "C", "weight": "IC" if r.random() < 0.4 else ""}.get(t.role, "")
        order = sorted(range(len(t.axes)), key=lambda i: t.axes[i] == last)
        tensors.append(replace(t, axes=tuple(t.axes[i] for i in order), sizes=tuple(t.sizes[i] for i in order)))
    return replace(spec, tensors=tuple(tensors))


def draw(seed: int, m: machine.Machine) -> Case:
    """The case of a seed: a schedule at random, or a dataflow's."""
    r = random.Random(seed)
    spec = bytes_spec(r)
    sizes = random_sizes(r, spec)
    arrays = random_arrays(seed, spec, sizes)
    rng = np.random.default_rng(seed)
    for t in (spec.input, spec.weight):
        low, high = dtypes.limits(t.dtype)
        arrays[t.name] = rng.integers(low, high + 1, arrays[t.name].shape).astype(arrays[t.name].dtype)
    return Case(seed, spec, schedule(r, spec, m), sizes, arrays)


def schedule(r: random.Random, spec: ConvSpec, m: machine.Machine) -> str:
    """The lines."""
    if r.random() < 0.6:
        return random_dot_schedule(r, Axes(spec))
    word = r.choice(["input_stationary", "weight_stationary"]) if not spec.open_sizes else "output_stationary"
    return "\n".join(DATAFLOWS[word]["cuda"](spec, m).phases[0].lines())


def tally(seeds: range, target: str) -> Counter[str]:
    """How many were exact, and how many refused."""
    found: Counter[str] = Counter()
    m = machine.get(target)
    for seed in seeds:
        case = draw(seed, m)
        try:
            check(case, m)
            found["exact"] += 1
        except ConvError:
            found["refused"] += 1
        except Exception as error:
            raise AssertionError(f"{case!r}") from error
    return found


@pytest.mark.parametrize("target", ["cuda:sm_75", "cuda:sm_80"])
def test_some(target: str) -> None:
    assert tally(range(40, 60), target)["exact"] >= 8


@pytest.mark.sweep
@pytest.mark.parametrize("target", ["cuda:sm_75", "cuda:sm_80", "cuda:sm_90a"])
@pytest.mark.parametrize("seed", range(0, 1000, 50))
def test_many(seed: int, target: str) -> None:
    assert tally(range(seed, seed + 50), target)["exact"] >= 20
