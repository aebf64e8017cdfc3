"""Tables as CSV: a header, and a row for each record."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from convjit.study.publish import publish


@dataclass(frozen=True)
class Sheet:
    """A header and rows as long as it. None is written as nothing, a float with all its digits."""

    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, kind: type[Any], records: Sequence[Any], before: Sequence[tuple[str, Sequence[Any]]] = ()) -> Sheet:
        """Of records of one dataclass (whose fields are single values): a column for each field. `before` are columns that
        stand to the left of those, by name, with a value for each record."""
        names = tuple(name for name, _ in before) + tuple(f.name for f in fields(kind))
        left = zip(*(values for _, values in before), strict=True) if before else [()] * len(records)
        return cls(names, tuple((*a, *astuple(record)) for a, record in zip(left, records, strict=True)))

    def text(self) -> str:
        """The file."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.rows])
        return text.getvalue()

    def write(self, path: Path) -> None:
        """Write the file; it appears whole or not at all. `ConvError` where it cannot be written."""
        publish(path, self.text().encode())
