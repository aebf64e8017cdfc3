"""`convjit bench`: our time beside that of other libraries, on the same data, in bursts of calls in turn."""

from __future__ import annotations

from collections.abc import Mapping

import click
import numpy as np

from convjit import api
from convjit.bench import ours
from convjit.bench.candidate import Candidate
from convjit.bench.libraries import OURS
from convjit.cli import data, inputs, peers
from convjit.cli.blocks import chosen
from convjit.cli.memory import check_memory
from convjit.cli.options import BLOCK, FILE, TARGET, THREADS
from convjit.cli.runner import check_runnable
from convjit.cli.table import table
from convjit.errors import ConvError, Unavailable
from convjit.report import milliseconds
from convjit.runtime.burst import in_turns
from convjit.spec.conv import ConvSpec
from convjit.spec.unsupported import refuse

NEAR = 1e-3
"""A peer whose result differs by more than this part of the output's range did not compute the same thing."""

SECONDS = 1.0


@click.command("bench")
@FILE
@click.option("--against", metavar="A,B", default="", help="Peers: torch, onnxruntime, openvino.")
@click.option("--size", multiple=True, metavar="N=4", help="An open size.")
@TARGET
@THREADS
@BLOCK
def command(
    file: str, against: str, size: tuple[str, ...], target: str | None, threads: int | None, block: str | None
) -> None:
    """Time FILE beside other libraries. Times are medians of bursts in turn; weights are prepared beforehand."""
    wanted = [name for name in against.replace(",", " ").split() if name]
    sizes = inputs.parse_sizes(size)
    blocks = list(chosen(file, block))
    inputs.check_sizes([spec for _, spec, _ in blocks], sizes)
    for number, (name, spec, syntax) in enumerate(blocks):
        settled = inputs.settle(spec, sizes, {})
        check_memory(settled)
        refuse(spec)
        compilation = api.compilation(spec, syntax, target)
        if compilation.runner != "cpu":
            raise Unavailable.of("'convjit bench' compares on CPUs only, so far.")
        check_runnable(compilation)
        kernel = api.finish(compilation, threads)
        given = {t.name: data.make(settled, t, 0) for t in settled.arguments}
        found = {OURS: ours.candidate(kernel, settled, given)}
        for peer in wanted:
            found |= peers.candidates(peer, settled, given, kernel.threads)
        _check(settled, found)
        times = in_turns({name: candidate.call for name, candidate in found.items()}, SECONDS)
        click.echo(
            "\n" * bool(number)
            + f"{name} on {compilation.machine.name}, {kernel.threads} thread{'s' * (kernel.threads > 1)}"
        )
        click.echo(table(("", "median time", "GFLOP/s", "convjit is"), _rows(settled, times)))


def _check(spec: ConvSpec, found: Mapping[str, Candidate]) -> None:
    """Whether all compute the same."""
    results = {name: candidate.result() for name, candidate in found.items()}
    wanted = results.pop(OURS)
    for name, result in results.items():
        if result.shape != wanted.shape or np.abs(result - wanted).max() > NEAR * np.ptp(wanted):
            raise ConvError.of(f"'{name}' gives another result for '{spec.name}', so that times cannot be compared.")


def _rows(spec: ConvSpec, times: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    return [
        (
            name,
            milliseconds(t),
            f"{(spec.operations or 0) / t / 1e9:.1f}",
            "" if name == OURS else f"{t / times[OURS]:.2f}x as fast",
        )
        for name, t in times.items()
    ]
