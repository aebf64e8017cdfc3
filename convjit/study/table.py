"""Tables as CSV files."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from convjit.errors import ConvError


def write_csv(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table: under a temporary name first, so that nobody ever sees half of it. `ConvError` where it cannot be."""
    target, temporary = Path(path), None
    try:
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)
        os.chmod(temporary, 0o644)
        os.replace(temporary, target)
    except OSError as error:
        raise ConvError.of(f"The table '{target}' cannot be written: {error.strerror or error}.") from None
    finally:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
