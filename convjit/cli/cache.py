"""`convjit cache`: the cache of compiled objects."""

from __future__ import annotations

import click

from convjit.cli.memory import readable
from convjit.errors import ConvError, did_you_mean
from convjit.runtime import cache

ACTIONS = ("info", "clear")


@click.command("cache")
@click.argument("action", default="info", metavar="[info|clear]")
def command(action: str) -> None:
    """Show where compiled objects are kept and how much there is, or remove them."""
    if action not in ACTIONS:
        raise ConvError.of(f"The cache has no action '{action}'.", hint=did_you_mean(action, ACTIONS))
    if action == "clear":
        click.echo(f"removed: {cache.clear()}")
        return
    found = cache.info()
    click.echo(f"folder:  {found.folder}\nobjects: {found.entries}\nsize:    {readable(found.bytes)}")
    if found.problem:
        click.echo(f"not used: {found.problem}")
