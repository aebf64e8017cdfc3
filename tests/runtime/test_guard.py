"""The guarded arrays that other tests rely on: a byte too far is noticed."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

from tests import guard
from tests.runtime import kernels

CHILD = """
import ctypes, sys
import numpy as np
from tests import guard
memory = guard.at_end((3,), np.float32) if "end" in sys.argv[1] else guard.at_start((3,), np.float32)
address = memory.array.ctypes.data
if "frozen" in sys.argv[1]:
    memory.freeze()
memory.array.sum()
ctypes.memset(address + int(sys.argv[2]), 0, 1)
"""


@pytest.mark.parametrize(
    ("how", "offset", "faults"),
    [
        ("end", 11, False),
        ("end", 12, True),
        ("start", 0, False),
        ("start", -1, True),
        ("end frozen", 0, True),
    ],
)
def test_the_first_byte_outside_faults(how: str, offset: int, faults: bool) -> None:
    child = subprocess.run([sys.executable, "-c", CHILD, how, str(offset)], capture_output=True, check=False)
    assert child.returncode == (-signal.SIGSEGV if faults else 0)


def test_a_write_on_the_mapped_side_is_seen() -> None:
    for memory in (guard.at_end((5,), np.int8), guard.at_start((5,), np.int8)):
        memory.array[:] = 0
        assert memory.intact()
        memory._slack[-1] = 0
        assert not memory.intact()


@pytest.mark.parametrize("end", [True, False])
def test_a_kernel_on_guarded_arrays(end: bool) -> None:
    values = np.arange(3000, dtype=np.float32).reshape(1, 3000)
    x, w = guard.copy(values, end, writable=False), guard.copy(np.array([2], np.float32), end, writable=False)
    y = guard.at_end((1, 3000), np.float32) if end else guard.at_start((1, 3000), np.float32)
    kernels.scale(3000, threads=2)(x.array, w.array, out=y.array)
    np.testing.assert_array_equal(y.array, values * 2)
    assert y.intact()
