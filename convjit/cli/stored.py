"""Arrays in files, read in two steps: the header first, the data only once shape and type are known to fit.

A header that lies can claim any size, so nothing is allocated on its word alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from convjit.errors import ConvError, InternalError
from convjit.spec.tensor import Tensor

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Stored:
    """An array in a file whose header has been read; `load` reads the rest.

    `axes` is the order that the file's format prescribes, empty where it is the order of the program.
    """

    place: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    load: Callable[[], Array]
    axes: tuple[str, ...] = ()


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    """The shape of a tensor that has no open size."""
    known = tuple(size for size in tensor.sizes if size is not None)
    if len(known) != len(tensor.sizes):
        raise InternalError(f"the tensor '{tensor.name}' has an open size")
    return known


def data(file: IO[bytes], path: str, shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool = False) -> Array:
    """The array that comes next in a file, in row-major (or Fortran's) order. `ConvError` where it is cut short."""
    wanted = math.prod(shape) * dtype.itemsize
    content = bytearray(file.read(wanted))
    if len(content) != wanted:
        raise ConvError.of(f"'{path}' is cut short: {len(content)} bytes of {wanted} are there.")
    flat = np.frombuffer(content, dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
