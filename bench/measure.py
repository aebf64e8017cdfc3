"""Measure one layer: prepare and check every candidate, then bursts of all of them in turn, in rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from bench.layers import NCHW, NHWC, Layer
from bench.problem import F32, Problem, Verdict
from bench.result import Result, Row
from convjit import reference
from convjit.bench.libraries import OURS
from convjit.bench.ours import Variant
from convjit.bench.request import Job
from convjit.bench.workers import Failed, Remote
from convjit.runtime.burst import Burst
from convjit.spec.conv import ConvSpec

LEAST_ROUNDS = 2


@dataclass(frozen=True)
class Settings:
    """`seconds` of a burst, `rounds`, our `target`, its machine's name, `threads`, which libraries are at liberty to use more
    instructions than the others, and what is computed."""

    seconds: float
    rounds: int
    target: str
    threads: int
    unlimited: frozenset[str] = frozenset()
    problem: Problem = F32


def variants(layer: Layer, settings: Settings) -> tuple[Variant, ...]:
    """Our own candidates: NHWC; NCHW in and out; where NumPy puts arrays; and, with several threads, one."""
    plain, first = (str(settings.problem.spec(layer, axes)) for axes in (NHWC, NCHW))
    found = [Variant(OURS, plain, settings.target, settings.threads)]
    found += [Variant(f"{OURS} nchw", first, settings.target, settings.threads)]
    found += [Variant(f"{OURS} numpy", plain, settings.target, settings.threads, placed=False)]
    if settings.threads > 1:
        found += [Variant(f"{OURS} 1 thread", plain, settings.target, 1)]
    return tuple(found)


def measure(layer: Layer, remotes: Mapping[str, Remote], settings: Settings, until: float = np.inf) -> Result:
    """Everything about one layer. Rounds end early at the time `until` (time.monotonic), but not before two."""
    spec = settings.problem.spec(layer, NHWC)
    with TemporaryDirectory(prefix="convjit-bench-") as folder:
        wanted = _write(spec, settings.problem, Path(folder))
        job = Job(str(spec), folder, settings.threads)
        rows: list[Row] = []
        for remote in remotes.values():
            rows += _prepared(remote, job, variants(layer, settings), settings, wanted)
    bursts, peaks, problems = _rounds(rows, remotes, settings, until)
    for remote in remotes.values():
        _forget(remote)
    done = tuple(_summed(row, bursts.get(row.name, []), problems.get(row.name, row.problem)) for row in rows)
    size = sum(tensor.bytes or 0 for tensor in spec.tensors)
    unit = settings.problem.unit
    return Result(layer, settings.threads, spec.operations or 0, size, done, tuple(peaks), unit, wanted.size)


def _rounds(
    rows: Sequence[Row], remotes: Mapping[str, Remote], settings: Settings, until: float
) -> tuple[dict[str, list[Burst]], list[float], dict[str, str]]:
    """The bursts of each candidate, the peaks, and what went wrong with whom."""
    bursts: dict[str, list[Burst]] = {row.name: [] for row in rows if not row.problem}
    peaks: list[float] = []
    problems: dict[str, str] = {}
    for number in range(settings.rounds):
        if number >= LEAST_ROUNDS and time.monotonic() >= until:
            break
        peaks += _peak(remotes, settings)
        for row in _rotated([row for row in rows if row.name in bursts], number):
            if row.name in problems:
                continue
            try:
                bursts[row.name].append(remotes[row.library].ask("burst", row.name, settings.seconds))
            except Failed as failure:
                problems |= _lost(rows, row, failure)
        bursts = {name: found for name, found in bursts.items() if name not in problems}
    return bursts, peaks, problems


def _write(spec: ConvSpec, problem: Problem, folder: Path) -> np.ndarray[Any, Any]:
    """Data of every argument into files; what the result should be, in the order N, OC, H, W."""
    given = problem.data(spec)
    for name, array in given.items():
        np.save(folder / f"{name}.npy", array)
    return reference(spec, **given).transpose(0, 3, 1, 2)


def _prepared(
    remote: Remote, job: Job, ours: Sequence[Variant], settings: Settings, wanted: np.ndarray[Any, Any]
) -> list[Row]:
    """The candidates of a library, each called once and compared."""
    limited = remote.library not in settings.unlimited
    try:
        job = Job(job.program, job.folder, job.threads, tuple(ours) if remote.library == OURS else ())
        made: Mapping[str, tuple[bool, str]] = remote.ask("prepare", job)
    except Failed as failure:
        return [Row(remote.library, remote.library, problem=str(failure))]
    rows = []
    for name, (blocked, problem) in made.items():
        verdict = Verdict(problem=problem) if problem else _checked(remote, name, settings.problem, wanted)
        rows.append(Row(remote.library, name, blocked, limited, verdict=verdict, problem=verdict.problem))
    return rows


def _checked(remote: Remote, name: str, problem: Problem, wanted: np.ndarray[Any, Any]) -> Verdict:
    """Of the result of one call."""
    try:
        result = np.load(remote.ask("result", name))
    except Failed as failure:
        return Verdict(problem=str(failure))
    return problem.judge(result, wanted, remote.library == OURS)


def _peak(remotes: Mapping[str, Remote], settings: Settings) -> list[float]:
    try:
        ours = remotes[OURS]
        return [ours.ask("peak", settings.target, settings.threads, settings.problem.peaks)]
    except Failed:
        return []


def _rotated(rows: list[Row], number: int) -> list[Row]:
    """The order of a round: nobody is always first, or always behind the same."""
    start = number * max(1, len(rows) // 3) % max(1, len(rows))
    return rows[start:] + rows[:start]


def _lost(rows: Sequence[Row], row: Row, failure: Failed) -> dict[str, str]:
    """Whom a failure concerns: the one that failed, or all of its library if its process has ended."""
    concerned = [r.name for r in rows if r.library == row.library] if failure.died else [row.name]
    return dict.fromkeys(concerned, str(failure))


def _forget(remote: Remote) -> None:
    try:
        remote.ask("forget")
    except Failed:
        return


def _summed(row: Row, bursts: Sequence[Burst], problem: str) -> Row:
    """Rounds without a clean sample count only where there are no others; then the best of them is all that is known."""
    if problem or not bursts:
        return Row(row.library, row.name, row.blocked, row.limited, verdict=row.verdict, problem=problem or "no time")
    clean = [b for b in bursts if b.clean]
    samples = sum(b.samples for b in bursts)
    return Row(
        row.library, row.name, row.blocked, row.limited,
        seconds=statistics.median(b.median for b in clean) if clean else min(b.least for b in bursts),
        least=min(b.least for b in bursts),
        rounds=len(clean),
        disturbed=sum(b.disturbed for b in bursts) / samples,
        verdict=row.verdict,
    )  # fmt: skip
