"""Our convolutions in integers beside our own in f32, on the same layers: ratios, and parts of what the machine can do.

    python bench/integers.py --isa avx2 --threads 1,2

Weights are bound, everything is compared with the exact reference first, and the types take turns in bursts, in several
rounds, together with the multiply-adds on registers that are their limits. Times are medians.
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, log
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

import click

from bench import about, layers
from bench.compare import machine_for, numbers, words
from bench.integer_cases import CASES
from bench.layers import NHWC, Layer
from bench.problem import Problem
from bench.session import say
from bench.tables import rows_of
from convjit import api
from convjit.bench import ours
from convjit.bench.candidate import Candidate
from convjit.bench.peak import highest
from convjit.bench.pinning import processors, release, spread
from convjit.bench.workers import ISA
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.runtime.burst import burst


@dataclass
class Times:
    """Of one type on one layer: seconds of a call, by round; the highest of the peaks measured in the rounds (operations per
    second); or the problem."""

    layer: Layer
    name: str
    operations: int
    problem: str = ""
    seconds: list[float] = field(default_factory=list)
    peaks: list[float] = field(default_factory=list)

    @property
    def time(self) -> float | None:
        """The median."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def rate(self) -> float | None:
        """Operations per second."""
        return self.operations / self.time if self.time else None

    @property
    def of_peak(self) -> float | None:
        """The part of the peak."""
        peak = max(self.peaks, default=0.0)
        return self.rate / peak if self.rate and peak else None


def prepare(layer: Layer, case: Problem, target: str, threads: int) -> tuple[Candidate | None, Times]:
    """Compiled, bound and compared; no candidate where that fails."""
    spec = case.spec(layer, NHWC)
    times = Times(layer, case.name, spec.operations or 0)
    given = case.data(spec)
    try:
        candidate = ours.candidate(api.compile_one(spec, None, target, threads), spec, given)
    except ConvError as error:
        times.problem = error.diagnostics[0].message
        return None, times
    candidate.clear()
    wanted = api.reference(spec, **given).transpose(0, 3, 1, 2)
    times.problem = case.judge(candidate.result(), wanted, True).problem
    return (None if times.problem else candidate), times


def measure(
    layer: Layer, machine: Machine, pinned: Sequence[int], seconds: float, rounds: int, cases: Sequence[Problem]
) -> list[Times]:
    """All types on one layer, in turns."""
    threads = len(pinned)
    release(pinned)
    made = [(case, *prepare(layer, case, machine.name, threads)) for case in cases]
    for number in range(rounds):
        for case, candidate, times in made[number % len(made) :] + made[: number % len(made)]:
            if candidate is None:
                continue
            release(pinned)
            times.peaks.append(highest(machine.name, threads, case.peaks))
            spread(candidate.call, pinned)
            times.seconds.append(burst(candidate.call, seconds).median)
    return [times for _, _, times in made]


def table(results: Sequence[Sequence[Times]]) -> list[str]:
    """A line for each type on each layer; then the geometric means over the layers."""
    head = ["layer", "types", "us", "Gop/s", "of peak", "x f32"]
    rows = []
    for layer in results:
        first = layer[0]
        for times in layer:
            name = first.layer.shape if times is first else ""
            us = "wrong" if times.problem else _text(times.time, "{:.1f}", 1e6)
            measures = (_text(times.rate, "{:.1f}", 1e-9), _text(times.of_peak, "{:.0%}"), _text(ratio(times, first), "{:.2f}"))
            rows.append([name, times.name, us, *measures])
    means = [_means(number, results) for number in range(len(results[0]))]
    return rows_of(head, rows + means)


def _means(number: int, results: Sequence[Sequence[Times]]) -> list[str]:
    name = "geometric mean" if number == 0 else ""
    share = _mean([layer[number].of_peak for layer in results])
    speed = _mean([ratio(layer[number], layer[0]) for layer in results])
    return [name, results[0][number].name, "", "", _text(share, "{:.0%}"), _text(speed, "{:.2f}")]


def ratio(times: Times, first: Times) -> float | None:
    """How many times as fast as f32."""
    return first.time / times.time if first.time and times.time else None


def _mean(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value]
    return exp(sum(map(log, found)) / len(found)) if found else None


def _text(value: float | None, form: str, factor: float = 1.0) -> str:
    return "-" if value is None else form.format(factor * value)


def report(results: Sequence[Sequence[Times]], machine: Machine, threads: int, before: str) -> str:
    """Everything, in Markdown."""
    problems = [f"- {t.layer.shape} {t.name}: {t.problem}" for layer in results for t in layer if t.problem]
    title = f"# Integer types on {machine.name}, {threads} thread{'s' * (threads > 1)}"
    lines = [title, "", f"`{about.command()}`", "", *about.machine(), f"- convjit: {ours.versions()}"]
    lines += [*about.conditions(before), "", NOTES, "", *table(results)]
    return "\n".join([*lines, *([""] + problems if problems else []), ""])


NOTES = (
    "of peak: of the multiply-adds of these factors on registers, with 32-bit sums for 8 and 16 bits, measured in the same "
    "rounds. x f32: f32's time / the time. ranges: x and w are promised to lie in those of the data."
)


@click.command(help=__doc__)
@click.option("--layers", "sets", default="report", help=f"Any of {', '.join(layers.SETS)}, with commas.")
@click.option("--only", default="", help="Only layers whose name or shape has this in it.")
@click.option("--isa", type=click.Choice(list(ISA)), default="best", help="Our instructions.")
@click.option("--threads", default="1", help="Numbers with commas; each is a run of its own.")
@click.option("--seconds", type=float, default=0.1, help="Of one burst.")
@click.option("--rounds", type=click.IntRange(1), default=5)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/bench"))
def main(sets: str, only: str, isa: str, threads: str, seconds: float, rounds: int, out: Path) -> None:
    try:
        machine = machine_for(isa)
        chosen = layers.select(layers.load(), words(sets, layers.SETS, "set of layers"), only)
        if not chosen:
            raise ConvError.of("There is no such layer.", hint="bench/layers.csv has them all.")
        right = all([run(machine, number, chosen, seconds, rounds, out) for number in numbers(threads)])
    except ConvError as error:
        say(str(error))
        sys.exit(2)
    sys.exit(0 if right else 1)


def run(machine: Machine, threads: int, chosen: Sequence[Layer], seconds: float, rounds: int, out: Path) -> bool:
    """One number of threads: printed, and written into a folder. Whether all results were right."""
    allowed, pinned, before, results = os.sched_getaffinity(0), processors(threads), about.load(), []
    try:
        for layer in chosen:
            results.append(measure(layer, machine, pinned, seconds, rounds, CASES))
            say(f"{len(results):3}/{len(chosen)} {layer.shape}")
    finally:
        release(allowed)
    text = report(results, machine, threads, before)
    out.mkdir(parents=True, exist_ok=True)
    (out / f"integers-{machine.name.split(':')[1]}-{threads}t.md").write_text(text, encoding="utf-8")
    click.echo(text, nl=False)
    return not any(times.problem for layer in results for times in layer)


if __name__ == "__main__":
    main()
