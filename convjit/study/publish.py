"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from convjit.errors import ConvError


def publish(path: str | Path, data: bytes) -> None:
    """Write a file under a temporary name beside it, then rename it. `ConvError` where that cannot be done."""
    target = Path(path)
    temporary = ""
    try:
        check_place(target)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, _usual_mode())
        os.replace(temporary, target)
        temporary = ""
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConvError.of(f"'{path}' cannot be written: {reason}.") from None
    finally:
        if temporary:
            with suppress(OSError):
                os.unlink(temporary)


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
