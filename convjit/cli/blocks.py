"""The blocks of a file, one by one or all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from convjit import api
from convjit.errors import ConvError, did_you_mean
from convjit.spec.conv import ConvSpec


def chosen(file: str, block: str | None) -> Iterator[tuple[str, ConvSpec, api.Syntax]]:
    """The named block of a file, or all of them, in order. `ConvError` for a bad program or an unknown block."""
    blocks = api.read(Path(file))
    if block is not None and block not in blocks:
        note = f"Its blocks are {', '.join(blocks)}."
        raise ConvError.of(f"'{file}' has no block '{block}'.", note=note, hint=did_you_mean(block, blocks))
    for name, (spec, syntax) in blocks.items():
        if block in (None, name):
            yield name, spec, syntax
