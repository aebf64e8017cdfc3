"""The group of commands, each loaded from its module when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from convjit import __version__
from convjit.cli.status import INPUT, guarded
from convjit.errors import Unavailable, did_you_mean

COMMANDS: dict[str, str] = {
    "run": "Compile, run, check against the reference, and time.",
    "dump": "Print the text of a stage: ast spec schedule nest kernel llvm asm ptx …",
    "explain": "Say which dataflow, tiles and instructions were taken, and why.",
    "report": "Write a page with all stages beside each other, linked by pointing at them.",
    "bench": "Time beside PyTorch, ONNX Runtime and OpenVINO.",
    "study": "Error, speed, traffic, energy and zeros in every type, on a page.",
    "targets": "List the targets, their features, and which this machine has.",
    "cache": "Show or clear the cache of compiled objects.",
}
"""Each is the function `command` of the module convjit.cli.NAME; the text is its line in the list of commands."""

LATER: dict[str, str] = {
    "tune": "Search for the fastest schedule (not implemented yet).",
    "export": "Write an object or PTX with a C header (not implemented yet).",
}


SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class Commands(click.Group):
    """The commands by name; a word that is none of them is answered with the nearest one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        return [*COMMANDS, *LATER]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name in COMMANDS:
            command: click.Command = import_module(f"convjit.cli.{cmd_name}").command
            return command
        return _later(cmd_name) if cmd_name in LATER else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names."""
        if args and args[0] not in COMMANDS and args[0] not in LATER and not args[0].startswith("-"):
            hint = " ".join(did_you_mean(args[0], self.list_commands(ctx)))
            raise click.UsageError(f"There is no command '{args[0]}'. {hint}".rstrip(), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items(), *LATER.items()])


def _later(name: str) -> click.Command:
    def refuse(words: tuple[str, ...]) -> None:
        raise Unavailable.of(f"'convjit {name}' is not implemented yet.")

    return click.Command(
        name, callback=refuse, params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
        help=LATER[name], context_settings={"ignore_unknown_options": True},
    )  # fmt: skip


@click.group(cls=Commands, invoke_without_command=True, context_settings=SETTINGS)
@click.version_option(__version__, "--version", prog_name="convjit")
@click.pass_context
def convjit(context: click.Context) -> None:
    """A small language for convolution, compiled to AVX and PTX code.

    Status: 0 done, 1 the result was wrong, 2 the input was, 3 not to be had here, 70 a bug in convjit.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(INPUT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; its status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Unicode gets "?", not a traceback

    def run() -> int | None:
        with convjit.make_context("convjit", list(words)) as context:
            status: int | None = convjit.invoke(context)
            return status

    return guarded(run, words)
