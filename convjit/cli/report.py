"""`convjit report`: all stages of a compilation on a page, linked."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from convjit import api
from convjit.cli.blocks import chosen
from convjit.cli.options import BLOCK, FILE, TARGET
from convjit.spec.unsupported import refuse
from convjit.study.compilation_page import page
from convjit.study.page import write
from convjit.study.publish import check_place


@click.command("report")
@FILE
@click.option("-o", "output", metavar="PAGE", help="The page to write; report.html if this is left out.", default="report.html")
@TARGET
@BLOCK
def command(file: str, output: str, target: str | None, block: str | None) -> None:
    """Write a page with all stages of FILE beside each other: program, schedule, loops, kernels, LLVM IR, instructions.

    Pointing at a part of one lights what belongs to it in all. The page needs no network, and nothing is run.
    """
    check_place(output)
    compilations = []
    for _, spec, syntax in chosen(file, block):
        refuse(spec)
        compilations.append(api.compilation(spec, syntax, target))
    options = [*(["--target", target] if target else []), *(["--block", block] if block else [])]
    write(page(compilations, shlex.join(["convjit", "report", file, "-o", output, *options])), output)
    click.echo(f"{output}: {', '.join(c.spec.name for c in compilations)} on {compilations[0].machine.name}, {_size(output)}")


def _size(path: str) -> str:
    return f"{Path(path).stat().st_size / 1024:.0f} KiB"
