"""One run over all layers with so many threads: who takes part, what came of it, and the report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from bench import about, tables
from bench.layers import Layer
from bench.measure import Settings, measure
from bench.plot import draw
from bench.problem import F32, Problem
from bench.result import Result
from bench.summary import faster, of_limit, unsteadiness
from convjit.bench.libraries import OURS
from convjit.bench.pinning import processors
from convjit.bench.workers import Failed, Remote
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.runtime.detect import host


@dataclass
class Session:
    """One run over all layers with so many threads."""

    machine: Machine
    isa: str
    threads: int
    before: str
    problem: Problem = F32
    remotes: dict[str, Remote] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    peak: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)

    @property
    def libraries(self) -> list[str]:
        return list(self.versions)

    def stem(self, folder: Path) -> Path:
        """Where the results go, but for the ending."""
        name = f"{self.machine.name.split(':')[1]}-{self.threads}t"
        return folder / (name if self.problem is F32 else f"{self.problem.name}-{name}")

    @property
    def title(self) -> str:
        """What is computed where."""
        return f"{self.problem.name} on {self.machine.name}, {self.threads} thread{'s' * (self.threads > 1)}"

    def limit(self, result: Result) -> float | None:
        """Our part of the roofline."""
        here = host()
        return of_limit(result, self.rates, {"L2": here.l2 * self.threads, "L3": here.l3})

    def report(self) -> str:
        """Everything, in Markdown."""
        parts = [f"# {self.title}", "", f"`{about.command()}`", ""]
        parts += [*about.machine(), *about.libraries(self.versions, self.missing)]
        parts += [*about.limits(self.peak, self.problem.unit, self.rates), *about.conditions(self.before), "", NOTES]
        if self.results:
            parts += ["", *tables.layers(self.results, self.libraries, self.limit)]
            for title, lines in self.sections():
                parts += [f"## {title}", "", *lines, ""] if lines else []
        return "\n".join(parts).rstrip("\n") + "\n"

    def sections(self) -> list[tuple[str, list[str]]]:
        """The short tables, with their titles."""
        return [
            ("Geometric means by kind", tables.kinds(self.results)),
            ("Networks", tables.whole_networks(self.results, self.libraries)),
            ("Losses", tables.losers(self.results)),
            ("Not exact", tables.off(self.results)),
            ("Not measured", tables.problems(self.results)),
        ]


UNSTEADY = 1.1
"""A layer is measured again where a median is so many times the least."""

NOTES = (
    "us: ours. GF/s, Gop/s: operations of the direct convolution, taps on the border counted in. peak: of the multiply-adds "
    "measured in the same rounds. limit: of the roofline (every tensor moved once). Each library: its best on plain "
    "arrays (NHWC or NCHW), in us. vs best: time of the best of them / ours. vs blocked: the same, if the peers may take "
    "and give arrays in their own order. vs right: the same, without those marked `!`. NCHW: our NHWC time / our NCHW time. "
    "NumPy: our time / our time on arrays where NumPy puts them, all at the same place of a page. `!`: some of its outputs "
    "are off by more than one unit. `*`: not kept to these instructions, and not counted as the best. `~`: something else "
    "had the processor in every sample; the least of them."
)


def open_session(
    machine: Machine, isa: str, threads: int, peers: list[str], nice: int = 0, problem: Problem = F32
) -> Session:
    """Start everybody, and ask for versions and limits."""
    cores = processors(threads)
    session = Session(machine, isa, threads, about.load(), problem)
    for name in (OURS, *peers):
        remote = Remote(name, cores, isa, nice)
        session.remotes[name] = remote
        try:
            session.versions[name] = remote.ask("versions")
        except Failed as failure:
            session.missing[name] = str(failure)
            session.remotes.pop(name).close()
            say(f"without {name}: {failure}")
    if OURS not in session.remotes:
        raise ConvError.of(f"Our own worker does not start: {session.missing[OURS]}")
    session.peak = session.remotes[OURS].ask("peak", machine.name, threads, problem.peaks)
    session.rates = session.remotes[OURS].ask("bandwidths", machine.name, threads)
    return session


def run(session: Session, chosen: Sequence[Layer], settings: Settings, within: float, out: Path) -> str:
    """All layers: the report. What is there is written even when it is interrupted."""
    ending = time.monotonic() + within * 60 if within else float("inf")
    out.mkdir(parents=True, exist_ok=True)
    try:
        for number, layer in enumerate(chosen):
            left = (ending - time.monotonic()) / (len(chosen) - number)
            session.results.append(measure(layer, session.remotes, settings, time.monotonic() + left))
            say(f"{number + 1:3}/{len(chosen)} {progress(session.results[-1])}")
            tables.write_csv(session.stem(out).with_suffix(".csv"), session.results)
        _repeat(session, settings, ending)
    finally:
        for remote in session.remotes.values():
            remote.close()
        report = _write(session, out)
    return report


def _repeat(session: Session, settings: Settings, ending: float) -> None:
    """Measure once more where the rounds did not agree, the worst first, as long as there is time."""
    unsteady = [r for r in session.results if unsteadiness(r) > UNSTEADY]
    for old in sorted(unsteady, key=unsteadiness, reverse=True):
        if time.monotonic() >= ending:
            return
        new = measure(old.layer, session.remotes, settings, ending)
        session.results[session.results.index(old)] = faster(new, old)
        say(f"  again {progress(new)}")


def _write(session: Session, out: Path) -> str:
    """CSV, Markdown and plots into a folder."""
    stem = session.stem(out)
    report = session.report()
    tables.write_csv(stem.with_suffix(".csv"), session.results)
    stem.with_suffix(".md").write_text(report, encoding="utf-8")
    drawn = draw(session.results, session.libraries, f"Convolution, {session.title}, {host().name}", stem)
    for path in (stem.with_suffix(".csv"), stem.with_suffix(".md"), *drawn):
        say(f"wrote {path}")
    return report


def progress(result: Result) -> str:
    """A line about a layer."""
    times = [
        f"{row.name} {row.problem or f'{row.seconds * 1e6:.1f}'}{'!' * bool(row.verdict.beyond)}" for row in result.rows
    ]
    return f"{result.layer.kind:9} {result.layer.shape:24} us: {', '.join(times)}"


def say(text: str) -> None:
    """To whoever watches."""
    click.echo(text, err=True)
