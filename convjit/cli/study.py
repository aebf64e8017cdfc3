"""`convjit study`: one page, with its tables and drawings, about what a convolution costs in every type."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from convjit import api
from convjit.cli import given
from convjit.cli.blocks import chosen
from convjit.cli.given import Wanted
from convjit.cli.options import BLOCK, FILE, THREADS
from convjit.cli.status import DONE, WRONG, report, worst
from convjit.dsl.format import format as format_ast
from convjit.spec.conv import ConvSpec
from convjit.spec.unsupported import refuse, uncalibrated
from convjit.study.hosts import Hosts, hosts
from convjit.study.part import REPORT_RATIO, Outcome, Subject, Tell
from convjit.study.study import PAGE, study

SECONDS, QUICK = 150.0, 30.0


@dataclass(frozen=True)
class Request:
    """The options."""

    file: str
    folder: Path
    data: Wanted
    targets: Hosts
    threads: int | None
    seconds: float
    ratio: float
    date: str
    words: tuple[str, ...]
    data_words: tuple[str, ...]


@click.command("study")
@FILE
@click.option("-o", "--out", "folder", metavar="DIR", required=True, help="Where the page and its files go.")
@given.options
@click.option("--target", multiple=True, metavar="T", help="Only this target (and cpu:scalar); may be given several times.")
@THREADS
@BLOCK
@click.option("--seconds", type=click.FloatRange(min=0.0), metavar="S", help=f"Time for all parts ({SECONDS:g}).")
@click.option("--quick", is_flag=True, help=f"--seconds {QUICK:g}: fewer points, shorter measurements.")
@click.option("--ratio", type=click.FloatRange(min=0.0, min_open=True), default=REPORT_RATIO, metavar="R",
              help=f"The weight's scale over the input's of the report's V-curve ({REPORT_RATIO:g}).")
@click.option("--date", default="", metavar="TEXT", help="A date for the page, which has none otherwise.")
def command(
    file: str, folder: str, tensor: tuple[str, ...], input: str | None, weight: str | None, size: tuple[str, ...],
    seed: int, target: tuple[str, ...], threads: int | None, block: str | None, seconds: float | None, quick: bool,
    ratio: float, date: str,
) -> int:  # fmt: skip
    """Study FILE: error, speed, traffic, energy and zeros across types, scales, targets and dataflows.

    Writes DIR/report.html with CSVs and PNGs beside it; several blocks have a folder each. Data is made for tensors
    that no file is given for. Status 1 says that a result was wrong.
    """
    wanted = Wanted.of(tensor, input, weight, size, seed)
    data_words = _words(tensor, input, weight, size, seed)
    limit = seconds if seconds is not None else QUICK if quick else SECONDS
    options = _options(target, threads, block, seconds, quick, ratio, date)
    words = ("convjit", "study", file, "-o", folder, *data_words, *options)
    request = Request(
        file, Path(folder), wanted, hosts(target), threads, limit, ratio, date, words, data_words
    )  # fmt: skip
    blocks = list(chosen(file, block))
    wanted.check({name: spec for name, spec, _ in blocks})
    several = len(blocks) > 1
    statuses = []
    for name, spec, syntax in blocks:
        try:
            statuses.append(_block(spec, syntax, request, request.folder / name if several else request.folder))
        except Exception as error:
            if not several:
                raise
            statuses.append(report(error, ["study", file, f"(block {name})"]))
    return worst(statuses)


def _block(spec: ConvSpec, syntax: api.Syntax, request: Request, folder: Path) -> int:
    """One block: its data, its study, and what is said of it."""
    found = given.given(spec, request.data, _refuse)
    subject = Subject(
        found.spec, found.arrays, found.notes, request.targets,
        text=format_ast(syntax) if syntax else str(spec), command=shlex.join(request.words), data_words=request.data_words,
        threads=request.threads, seconds=request.seconds, ratio=request.ratio, date=request.date,
    )  # fmt: skip
    with progress(spec.name) as tell:
        outcomes = study(subject, folder, tell)
    click.echo("\n".join([f"{spec.name}: {folder / PAGE}", *_lines(outcomes)]))
    return worst([_status(outcome, request) for outcome in outcomes])


def _refuse(spec: ConvSpec) -> None:
    """`Unavailable` for what has no kernel in any type; other algorithms than the direct one are rows of their own."""
    plain = replace(spec, algorithm="auto")
    refuse(replace(plain, compute=None) if uncalibrated(spec) else plain)


def _lines(outcomes: tuple[Outcome, ...]) -> Iterator[str]:
    """The summary, what does not apply, and what was left out."""
    for outcome in outcomes:
        if outcome.shown is not None:
            yield from (f"  {line}" for line in outcome.shown.summary)
        elif outcome.error is None:
            yield f"  {outcome.part.title} does not apply: {outcome.why}"
        else:
            yield f"  {outcome.part.title} FAILED"
    left_out = sum(len(o.shown.left_out) for o in outcomes if o.shown)
    if left_out:
        yield f"  {left_out} left out for lack of time (--seconds); the page lists them"


def _status(outcome: Outcome, request: Request) -> int:
    """That of a part; an error is printed."""
    if outcome.error is not None:
        return report(outcome.error, [*request.words[1:], f"(part '{outcome.part.title}')"])
    return WRONG if outcome.shown and outcome.shown.wrong else DONE


@contextmanager
def progress(name: str) -> Iterator[Tell]:
    """Shows on a terminal what is being done, and is quiet elsewhere."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(name)
        yield lambda what: shown.update(task, description=f"{name}: {what}")


def _words(
    tensor: tuple[str, ...], input: str | None, weight: str | None, size: tuple[str, ...], seed: int
) -> tuple[str, ...]:
    """The options of arrays as they were given."""
    words = [w for t in tensor for w in ("--tensor", t)] + [w for s in size for w in ("--size", s)]
    words += [w for name, value in (("--input", input), ("--weight", weight)) if value is not None for w in (name, value)]
    return (*words, *(("--seed", str(seed)) if seed else ()))


def _options(
    target: tuple[str, ...], threads: int | None, block: str | None, seconds: float | None, quick: bool, ratio: float, date: str
) -> tuple[str, ...]:
    """The other options as they were given."""
    named = {"--threads": threads, "--block": block, "--seconds": seconds, "--date": date or None}
    named |= {"--ratio": ratio} if ratio != REPORT_RATIO else {}
    words = [w for t in target for w in ("--target", t)]
    words += [w for name, value in named.items() if value is not None for w in (name, f"{value:g}" if isinstance(value, float) else str(value))]
    return (*words, *(("--quick",) if quick else ()))
