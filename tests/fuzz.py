"""Random convolution x random schedule: every form that it goes through must compute exactly the same.

python tests/fuzz.py SEED COUNT [TARGET]      prints how many were exact, refused (by reason) and wrong
"""

from __future__ import annotations

import random
import re
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from convjit.dsl.parse import parse_schedule
from convjit.dtypes import bits
from convjit.emit.llvm import emit_module
from convjit.emit.ptx import ptx
from convjit.errors import ConvError
from convjit.kernel.from_nest import lower
from convjit.kernel.interpret import interpret as interpret_kernel
from convjit.kernel.ir import Kernel
from convjit.kernel.verify import verify as verify_kernel
from convjit.machine.machine import Machine
from convjit.machine.registry import get
from convjit.nest.domain import Domain, domain
from convjit.nest.from_schedule import build
from convjit.nest.interpret import interpret
from convjit.nest.ir import Nest
from convjit.nest.limits import check_limits
from convjit.nest.pack import pack_nest
from convjit.nest.parse import parse
from convjit.nest.passes import PASSES, run_passes
from convjit.nest.points import all_sizes
from convjit.nest.verify import verify
from convjit.runtime.assemble import Library
from convjit.schedule.dataflow import DATAFLOWS
from convjit.schedule.from_ast import phase as lower_phase
from convjit.schedule.legal import check as check_schedule
from convjit.schedule.schedule import Phase, Schedule
from convjit.spec.conv import ConvSpec
from convjit.spec.reference import reference
from convjit.spec.unsupported import refuse
from tests import compiled
from tests.conftest import processor_flags
from tests.random_specs import CURVES, Array, random_arrays, random_sizes, random_spec
from tests.schedules import Axes, random_schedule
from tests.schedules_gpu import random_gpu_schedule

Arrays = dict[str, Array]
Ranges = Mapping[str, tuple[int, int]]
Run = Callable[[Arrays, dict[str, int], Ranges], object]
"""Runs one form: arrays, all open sizes, and the part that a worker does."""


@dataclass
class Case:
    """One draw; `repr` is what a bug report needs."""

    seed: int
    spec: ConvSpec
    schedule: str
    sizes: dict[str, int]
    arrays: Arrays

    def __repr__(self) -> str:
        return f"seed {self.seed} {self.sizes or ''}\n{self.spec}\n{self.schedule}"


def draw(seed: int, machine: Machine) -> Case:
    """The case of a seed."""
    r = random.Random(seed)
    spec = random_spec(r)
    while machine.kind == "cuda" and spec.input.dtype != "f32":
        spec = random_spec(r)
    schedule = named_schedule(r, spec, machine) if r.random() < 0.25 else ""
    if not schedule and machine.kind == "cuda":
        schedule = random_gpu_schedule(r, Axes(spec))
    elif not schedule:
        schedule = random_schedule(r, spec, machine.lanes(bits(spec.accumulator)))
    sizes = random_sizes(r, spec)
    return Case(seed, spec, schedule, sizes, random_arrays(seed, spec, sizes))


def named_schedule(r: random.Random, spec: ConvSpec, machine: Machine) -> str:
    """The lines of a dataflow by name; none where the machine cannot realise it."""
    by_kind = DATAFLOWS[r.choice(sorted(DATAFLOWS.keys() - {"zero_skipping"}))]  # its fuzzer: test_zero_skipping
    try:
        (phase,) = by_kind[machine.kind](spec, machine).phases
    except (KeyError, ConvError):
        return ""
    return "\n".join(phase.lines())


def check(case: Case, machine: Machine) -> None:
    """Run every form. AssertionError where one is wrong, ConvError where the schedule is refused."""
    arguments = {t.name: case.arrays[t.name] for t in case.spec.arguments}
    want = reference(case.spec, **arguments)
    made = domain(case.spec)
    phase = lower_phase(parse_schedule(case.schedule))
    nests = build(made, phase, machine)
    arrays = with_packed(case, made, phase, machine)
    for name, change in (("nest", unchanged), *PASSES[machine.kind]):
        before, nests = nests, tuple(change(n, phase) for n in nests)
        if nests == before and name != "nest":
            continue
        for nest in nests:
            verify(nest)
            assert parse(str(nest)) == nest, f"{name}: the text is read back as another nest"
        compare(name, case, nests, arrays, want, [nest_runner(n) for n in nests])
    refuse(case.spec)  # so late that nests which have no instructions yet are run as well
    check_schedule(case.spec, Schedule((phase,)), machine)
    for nest in nests:
        check_limits(nest, machine)
    kernels = tuple(lower(nest, machine) for nest in nests)
    for kernel in kernels:
        verify_kernel(kernel, machine)
    compare("kernel", case, nests, arrays, want, [kernel_runner(k, machine) for k in kernels])
    if machine.kind == "cuda":
        ptx(emit_module(kernels, machine), machine)
    elif set(machine.required) <= processor_flags():
        library = compiled.compiled(kernels, machine)
        runs = [code_runner(library, k) for k in kernels]
        compare("machine code", case, nests, arrays, want, runs)


def unchanged(nest: Nest, phase: Phase) -> Nest:
    """As it was built."""
    return nest


# --- running a form ---------------------------------------------------------------------------------------------


def nest_runner(nest: Nest) -> Run:
    """By the nest's interpreter."""
    return lambda arrays, sizes, ranges: interpret(nest, arrays, sizes, ranges, counting=False)


def kernel_runner(kernel: Kernel, machine: Machine) -> Run:
    """By the kernel's interpreter."""
    return lambda arrays, sizes, ranges: interpret_kernel(kernel, machine, arrays, named(sizes), ranges)


def code_runner(library: Library, kernel: Kernel) -> Run:
    """By the processor."""
    return lambda arrays, sizes, ranges: compiled.call(library, kernel, arrays, named(sizes), ranges)


def named(sizes: Mapping[str, int]) -> dict[str, int]:
    """As kernels call the open sizes."""
    return {f"size.{name}": size for name, size in sizes.items()}


def compare(name: str, case: Case, nests: tuple[Nest, ...], arrays: Arrays, want: Array, runs: list[Run]) -> None:
    """The nests one after the other, each worker doing its part in a random order."""
    r = random.Random(case.seed)
    output = case.spec.output.name
    arrays = {**arrays, output: np.full_like(arrays[output], 99)}
    for nest, run in zip(nests, runs, strict=True):
        sizes = all_sizes(nest, case.sizes)
        parts: list[dict[str, tuple[int, int]]] = [{}]
        for axis in nest.workers:
            cuts = chunks(r, axis.extent.value(sizes), axis.step)
            parts = [{**p, axis.name: cut} for p in parts for cut in cuts]
        for part in r.sample(parts, len(parts)):
            run(arrays, sizes, part)
    got = arrays[output]
    assert same(case.spec, got, want), f"{name} is wrong in {differences(got, want)}"


def with_packed(case: Case, made: Domain, phase: Phase, machine: Machine) -> Arrays:
    """The arrays that the nest reads: the weight packed by a nest of its own."""
    arrays = dict(case.arrays)
    for pack in phase.packs:
        nest = pack_nest(made, case.spec, pack, machine.lanes(32), machine.kind == "cuda")
        nest = verify(run_passes(verify(nest), phase, machine.kind))
        assert parse(str(nest)) == nest, "the text of the packing nest is read back as another"
        source, packed = nest.buffers
        assert packed.layout
        arrays[packed.name] = np.full(packed.layout.elements(), 55, arrays[source.name].dtype)
        interpret(nest, arrays, counting=False)
    return arrays


def chunks(r: random.Random, extent: int, step: int) -> list[tuple[int, int]]:
    """Parts of a thread axis, multiples of its step."""
    cuts = range(step, extent, step)
    points = [0, *sorted(r.sample(cuts, min(2, len(cuts)))), extent]
    return list(pairwise(points))


def same(spec: ConvSpec, got: Array, want: Array) -> bool:
    """Exactly, but for steps that round."""
    if not any(step.op in CURVES for step in spec.then):
        return np.array_equal(got, want)
    near = 1e-5 if spec.accumulator == "f32" else 1e-14
    return np.allclose(got, want, near, near)


def differences(got: Array, want: Array) -> str:
    """Where and how two outputs differ."""
    places = np.argwhere(got != want)
    first = tuple(int(i) for i in places[0])
    return f"{len(places)} of {want.size} elements; at {first} {got[first]} instead of {want[first]}"


# --- many cases -------------------------------------------------------------------------------------------------


def outcomes(seed: int, count: int, machine: Machine) -> Iterator[tuple[Case, str]]:
    """Case by case: "exact", "refused: why", or what is wrong."""
    for at in range(seed, seed + count):
        case = draw(at, machine)
        try:
            check(case, machine)
            yield case, "exact"
        except ConvError as error:
            yield case, "refused: " + re.sub(r"'[^']*'|\d+", "…", error.diagnostics[0].message)[:90]
        except Exception as error:  # noqa: BLE001  whatever goes wrong is what is looked for
            text = str(error) if str(error)[:1].islower() else traceback.format_exc(limit=-3)
            yield case, "WRONG " + text


def main(seed: int, count: int, target: str = "cpu:avx2") -> int:
    """Print the tally, and every wrong case."""
    tally: Counter[str] = Counter()
    with suppress(KeyboardInterrupt):
        for case, outcome in outcomes(seed, count, get(target)):
            tally["WRONG" if outcome.startswith("WRONG") else outcome] += 1
            if outcome.startswith("WRONG"):
                print(f"{case!r}\n  {outcome}\n", flush=True)
    for outcome, n in tally.most_common():
        print(f"{n:6d} {outcome}")
    return int(tally["WRONG"] > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
