"""NumPy's .npy and .npz. Pickled objects are never loaded."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from typing import IO, Any

import numpy as np

from convjit.cli.stored import Array, Stored, data
from convjit.errors import ConvError, did_you_mean

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
"""Shape, whether it is in Fortran's order, and type."""

READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
NO_ZIP = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


def open_npy(path: str) -> Stored:
    """The array of an .npy file. `ConvError` where it is none; OSError where it cannot be read."""
    with open(path, "rb") as file:
        shape, fortran, dtype = _header(file, path)
        start, size = file.tell(), os.fstat(file.fileno()).st_size
    _check_length(path, shape, dtype, size - start)

    def load() -> Array:
        with open(path, "rb") as file:
            file.seek(start)
            return data(file, path, shape, dtype, fortran)

    return Stored(path, shape, dtype, load)


def open_npz(path: str, key: str) -> Stored:
    """The array named `key` of an .npz file, or its only one where the key is empty."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = _member(archive, path, key)
            with archive.open(name) as file:
                shape, fortran, dtype = _header(file, path)
                start = file.tell()
            _check_length(path, shape, dtype, archive.getinfo(name).file_size - start)
    except ConvError:
        raise
    except NO_ZIP as error:
        raise ConvError.of(f"'{path}' is not an .npz file: {_reason(error)}.") from None

    def load() -> Array:
        try:
            with zipfile.ZipFile(path) as archive, archive.open(name) as file:
                file.read(start)
                return data(file, path, shape, dtype, fortran)
        except ConvError:
            raise
        except NO_ZIP as error:
            raise ConvError.of(f"'{path}' is damaged: {_reason(error)}.") from None

    return Stored(f"{path}:{name.removesuffix('.npy')}", shape, dtype, load)


def _member(archive: zipfile.ZipFile, path: str, key: str) -> str:
    """The name inside the archive: that of the key, or the only one."""
    names = [name for name in archive.namelist() if name.endswith(".npy")]
    keys = [name.removesuffix(".npy") for name in names]
    if key:
        if key in keys:
            return f"{key}.npy"
        note = f"Its arrays are {', '.join(keys) or 'none'}."
        raise ConvError.of(f"'{path}' has no array '{key}'.", note=note, hint=did_you_mean(key, keys))
    if len(names) != 1:
        hint = f"Name one: {path}:{keys[0]}" if keys else ""
        raise ConvError.of(f"'{path}' holds {len(names)} arrays: {', '.join(keys) or 'none'}.", hint=hint)
    return names[0]


def _header(file: IO[bytes], path: str) -> Header:
    """The header, which NumPy evaluates as a literal and nothing more."""
    try:
        version = np.lib.format.read_magic(file)
        shape, fortran, dtype = READERS.get(version, READERS[2, 0])(file)
    except Exception as error:  # noqa: BLE001 (a header that is none makes NumPy raise nearly anything)
        raise ConvError.of(f"'{path}' is not an .npy file: {_reason(error)}.") from None
    if dtype.hasobject:
        note = "Such a file can run any code when it is loaded."
        raise ConvError.of(f"'{path}' holds Python objects, not numbers.", note=note)
    return shape, fortran, dtype


def _check_length(path: str, shape: tuple[int, ...], dtype: np.dtype[Any], there: int) -> None:
    """Whether the data behind the header is as long as the header says."""
    wanted = math.prod(shape) * dtype.itemsize
    if there < wanted or min(shape, default=0) < 0:
        raise ConvError.of(
            f"'{path}' is cut short: its header says {dtype} {list(shape)}, {wanted} bytes; {max(there, 0)} are there."
        )


def _reason(error: BaseException) -> str:
    lines = str(error).strip().rstrip(".").splitlines()
    return lines[0][:200] if lines else type(error).__name__
