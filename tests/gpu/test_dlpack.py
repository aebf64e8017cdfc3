"""DLPack capsules: read as other libraries make them, made so that others can read them."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from convjit.runtime import device_views, dlpack
from convjit.runtime.device_array import DeviceArray
from tests.gpu.fake import Driver, OnDevice


@pytest.mark.parametrize("name", ["f64", "f32", "f16", "i64", "i32", "i16", "i8", "u8"])
def test_a_capsule_of_numpy_is_read(name: str) -> None:
    kind = {"f": "float", "i": "int", "u": "uint"}[name[0]] + name[1:]
    array = np.arange(24).astype(kind).reshape(2, 3, 4)[:, ::2]
    capsule = array.__dlpack__()
    found = dlpack.describe(capsule)
    strides = tuple(s // array.itemsize for s in array.strides)
    expected = (array.ctypes.data, name, 8 * array.itemsize, (2, 2, 4), strides, 1, 0)
    assert tuple(found) == expected


def test_a_scalar_and_an_empty_array() -> None:
    assert dlpack.describe(np.array(5.0).__dlpack__()).shape == ()
    assert dlpack.describe(np.zeros((2, 0, 3)).__dlpack__()).shape == (2, 0, 3)


class Given:
    """What NumPy takes: a capsule of ours, said to be the processor's."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __dlpack__(self, **_named: Any) -> Any:
        return self.capsule


class Owner:
    pass


def owned(array: np.ndarray[Any, Any]) -> Any:
    return dlpack.capsule(array.ctypes.data, "f32", array.shape, 3, array)


def test_a_capsule_of_ours_is_read_back() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    capsule = owned(array)
    assert tuple(dlpack.describe(capsule)) == (array.ctypes.data, "f32", 32, (2, 3), (3, 1), dlpack.CUDA, 3)
    assert dlpack.describe(dlpack.capsule(0, "bf16", (), 0, None)).dtype == "bf16"


def test_a_capsule_that_nobody_takes_frees_what_it_keeps() -> None:
    array = np.zeros(4, np.float32)
    kept = len(dlpack._alive)
    capsule = owned(array)
    assert len(dlpack._alive) == kept + 1
    del capsule
    assert len(dlpack._alive) == kept


def test_what_a_reader_takes_over_is_kept_until_it_is_done() -> None:
    """NumPy is such a reader, for memory that is said to be the processor's."""
    array = np.arange(4, dtype=np.float32)
    kept = len(dlpack._alive)
    capsule = owned(array)
    managed = next(reversed(dlpack._alive.values()))[0]  # type: ignore[index]
    managed.tensor.device_kind = 1
    taken = np.from_dlpack(Given(capsule))
    del capsule, managed
    gc.collect()
    np.testing.assert_array_equal(taken, [0, 1, 2, 3])
    assert len(dlpack._alive) == kept + 1
    del taken
    assert len(dlpack._alive) == kept


def test_a_reader_waits_for_our_stream(driver: Driver) -> None:
    array = DeviceArray((2,), "f32", stream=5)
    driver.log.clear()
    for stream in (None, 1, 7, 5, -1):
        array.__dlpack__(stream=stream)
    assert [e for e in driver.log if e[0] == "order"] == [("order", 5, 0), ("order", 5, 0), ("order", 5, 7)]
    assert array.__dlpack_device__() == (dlpack.CUDA, 0)


class Foreign:
    """An array of a library that has DLPack and nothing else."""

    def __init__(self, array: DeviceArray) -> None:
        self.array = array
        self.streams: list[int] = []

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __dlpack__(self, *, stream: int) -> Any:
        self.streams.append(stream)
        return self.array.__dlpack__(stream=stream)


def test_an_array_with_nothing_but_dlpack(driver: Driver) -> None:
    foreign = Foreign(DeviceArray((2, 3), "f32"))
    view = device_views.view(foreign, "x")
    assert (view.address, view.dtype, view.shape) == (foreign.array.memory.address, "f32", (2, 3))
    assert (view.strides, view.device, view.stream, view.family) == ((12, 4), 0, 0, "cuda")
    assert foreign.streams == [1]


def test_an_array_with_nothing_but_an_interface(driver: Driver) -> None:
    array = np.zeros((2, 3), np.float32)
    view = device_views.view(OnDevice(driver, array, stream=2), "x")
    assert (view.address, view.dtype, view.strides, view.stream) == (array.ctypes.data, "f32", (12, 4), 2)
    empty = device_views.view(OnDevice(driver, array, data=(0, False), shape=(0, 3)), "x")
    assert (empty.shape, empty.bytes, empty.device) == ((0, 3), 0, 0)
