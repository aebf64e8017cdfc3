"""Tables: drawn on a terminal, plain columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from convjit.cli.show import columns


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The text of a table."""
    if not sys.stdout.isatty():
        return "\n".join(columns([head, *rows]))
    drawn = Table(*head)
    for row in rows:
        drawn.add_row(*row)
    console = Console()
    with console.capture() as capture:
        console.print(drawn)
    return capture.get().rstrip("\n")
