"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from convjit.errors import ConvError


def publish(path: str | Path, data: bytes) -> None:
    """Write a file that appears whole. `ConvError` where that cannot be done."""
    with refused(f"'{path}'"):
        check_place(path)
    with whole_file(path, f"'{path}'") as file:
        file.write(data)


@contextmanager
def whole_file(path: str | os.PathLike[str], what: str) -> Iterator[BinaryIO]:
    """A file under a temporary name beside the path, renamed when the body has ended. Where something fails nothing is left
    of it; `ConvError` (`what` cannot be written) for what the system refuses."""
    target = Path(path)
    temporary = ""
    try:
        with refused(what):
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
            with os.fdopen(handle, "wb") as file:
                yield file
            os.chmod(temporary, _usual_mode())
            os.replace(temporary, target)
            temporary = ""
    finally:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)


@contextmanager
def refused(what: str) -> Iterator[None]:
    """What the system refuses, as the user's mistake."""
    try:
        yield
    except OSError as error:
        raise ConvError.of(f"{what} cannot be written: {error.strerror or error}.") from None


def check_place(path: str | Path) -> None:
    """`ConvError` where a file could not be written there, as far as can be said before the work."""
    target = Path(path)
    if not target.name or target.is_dir():
        raise ConvError.of(f"'{path}' cannot be written: it is a folder.")
    if not target.parent.is_dir():
        raise ConvError.of(f"'{path}' cannot be written: there is no folder '{target.parent}'.")
    if not os.access(target.parent, os.W_OK):
        raise ConvError.of(f"'{path}' cannot be written: nothing may be written to '{target.parent}'.")


def _usual_mode() -> int:
    """What `open` would give a new file; mkstemp's are for their owner alone. The mask is read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
