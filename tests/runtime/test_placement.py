"""Where arrays lie: whole cache lines, and no two in a row at the same place of a page."""

from __future__ import annotations

import gc

import numpy as np

from convjit.runtime.placement import STEP, aligned, empty

PAGE = 4096


def test_arrays_begin_with_a_cache_line_at_different_places() -> None:
    arrays = [empty((3, 5)) for _ in range(8)]
    starts = [array.ctypes.data % PAGE for array in arrays]
    assert all(start % 64 == 0 for start in starts)
    assert len(set(starts)) == len(starts)
    assert STEP % 64 == 0


def test_an_array_lives_as_long_as_it_is_used() -> None:
    array = empty((1000, 1000), np.float64)
    array.fill(2.0)
    part = array[10:, ::3]
    del array
    gc.collect()
    assert part.sum() == 2.0 * part.size
    assert part.flags.writeable


def test_a_copy_is_row_major() -> None:
    source = np.arange(24, dtype=np.int8).reshape(2, 3, 4).transpose(2, 0, 1)
    copy = aligned(source)
    np.testing.assert_array_equal(copy, source)
    assert copy.flags.c_contiguous and copy.dtype == np.int8
    assert copy.ctypes.data % 64 == 0
