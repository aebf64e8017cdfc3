"""What is predicted is what the interpreter counts, number for number: random schedules, and every dataflow by name."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from convjit import dtypes
from convjit.cost.predict import predict
from convjit.dsl.parse import parse_schedule
from convjit.errors import ConvError
from convjit.machine.registry import get
from convjit.nest.domain import domain
from convjit.nest.from_schedule import build
from convjit.nest.interpret import interpret
from convjit.nest.ir import Nest
from convjit.nest.parse import parse
from convjit.nest.passes import run_passes
from convjit.nest.points import all_sizes, concrete
from convjit.pipeline import Compilation
from convjit.schedule.from_ast import phase
from convjit.spec.conv import ConvSpec
from convjit.spec.unsupported import refuse
from tests.fuzz import draw
from tests.nest.test_interpret_gpu import SUMS
from tests.random_specs import Array, random_sizes, random_spec

AVX2 = get("cpu:avx2")
WORDS = ("output_stationary", "weight_stationary", "input_stationary", "row_stationary")
TARGETS = ("cpu:avx2", "cpu:scalar", "cpu:avx512", "cuda:sm_80")
SEED, SPECS = 400, 30


def zeros(nest: Nest, sizes: dict[str, int]) -> dict[str, Array]:
    """Arrays for its buffers in memory: what is counted does not depend on what they hold."""
    known = all_sizes(nest, sizes)
    return {
        b.name: np.zeros(concrete(b.layout, known).elements(), dtypes.get(b.dtype).numpy)
        for b in nest.buffers
        if b.level == "memory" and b.layout
    }


def compare(nest: Nest, sizes: dict[str, int], what: object) -> None:
    """Predicted and counted."""
    assert predict(nest, sizes) == interpret(nest, zeros(nest, sizes), sizes), f"{what}\n{nest}"


# --- random schedules -------------------------------------------------------------------------------------------


def compared(seeds: range, machine_name: str, passes: bool) -> int:
    """How many nests of random schedules were compared."""
    machine, count = get(machine_name), 0
    for seed in seeds:
        case = draw(seed, machine)
        lines = phase(parse_schedule(case.schedule))
        try:
            nests = build(domain(case.spec), lines, machine)
            nests = tuple(run_passes(n, lines, machine.kind) for n in nests) if passes else nests
        except ConvError:
            continue
        for nest in nests:
            compare(nest, case.sizes, case)
            count += 1
    return count


@pytest.mark.parametrize("passes", [False, True])
def test_random_schedules(passes: bool) -> None:
    assert compared(range(5000, 5008), "cpu:avx2", passes) > 5


@pytest.mark.sweep
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", range(5000, 5400, 50))
def test_many_random_schedules(seed: int, target: str) -> None:
    assert compared(range(seed, seed + 50), target, passes=True) > 20


# --- dataflows by name ------------------------------------------------------------------------------------------


def specs(count: int) -> Iterator[tuple[ConvSpec, dict[str, int]]]:
    """Small convolutions: tails, strides, dilation, groups, padding, every layout, types, open sizes."""
    r = random.Random(SEED)
    for _ in range(count):
        spec = random_spec(r)
        yield spec, random_sizes(r, spec)


def dataflow(spec: ConvSpec, sizes: dict[str, int], word: str, target: str) -> bool:
    """Compare every nest of a call; False where the target cannot realise it."""
    spec = replace(spec, dataflow=word)
    try:
        refuse(spec)
        nests = Compilation(spec, get(target)).nests
    except ConvError:
        return False
    for nest in nests:
        compare(nest, sizes, (spec, word, target))
    return True


def tally(cases: Iterator[tuple[ConvSpec, dict[str, int]]], targets: tuple[str, ...]) -> Counter[tuple[str, str]]:
    """How many were compared, for each word and target."""
    found: Counter[tuple[str, str]] = Counter()
    for spec, sizes in cases:
        for target in targets:
            for word in WORDS:
                found[target, word] += dataflow(spec, sizes, word, target)
    return found


def test_a_sample_of_the_dataflows() -> None:
    found = tally(specs(5), ("cpu:avx2", "cuda:sm_80"))
    assert all(found["cpu:avx2", word] == 5 for word in WORDS)
    assert found["cuda:sm_80", "output_stationary"] >= 3


@pytest.mark.sweep
@pytest.mark.parametrize("target", TARGETS)
def test_every_dataflow_on_thirty_specs(target: str) -> None:
    found = tally(specs(SPECS), (target,))
    assert found[target, "output_stationary"] >= (SPECS if target[:3] == "cpu" else SPECS // 2)
    for word in WORDS:
        assert found[target, word] >= (0 if (word, target[:4]) == ("row_stationary", "cuda") else SPECS // 3)


# --- by hand ----------------------------------------------------------------------------------------------------


def test_blocks_and_threads() -> None:
    compare(parse(SUMS), {}, "rings")
    text = (
        "nest g\n  grid 3 threads 32\n  memory y: f32[i] of i=80\n"
        "  par i.0 in 40 step 2 of global; vec i.1 in 0..2\n    y[i.0+i.1] = 1:f32 when 0<=i.0<80"
    )
    compare(parse(text), {}, "numbered through all blocks")


def test_threads_that_run_loops_of_their_own_length_and_threads_that_do_nothing() -> None:
    text = (
        "nest g\n  grid 2 threads 32\n  memory x: f32[i] of i=64\n  memory y: f32[i] of i=64\n  registers y.r: f32[]\n"
        "  let i.0 in 2 step 32 of block\n  par i.1 in 32 of thread\n    y.r[] = 0:f32\n"
        "  par i.1 in 32 of thread; for k.0 in 0..i.1\n    y.r[] += x[i.0+k.0] * x[k.0] when 0<=i.1-8<16\n"
        "  par i.1 in 32 of thread\n    y[i.0+i.1] = y.r[]"
    )
    nest = parse(text)
    compare(nest, {}, "triangle")
    assert predict(nest).operations["product", "f32"] == 2 * sum(range(8, 24))


def test_guards_inside_loops_are_told_apart_by_what_stands_outside() -> None:
    """Values of a guard's outer variables may be 0 and 1, which are no verdicts."""
    text = (
        "nest a\n  memory x: f32[i] of i=9\n  memory y: f32[] of\n"
        "  for a.0 in 0..9; for b.0 in 0..3; unroll k.0 in 0..3\n"
        "    y[] += (x[a.0+b.0+k.0-2] inside 0<=a.0+b.0+k.0-2<9) * (x[a.0+b.0+k.0-2] inside 0<=a.0+b.0+k.0-2<9)"
    )
    compare(parse(text), {}, "window")


def test_parts_that_only_some_blocks_or_turns_run() -> None:
    text = (
        "nest g\n  grid 4 threads 32\n  memory x: f32[i, j] of i=4 j=32\n  memory y: f32[i, j] of i=4 j=32\n"
        "  shared x.s: f32[j] of j=32\n  let i.0 in 4 of block\n  for k.0 in 0..3\n    barrier\n"
        "    if 0<=k.0-2<1; par j.0 in 32 of thread\n      x.s[j.0] = x[i.0, j.0]\n"
        "    if 0<=i.0-1<2; par j.0 in 32 of thread\n      y[i.0, j.0] = x[i.0, j.0]"
    )
    compare(parse(text), {}, "guards over blocks and turns")
    assert predict(parse(text)).elements == {
        ("x", "load"): 4 * 32 + 2 * 3 * 32, ("x", "use"): 4 * 32 + 2 * 3 * 32,
        ("x.s", "store"): 4 * 32, ("y", "store"): 2 * 3 * 32,
    }  # fmt: skip
