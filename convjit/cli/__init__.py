"""The command line. It only reads arguments and prints; what it does is done by the layers above.

Each command is a module of its own, loaded when it is called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (by default, the arguments of this process); its status.

    Ctrl-C is answered without a traceback from here on, also while the rest is still being loaded.
    """
    try:
        run: Callable[[Sequence[str] | None], int] = import_module("convjit.cli.commands").main
        return run(arguments)
    except KeyboardInterrupt:
        print("convjit: interrupted", file=sys.stderr)
        return 130
