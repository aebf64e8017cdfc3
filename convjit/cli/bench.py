"""`convjit bench`: our time beside that of other libraries, on the same data, one call of each in turn."""

from __future__ import annotations

from collections.abc import Mapping

import click
import numpy as np

from convjit import api
from convjit.cli import data, inputs, peers
from convjit.cli.blocks import chosen
from convjit.cli.memory import check_memory
from convjit.cli.options import BLOCK, FILE, TARGET, THREADS
from convjit.cli.runner import bound_call, check_runnable
from convjit.cli.show import milliseconds
from convjit.cli.table import table
from convjit.cli.timing import interleaved
from convjit.errors import ConvError, Unavailable
from convjit.spec import layout
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
    """Time FILE beside other libraries. Times are medians; calls are interleaved, weights are prepared beforehand."""
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
        calls: dict[str, peers.Call] = {"convjit": bound_call(kernel, settled, given)[0]}
        for peer in wanted:
            calls |= peers.calls(peer, settled, given, kernel.threads)
        _check(settled, calls)
        times = interleaved(calls, SECONDS)
        click.echo(
            "\n" * bool(number)
            + f"{name} on {compilation.machine.name}, {kernel.threads} thread{'s' * (kernel.threads > 1)}"
        )
        click.echo(table(("", "median time", "GFLOP/s", "convjit is"), _rows(settled, times)))


def _check(spec: ConvSpec, calls: Mapping[str, peers.Call]) -> None:
    """Whether all compute the same."""
    order = ("N", "OC", *layout.output_axes(spec.spatial))
    ours = np.asarray(calls["convjit"]()).transpose(layout.permutation(spec.output.axes, order))
    for name, call in calls.items():
        theirs = ours if name == "convjit" else np.asarray(call())
        if theirs.shape != ours.shape or np.abs(theirs - ours).max() > NEAR * np.ptp(ours):
            raise ConvError.of(f"'{name}' gives another result for '{spec.name}', so that times cannot be compared.")


def _rows(spec: ConvSpec, times: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    ours = times["convjit"]
    return [
        (
            name,
            milliseconds(t),
            f"{(spec.operations or 0) / t / 1e9:.1f}",
            "" if name == "convjit" else f"{t / ours:.2f}x as fast",
        )
        for name, t in times.items()
    ]
