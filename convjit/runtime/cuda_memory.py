"""Memory of a GPU: what lives as long as its owner, what lives for one call, and copies to and from the processor."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from convjit.runtime import cuda

_KEEP_ALL = 2**64 - 1
_lock = threading.Lock()
_pools: dict[int, Any] = {}


class Memory:
    """Bytes on a device, freed with this object. A CUDA graph that uses them needs it alive."""

    def __init__(self, device: int, size: int) -> None:
        self.device = device
        self.size = size
        with cuda.on(device) as d, relaxed(d):
            self.address = int(cuda.check(d.cuMemAlloc(max(1, size)), f"{size} bytes"))
        weakref.finalize(self, _free, device, self.address).atexit = False


def _free(device: int, address: int) -> None:
    """Memory that cannot be given back, because the process or its context ends, is given back by that."""
    with contextlib.suppress(Exception), cuda.on(device) as d, relaxed(d):
        d.cuMemFree(address)


@contextmanager
def relaxed(d: Any) -> Iterator[None]:
    """Memory may be taken and given back while another piece of the program captures a CUDA graph."""
    before = cuda.check(
        d.cuThreadExchangeStreamCaptureMode(d.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED),
        "setting the capture mode",
    )
    try:
        yield
    finally:
        d.cuThreadExchangeStreamCaptureMode(before)


@contextmanager
def temporary(device: int, stream: int, size: int) -> Iterator[int]:
    """The address of so many bytes for what is started on the stream inside: each call has its own, and a captured
    graph gets them as its own nodes."""
    if not size:
        yield 0
        return
    with cuda.on(device) as d:
        address = cuda.check(d.cuMemAllocFromPoolAsync(size, _pool(d, device), stream), f"{size} bytes of temporaries")
        try:
            yield int(address)
        finally:
            cuda.check(d.cuMemFreeAsync(address, stream), "freeing temporaries")


def _pool(d: Any, device: int) -> Any:
    """A pool of our own, which keeps what it has: the default pool returns everything whenever somebody waits."""
    with _lock:
        if device not in _pools:
            properties = d.CUmemPoolProps()
            properties.allocType = d.CUmemAllocationType.CU_MEM_ALLOCATION_TYPE_PINNED
            properties.location.type = d.CUmemLocationType.CU_MEM_LOCATION_TYPE_DEVICE
            properties.location.id = device
            with relaxed(d):
                pool = cuda.check(d.cuMemPoolCreate(properties), "a pool of memory")
                attribute = d.CUmemPool_attribute.CU_MEMPOOL_ATTR_RELEASE_THRESHOLD
                cuda.check(d.cuMemPoolSetAttribute(pool, attribute, d.cuuint64_t(_KEEP_ALL)), "setting up a pool")
            _pools[device] = pool
        return _pools[device]


def copy_in(device: int, stream: int, address: int, array: np.ndarray[Any, Any]) -> None:
    """The bytes of a contiguous array to the device; the array may be changed once this returns."""
    with cuda.on(device) as d:
        cuda.check(d.cuMemcpyHtoDAsync(address, array.ctypes.data, array.nbytes, stream), "copying to the GPU")
        cuda.check(d.cuStreamSynchronize(stream), "copying to the GPU")


def copy_out(device: int, stream: int, address: int, array: np.ndarray[Any, Any]) -> None:
    """Bytes of the device into a contiguous array, after all that is on the stream."""
    with cuda.on(device) as d:
        cuda.check(d.cuMemcpyDtoHAsync(array.ctypes.data, address, array.nbytes, stream), "copying from the GPU")
        cuda.check(d.cuStreamSynchronize(stream), "copying from the GPU")
