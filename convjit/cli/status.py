"""Exit statuses, and how everything that can go wrong becomes one of them and a few lines of text.

0 done; 1 the result was wrong; 2 the user's input was; 3 not to be had here (no GPU, not implemented yet); 70 our bug.
Ctrl-C gives 130, a reader that went away 141, as shells know them.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from convjit.errors import ConvError, Unavailable
from convjit.settings import settings

DONE, WRONG, INPUT, ABSENT, BUG = 0, 1, 2, 3, 70
INTERRUPTED, PIPE = 130, 141
GRAVITY = (DONE, ABSENT, INPUT, WRONG, BUG)
"""From the lightest to the gravest: where several things went wrong, the gravest is the status."""


def worst(statuses: Sequence[int]) -> int:
    """The gravest of several statuses."""
    return max(statuses, key=GRAVITY.index, default=DONE)


def guarded(action: Callable[[], int | None], arguments: Sequence[str]) -> int:
    """The status of an action of the command line; what it raises is printed, and never shown as a traceback."""
    try:
        status = action() or DONE
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        return _reader_left()
    except (KeyboardInterrupt, click.Abort):
        print("convjit: interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 (the last place that can turn it into words)
        return report(error, arguments)


def report(error: Exception, arguments: Sequence[str]) -> int:
    """Print an error on standard error; its status."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException):
        say(usage_error(error))
        return INPUT
    if isinstance(error, ConvError):
        say(str(error))
        return ABSENT if isinstance(error, Unavailable) else INPUT
    if isinstance(error, MemoryError):
        say(f"error: There is not enough memory: {error or 'an allocation failed'}")
        return INPUT
    say(bug(error, arguments))
    return BUG


def say(text: str) -> None:
    """Print an error; the word `error:` is red on a terminal."""
    if sys.stderr.isatty():
        text = re.sub(
            r"^(.*?)\berror:",
            lambda m: m[1] + click.style("error:", "red", bold=True),
            text,
            flags=re.MULTILINE,
        )
    print(text, file=sys.stderr)


def usage_error(error: click.ClickException) -> str:
    """A mistake in the arguments, and where help is."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "convjit"
    return f"error: {error.format_message()}\n  hint: `{command} --help` shows what it takes."


def bug(error: Exception, arguments: Sequence[str]) -> str:
    """What is said about our own bug: where it is, how to see it again, and that we want to know."""
    ours = [f for f in traceback.extract_tb(error.__traceback__) if "convjit" in Path(f.filename).parts]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "an unknown place"
    first = (str(error).strip() or "no message").splitlines()[0]
    lines = [
        f"error: This is a bug in convjit, not in your program: {type(error).__name__} at {where}: {first}",
        f"  note: The command was: {shlex.join(['convjit', *arguments])}",
        "  hint: Please report it with that command and its files; CONVJIT_DEBUG=1 shows where it was met.",
    ]
    if _debug():
        lines += ["", "".join(traceback.format_exception(error)).rstrip()]
    return "\n".join(lines)


def _debug() -> bool:
    """Whether tracebacks are wanted; a variable that cannot be read must not hide the bug that is reported."""
    try:
        return settings.debug
    except ConvError:
        return False


def _reader_left() -> int:
    """Standard output was closed by its reader; Python's own flush at exit must not fail on it again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE
