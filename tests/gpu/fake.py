"""A CUDA driver for machines without one: memory is the processor's, and a kernel is run by the kernel interpreter.

It checks what a real driver would (contexts, arguments, geometry, shared memory) and notes every launch.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from convjit import machine
from convjit.emit.words import entry_name
from convjit.kernel.interpret import interpret
from convjit.kernel.ir import Kernel
from convjit.kernel.meaning import NUMPY
from convjit.runtime import cuda, cuda_memory

ERRORS = {
    1: (b"CUDA_ERROR_INVALID_VALUE", b"invalid argument"),
    2: (b"CUDA_ERROR_OUT_OF_MEMORY", b"out of memory"),
    3: (b"CUDA_ERROR_NOT_INITIALIZED", b"initialization error"),
    100: (b"CUDA_ERROR_NO_DEVICE", b"no CUDA-capable device is detected"),
    201: (b"CUDA_ERROR_INVALID_CONTEXT", b"invalid device context"),
    218: (b"CUDA_ERROR_INVALID_PTX", b"a PTX JIT compilation failed"),
    700: (b"CUDA_ERROR_ILLEGAL_ADDRESS", b"an illegal memory access was encountered"),
    900: (b"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", b"operation not permitted when stream is capturing"),
}


class _Names:
    """An enumeration whose members are their own names."""

    def __getattr__(self, name: str) -> str:
        return name


@dataclass
class Launch:
    """A kernel that was started: its name, blocks, threads and dynamic shared bytes, stream and argument words."""

    name: str
    blocks: int
    threads: int
    shared: int
    stream: int
    words: tuple[int, ...]


@dataclass
class Driver:
    """Stands for the module cuda.bindings.driver. `fail` maps the name of a function to the status that it returns;
    `runs`: whether kernels are run, not only noted."""

    sms: tuple[int, ...] = (90,)
    version: int = 13000
    fail: dict[str, int] = field(default_factory=dict)
    runs: bool = True
    kernels: dict[str, Kernel] = field(default_factory=dict)
    launches: list[Launch] = field(default_factory=list)
    log: list[tuple[Any, ...]] = field(default_factory=list)
    memory: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)
    asked_shared: dict[str, int] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)

    CUdevice_attribute = CUfunction_attribute = CUpointer_attribute = CUjit_option = CUstreamCaptureMode = _Names()
    CUevent_flags = CUmemAllocationType = CUmemLocationType = CUmemPool_attribute = _Names()
    CUmemPoolProps = staticmethod(lambda: SimpleNamespace(location=SimpleNamespace()))
    cuuint64_t = int

    def __post_init__(self) -> None:
        self._contexts = threading.local()

    def __getattribute__(self, name: str) -> Any:
        """Every function returns a status first; a test may make one fail."""
        value = object.__getattribute__(self, name)
        if name.startswith("cu") and name in object.__getattribute__(self, "fail"):
            status = self.fail[name]
            return lambda *_args: (status, None)
        return value

    def add(self, kernels: Iterable[Kernel]) -> None:
        """What loading their PTX makes known."""
        self.kernels |= {entry_name(k.name): k for k in kernels}

    def keep(self, array: np.ndarray[Any, Any]) -> int:
        """Memory of the device that the array is; its address."""
        self.memory[array.ctypes.data] = array.reshape(-1).view(np.uint8)
        return int(array.ctypes.data)

    # --- status, devices, contexts

    def cuInit(self, flags: int) -> tuple[int]:
        return (0 if self.sms else 100,)

    def cuGetErrorName(self, status: int) -> tuple[int, bytes | None]:
        return 0, ERRORS.get(status, (None, None))[0]

    def cuGetErrorString(self, status: int) -> tuple[int, bytes | None]:
        return 0, ERRORS.get(status, (None, None))[1]

    def cuDriverGetVersion(self) -> tuple[int, int]:
        return 0, self.version

    def cuDeviceGetCount(self) -> tuple[int, int]:
        return 0, len(self.sms)

    def cuDeviceGet(self, number: int) -> tuple[int, int]:
        return 0, number

    def cuDeviceGetName(self, length: int, device: int) -> tuple[int, bytes]:
        return 0, f"Fake {self.sms[device]}\0\0".encode()

    def cuDeviceTotalMem(self, device: int) -> tuple[int, int]:
        return 0, 1 << 30

    def cuDeviceGetAttribute(self, which: str, device: int) -> tuple[int, int]:
        values = {
            "COMPUTE_CAPABILITY_MAJOR": self.sms[device] // 10,
            "COMPUTE_CAPABILITY_MINOR": self.sms[device] % 10,
            "MULTIPROCESSOR_COUNT": 132,
            "CLOCK_RATE": 1_980_000,
        }
        return 0, values[which.removeprefix("CU_DEVICE_ATTRIBUTE_")]

    def _stack(self) -> list[int]:
        if not hasattr(self._contexts, "stack"):
            self._contexts.stack = []
        return self._contexts.stack  # type: ignore[no-any-return]

    def cuDevicePrimaryCtxRetain(self, device: int) -> tuple[int, int]:
        self.log.append(("retain", device))
        return 0, 1000 + device

    def cuCtxGetCurrent(self) -> tuple[int, int]:
        return 0, self._stack()[-1] if self._stack() else 0

    def cuCtxGetDevice(self) -> tuple[int, int]:
        return 0, self._stack()[-1] - 1000

    def cuCtxPushCurrent(self, context: int) -> tuple[int]:
        self._stack().append(context)
        return (0,)

    def cuCtxPopCurrent(self) -> tuple[int, int]:
        return 0, self._stack().pop()

    # --- code

    def cuModuleLoadData(self, image: bytes) -> tuple[int, Any]:
        self.log.append(("load", self._stack()[-1] - 1000))
        text = image.rstrip(b"\0").decode()
        return (0, text) if ".version" in text else (218, None)

    def cuModuleLoadDataEx(self, image: bytes, count: int, options: list[str], values: list[Any]) -> tuple[int, Any]:
        words = b"ptxas fatal: no version"
        ctypes.memmove(values[1], words, len(words))
        return 218, None

    def cuModuleGetFunction(self, text: str, name: bytes) -> tuple[int, str]:
        assert f".entry {name.decode()}(" in text
        return 0, name.decode()

    def cuFuncSetAttribute(self, function: str, attribute: str, value: int) -> tuple[int]:
        assert attribute == "CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES"
        self.asked_shared[function] = value
        return (0,)

    def cuFuncGetAttribute(self, attribute: str, function: str) -> tuple[int, int]:
        return 0, {"CU_FUNC_ATTRIBUTE_NUM_REGS": 40, "CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES": 0}[attribute]

    def cuOccupancyMaxActiveBlocksPerMultiprocessor(self, function: str, threads: int, shared: int) -> tuple[int, int]:
        return 0, 3

    def cuLaunchKernel(self, function: str, *rest: Any) -> tuple[int]:
        gx, gy, gz, bx, by, bz, shared, stream, place, extra = rest
        kernel = self.kernels[function]
        if not self._stack() or (gy, gz, by, bz, extra) != (1, 1, 1, 1, 0):
            return (1 if self._stack() else 201,)
        if shared > max(48 << 10, self.asked_shared.get(function, 0)) or not 0 < gx < 2**31:
            return (1,)
        count = len(kernel.parameters) + len(kernel.sizes)
        words = [ctypes.c_uint64.from_address(p).value for p in (ctypes.c_uint64 * count).from_address(place)]
        self.launches.append(Launch(function, gx, bx, shared, int(stream), tuple(words)))
        assert kernel.launch and (bx, shared) == (kernel.launch.threads, kernel.launch.shared_bytes)
        arrays = {p.name: self._array(w, p.dtype) for p, w in zip(kernel.parameters, words, strict=False)}
        sizes = dict(zip(kernel.sizes, words[len(kernel.parameters) :], strict=True))
        assert gx == np.prod([b if isinstance(b, int) else sizes[b] for b in kernel.launch.blocks])
        if self.runs:
            interpret(kernel, machine.get(kernel.machine), arrays, sizes)
        return (0,)

    def _array(self, address: int, dtype: str) -> np.ndarray[Any, Any]:
        """The memory from an address to the end of what was allocated there."""
        start = max(begin for begin in self.memory if begin <= address)
        return self.memory[start][address - start :].view(NUMPY[dtype])

    # --- memory

    def cuMemAlloc(self, size: int) -> tuple[int, int]:
        raw = np.full(size + 256, 0xFF, np.uint8)
        begin = -raw.ctypes.data % 256
        address = self.keep(raw[begin : begin + size])
        self.places[address] = self._stack()[-1] - 1000
        self.log.append(("alloc", size))
        return 0, address

    def cuMemFree(self, address: int) -> tuple[int]:
        self.memory.pop(address, None)
        self.log.append(("free",))
        return (0,)

    def cuMemPoolCreate(self, properties: Any) -> tuple[int, str]:
        return 0, f"pool {properties.location.id}"

    def cuMemPoolSetAttribute(self, pool: str, attribute: str, value: int) -> tuple[int]:
        return (0,)

    def cuMemAllocFromPoolAsync(self, size: int, pool: str, stream: int) -> tuple[int, int]:
        self.log.append(("temporary", size, int(stream)))
        return self.cuMemAlloc(size)

    def cuMemFreeAsync(self, address: int, stream: int) -> tuple[int]:
        self.log.append(("free temporary", int(stream)))
        return self.cuMemFree(address)

    def cuMemcpyHtoDAsync(self, address: int, source: int, size: int, stream: int) -> tuple[int]:
        ctypes.memmove(address, source, size)
        return (0,)

    def cuMemcpyDtoHAsync(self, target: int, address: int, size: int, stream: int) -> tuple[int]:
        ctypes.memmove(target, address, size)
        return (0,)

    def cuPointerGetAttribute(self, attribute: str, address: int) -> tuple[int, int]:
        return 0, self.places.get(address, 0)

    def cuThreadExchangeStreamCaptureMode(self, mode: str) -> tuple[int, str]:
        self.log.append(("mode", mode))
        return 0, "CU_STREAM_CAPTURE_MODE_GLOBAL"

    # --- streams and events

    def cuStreamSynchronize(self, stream: int) -> tuple[int]:
        self.log.append(("wait", int(stream)))
        return (0,)

    def cuEventCreate(self, flags: str) -> tuple[int, list[int]]:
        return 0, []

    def cuEventRecord(self, event: list[int], stream: int) -> tuple[int]:
        event.append(int(stream))
        return (0,)

    def cuStreamWaitEvent(self, stream: int, event: list[int], flags: int) -> tuple[int]:
        self.log.append(("order", event[-1], int(stream)))
        return (0,)

    def cuEventSynchronize(self, event: list[int]) -> tuple[int]:
        return (0,)

    def cuEventElapsedTime(self, begin: list[int], end: list[int]) -> tuple[int, float]:
        return 0, 5.0

    def cuEventDestroy(self, event: list[int]) -> tuple[int]:
        return (0,)


def forget() -> None:
    """Drop what was learnt of a driver."""
    cuda.driver.cache_clear()
    cuda.devices.cache_clear()
    cuda._contexts.clear()
    cuda_memory._pools.clear()


class OnDevice:
    """An array that only has a CUDA array interface, in the fake device's memory."""

    def __init__(
        self,
        driver: Driver,
        data: np.ndarray[Any, Any],
        /,
        stream: int | None = None,
        device: int = 0,
        **changes: Any,
    ) -> None:
        self.data = data
        self.stream = stream
        self.changes = changes
        driver.places[driver.keep(data)] = device

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        interface = dict(self.data.__array_interface__, version=3, stream=self.stream)
        return interface | self.changes
