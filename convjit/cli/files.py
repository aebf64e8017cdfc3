"""Arrays by the ending of their file: .npy, .npz (`file.npz:key`), and the report's .bin.

.bin holds four little-endian int32, the shape, then float32 in row-major order. Its axes are [N, H, W, C] for an input
(and [N, OH, OW, OC] for a residual) and [KH, KW, OC, IC] for a weight, whatever the order in the program.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import numpy as np

from convjit.cli.npy import open_npy, open_npz
from convjit.cli.stored import Array, Stored, data
from convjit.errors import ConvError
from convjit.study.publish import whole_file

BIN_AXES: dict[str, tuple[str, ...]] = {
    "input": ("N", "H", "W", "C"),
    "weight": ("KH", "KW", "OC", "IC"),
    "residual": ("N", "OH", "OW", "OC"),
}
BIN_HEADER = struct.Struct("<4i")


def open_array(place: str, role: str) -> Stored:
    """The array at `x.npy`, `x.npz`, `x.npz:key` or `x.bin` for a tensor of that role. `ConvError` where there is none."""
    path, key = _split(place)
    ending = Path(path).suffix.lower()
    try:
        if ending == ".npy":
            return open_npy(path)
        if ending == ".npz":
            return open_npz(path, key)
        if ending == ".bin":
            return open_bin(path, role)
    except (OSError, ValueError) as error:
        if isinstance(error, ConvError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise ConvError.of(f"The array '{path}' cannot be read: {reason}.") from None
    hint = "Arrays are read from .npy, .npz (file.npz:key) and .bin."
    raise ConvError.of(f"The array '{path}' is of no kind that is known.", hint=hint)


def open_bin(path: str, role: str) -> Stored:
    """The array of a .bin file; its size must be exactly what its shape says."""
    if role not in BIN_AXES:
        text = f"'{path}': a .bin file holds an input, a weight or a residual, and this is a {role}."
        raise ConvError.of(text, hint="Give it as .npy.")
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        head = file.read(BIN_HEADER.size)
    if len(head) < BIN_HEADER.size:
        raise ConvError.of(f"'{path}' is cut short: the shape alone takes {BIN_HEADER.size} bytes, {size} are there.")
    shape = BIN_HEADER.unpack(head)
    if min(shape) < 1:
        raise ConvError.of(f"'{path}' is not a .bin file: its shape would be {list(shape)}.")
    wanted = BIN_HEADER.size + 4 * math.prod(shape)
    if size != wanted:
        raise ConvError.of(f"'{path}' has {size} bytes; its shape {list(shape)} of float32 makes {wanted}.")

    def load() -> Array:
        with open(path, "rb") as file:
            file.seek(BIN_HEADER.size)
            return data(file, path, shape, np.dtype("<f4"))

    return Stored(path, shape, np.dtype(np.float32), load, BIN_AXES[role])


def save_array(path: str, array: Array) -> None:
    """Write an .npy file, which appears whole."""
    check_output_path(path)
    with whole_file(path, f"The output '{path}'") as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def check_output_path(path: str) -> None:
    """`ConvError` where an output could not be written there, as far as can be said before the work."""
    target = Path(path)
    if target.suffix.lower() != ".npy":
        hint = f"Write {target.with_suffix('.npy')}." if target.name else ""
        raise ConvError.of(f"The output '{path}' must be an .npy file.", hint=hint)
    if not target.parent.is_dir():
        raise ConvError.of(f"The output '{path}' cannot be written: there is no folder '{target.parent}'.")


def _split(place: str) -> tuple[str, str]:
    """`file.npz:key` in its parts; a colon elsewhere belongs to the path."""
    at = place.lower().find(".npz:")
    return (place, "") if at < 0 else (place[: at + 4], place[at + 5 :])
