"""The CUDA driver behind a few functions, through the package cuda-bindings (the extra `convjit[cuda]`).

Everything happens in a device's primary context, the one that PyTorch, CuPy and the CUDA runtime use, so that their
arrays and streams can be used as they are. A stream is its handle as a number; 0 is the default stream.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from convjit.errors import ConvError, InternalError, Unavailable

INSTALL = "A machine with an NVIDIA GPU needs its driver and `pip install convjit[cuda]`."
_PTX = {100: 63, 101: 64, 102: 65, 126: 85, 127: 86, 128: 87, 129: 88}
"""The newest PTX version by CUDA version (126 for 12.6), where it isn't 40 less."""


@dataclass(frozen=True)
class Gpu:
    """A device. `sm` is its compute capability (90 for 9.0), `memory` in bytes, `megahertz` its highest clock, `cuda` the
    newest CUDA version that its driver knows (130 for 13.0)."""

    number: int
    name: str
    sm: int
    multiprocessors: int
    memory: int
    megahertz: float
    cuda: int

    @property
    def ptx(self) -> int:
        """The newest PTX version that the driver takes (90 for 9.0)."""
        return _PTX.get(self.cuda, self.cuda - 40)


@lru_cache(maxsize=1)
def driver() -> Any:
    """The bindings, initialised. `Unavailable` where the package, the driver or a device is missing."""
    try:
        bindings = import_module("cuda.bindings.driver")
    except ImportError as error:
        raise _absent(f"The package cuda-bindings cannot be loaded: {error}.") from None
    try:
        status = bindings.cuInit(0)[0]
    except Exception as error:  # noqa: BLE001 (the bindings have an exception for each way of not finding a driver)
        raise _absent(f"The driver cannot be loaded: {str(error).splitlines()[0]}") from None
    if int(status):
        raise _absent(f"The driver does not start: {words(bindings, status)}.")
    return bindings


def _absent(reason: str) -> Unavailable:
    return Unavailable.of("There is no GPU to be had here.", note=reason, hint=INSTALL)


def words(bindings: Any, status: Any) -> str:
    """What a status says: "CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)"."""
    found = [ask(status)[1] for ask in (bindings.cuGetErrorName, bindings.cuGetErrorString)]
    name, text = (w.decode() if isinstance(w, bytes) else f"status {int(status)}" for w in found)
    return f"{name} ({text})"


def check(result: tuple[Any, ...], doing: str) -> Any:
    """The result of a driver call, without its status; an exception where that is an error."""
    if int(result[0]):
        raise failure(words(driver(), result[0]), doing)
    return result[1] if len(result) > 1 else None


def failure(status: str, doing: str) -> Exception:
    """The exception for a driver's error while `doing` something."""
    if status.startswith("CUDA_ERROR_OUT_OF_MEMORY"):
        return MemoryError(f"The GPU has no memory for {doing}.")
    if status.startswith("CUDA_ERROR_STREAM_CAPTURE"):
        text = f"While a CUDA graph is captured, {doing} cannot be done."
        return ConvError.of(text, note=status, hint="Compile and bind before the capture; call inside it.")
    if status.startswith(("CUDA_ERROR_NOT_INITIALIZED", "CUDA_ERROR_DEINITIALIZED")):
        hint = "Use the start method 'spawn' where several processes use a GPU."
        return Unavailable.of("A forked process cannot use its parent's GPU.", note=status, hint=hint)
    return InternalError(f"the GPU's driver fails at {doing} (or at earlier work that shows only now): {status}")


@lru_cache(maxsize=1)
def devices() -> tuple[Gpu, ...]:
    """The GPUs that this process sees, in the driver's order."""
    d = driver()
    version = check(d.cuDriverGetVersion(), "asking for its version")
    cuda = version // 1000 * 10 + version % 1000 // 10
    return tuple(_device(d, n, cuda) for n in range(check(d.cuDeviceGetCount(), "counting devices")))


def _device(d: Any, number: int, cuda: int) -> Gpu:
    handle = check(d.cuDeviceGet(number), "opening a device")

    def attribute(name: str) -> int:
        which = getattr(d.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(check(d.cuDeviceGetAttribute(which, handle), f"reading {name}"))

    name = check(d.cuDeviceGetName(128, handle), "reading a device's name")
    return Gpu(
        number=number,
        name=name.split(b"\0")[0].decode(),
        sm=10 * attribute("COMPUTE_CAPABILITY_MAJOR") + attribute("COMPUTE_CAPABILITY_MINOR"),
        multiprocessors=attribute("MULTIPROCESSOR_COUNT"),
        memory=int(check(d.cuDeviceTotalMem(handle), "reading a device's memory")),
        megahertz=attribute("CLOCK_RATE") / 1000,
        cuda=cuda,
    )


def current_device() -> int:
    """The device of this thread's context; 0 where it has none."""
    d = driver()
    if not int(check(d.cuCtxGetCurrent(), "asking for the context")):
        return 0
    return int(check(d.cuCtxGetDevice(), "asking for the device"))


_lock = threading.Lock()
_contexts: dict[int, Any] = {}


def _context(number: int) -> Any:
    """The device's primary context, retained once."""
    with _lock:
        if number not in _contexts:
            d = driver()
            handle = check(d.cuDeviceGet(number), "opening a device")
            _contexts[number] = check(d.cuDevicePrimaryCtxRetain(handle), "retaining the primary context")
        return _contexts[number]


@contextmanager
def on(number: int) -> Iterator[Any]:
    """The device's primary context is this thread's inside; what was current is so again afterwards. Gives the bindings."""
    d = driver()
    context = _contexts.get(number) or _context(number)
    if int(check(d.cuCtxGetCurrent(), "asking for the context")) == int(context):
        yield d
        return
    check(d.cuCtxPushCurrent(context), "entering a context")
    try:
        yield d
    finally:
        check(d.cuCtxPopCurrent(), "leaving a context")


def synchronize(number: int, stream: int) -> None:
    """Wait until all that was started on a stream is done."""
    with on(number) as d:
        check(d.cuStreamSynchronize(stream), "waiting for a stream")


def order(number: int, first: int, then: int) -> None:
    """What comes on stream `then` waits for what is on stream `first` now; the processor does not."""
    with on(number) as d:
        event = check(d.cuEventCreate(d.CUevent_flags.CU_EVENT_DISABLE_TIMING), "making an event")
        try:
            check(d.cuEventRecord(event, first), "recording an event")
            check(d.cuStreamWaitEvent(then, event, 0), "waiting for an event")
        finally:
            d.cuEventDestroy(event)


def seconds(number: int, stream: int, work: Any, repeat: int = 1) -> float:
    """Seconds that the GPU takes for one of `repeat` calls of `work`, which starts something on that stream."""
    with on(number) as d:
        begin, end = (check(d.cuEventCreate(d.CUevent_flags.CU_EVENT_DEFAULT), "making an event") for _ in range(2))
        try:
            check(d.cuEventRecord(begin, stream), "recording an event")
            for _ in range(repeat):
                work()
            check(d.cuEventRecord(end, stream), "recording an event")
            check(d.cuEventSynchronize(end), "waiting for an event")
            return float(check(d.cuEventElapsedTime(begin, end), "reading a time")) / 1e3 / repeat
        finally:
            d.cuEventDestroy(begin), d.cuEventDestroy(end)
