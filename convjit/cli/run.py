"""`convjit run`: data is read or made, the kernel compiled and called, its result checked, its time measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click

from convjit import api
from convjit.calibration import calibrate
from convjit.cli import given
from convjit.cli.files import check_output_path, save_array
from convjit.cli.given import Wanted
from convjit.cli.options import FILE, TARGET, THREADS
from convjit.cli.runner import check_runnable, run_on
from convjit.cli.show import result_lines
from convjit.cli.status import DONE, WRONG, report, worst
from convjit.cli.stored import Array
from convjit.spec import text
from convjit.spec.check import compare
from convjit.spec.conv import ConvSpec
from convjit.spec.unsupported import refuse, uncalibrated


@dataclass(frozen=True)
class Request:
    """The options."""

    data: Wanted
    out: str | None
    target: str | None
    threads: int | None


@click.command("run")
@FILE
@given.options
@click.option("--out", metavar="FILE", help="Write the result as .npy; with several blocks, FILE-BLOCK.npy each.")
@TARGET
@THREADS
def command(
    file: str, tensor: tuple[str, ...], input: str | None, weight: str | None, size: tuple[str, ...], seed: int,
    out: str | None, target: str | None, threads: int | None,
) -> int:  # fmt: skip
    """Compile FILE, run it, check the result against the reference, and print its error and its time.

    Data is made for tensors that no file is given for. Status 1 says that a result was wrong.
    """
    if out is not None:
        check_output_path(out)
    request = Request(Wanted.of(tensor, input, weight, size, seed), out, target, threads)
    blocks = api.read(Path(file))
    request.data.check({name: spec for name, (spec, _) in blocks.items()})
    statuses = []
    for number, (name, (spec, syntax)) in enumerate(blocks.items()):
        if number:
            click.echo()
        try:
            statuses.append(_run(spec, syntax, request, several=len(blocks) > 1))
        except Exception as error:
            if len(blocks) == 1:
                raise
            statuses.append(report(error, ["run", file, f"(block {name})"]))
    return worst(statuses)


def _run(spec: ConvSpec, syntax: api.Syntax, request: Request, several: bool) -> int:
    """One block, from its data to its lines on the screen."""
    found = given.given(spec, request.data, partial(_check, target=request.target))
    calibrated = _calibrated(spec, found.arrays)
    settled = replace(found.spec, compute=calibrated.compute)
    compilation = api.compilation(calibrated, syntax, request.target)
    measured = run_on(compilation, request.threads, settled, found.arrays)
    verdict = compare(settled, found.arrays, measured.result)
    notes = found.notes
    if request.out is not None:
        path = _out_path(request.out, spec.name if several else "")
        save_array(path, measured.result)
        notes = {**notes, spec.output.name: f"written to {path}"}
    clause = _clause(calibrated) if calibrated is not spec else ""
    click.echo("\n".join(result_lines(compilation, settled, measured, verdict, notes, clause)))
    return WRONG if verdict.wrong else DONE


def _check(spec: ConvSpec, target: str | None) -> None:
    """Whether it can be compiled and run, before data is read or made for it."""
    refuse(replace(spec, compute=None) if uncalibrated(spec) else spec)
    check_runnable(api.compilation(spec, None, target))


def _calibrated(spec: ConvSpec, arrays: Mapping[str, Array]) -> ConvSpec:
    """The spec, with scales from the data of this run where it has `scale auto`."""
    if not uncalibrated(spec):
        return spec
    return calibrate(spec, arrays[spec.input.name], arrays[spec.weight.name])


def _clause(spec: ConvSpec) -> str:
    """The clause that would compute so again."""
    assert spec.compute is not None
    return text.compute(spec.compute, (spec.input.name, spec.weight.name))


def _out_path(out: str, block: str) -> str:
    path = Path(out)
    return str(path.with_stem(f"{path.stem}-{block}")) if block else out
