"""`convjit explain`: which dataflow, tiles and instructions were taken, and why."""

from __future__ import annotations

import click

from convjit import api
from convjit.cli.blocks import chosen
from convjit.cli.options import BLOCK, FILE, TARGET
from convjit.explanation import explain
from convjit.spec.unsupported import refuse


@click.command("explain")
@FILE
@TARGET
@BLOCK
def command(file: str, target: str | None, block: str | None) -> None:
    """Say which dataflow, tiles and instructions were taken for FILE, and why."""
    for number, (_, spec, syntax) in enumerate(chosen(file, block)):
        refuse(spec)
        click.echo("\n" * bool(number) + explain(api.compilation(spec, syntax, target)).rstrip("\n"))
