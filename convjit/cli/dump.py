"""`convjit dump`: the text of a stage."""

from __future__ import annotations

import click

from convjit import api
from convjit.cli.blocks import chosen
from convjit.cli.options import BLOCK, FILE, TARGET
from convjit.errors import ConvError, did_you_mean
from convjit.pipeline import STAGES, stage_texts
from convjit.spec.unsupported import refuse

UNLOWERED = ("ast", "spec")
"""Stages before the first lowering: there they are for every program, also for one that cannot be compiled yet."""


@click.command("dump")
@FILE
@click.option("--stage", required=True, metavar="S", help=f"One of {' '.join(s.name for s in STAGES)}.")
@TARGET
@BLOCK
def command(file: str, stage: str, target: str | None, block: str | None) -> None:
    """Print the text of a stage of FILE. Nothing is run, so that code for other machines can be read, too."""
    names = [s.name for s in STAGES]
    if stage not in names:
        note = f"The stages are {' '.join(names)}."
        raise ConvError.of(f"There is no stage '{stage}'.", note=note, hint=did_you_mean(stage, names))
    for number, (_, spec, syntax) in enumerate(chosen(file, block)):
        if stage not in UNLOWERED:
            refuse(spec)
        compilation = api.compilation(spec, syntax, target)
        texts = stage_texts(compilation)
        if stage not in texts:
            note = f"Its stages are {' '.join(texts)}."
            raise ConvError.of(f"{compilation.machine.name} has no stage '{stage}'.", note=note)
        click.echo("\n" * bool(number) + texts[stage]().rstrip("\n"))
