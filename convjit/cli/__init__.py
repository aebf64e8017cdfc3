"""The command line. It only reads arguments and prints; what it does is done by the layers above.

Each command is a module of its own, loaded when it is called.
"""

from convjit.cli.main import main

__all__ = ["main"]
