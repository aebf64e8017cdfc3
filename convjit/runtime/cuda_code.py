"""The PTX of a program on devices: loaded by the driver's compiler where it is first used, and started.

Modules stay loaded until the process ends: a captured CUDA graph holds their kernels without our knowing.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convjit.emit.words import entry_name
from convjit.errors import InternalError, Unavailable
from convjit.kernel.program import Step
from convjit.machine.machine import Machine
from convjit.runtime import cuda
from convjit.runtime.cuda_memory import relaxed

PLAIN_SHARED = 48 << 10
"""Bytes of shared memory that every kernel may use; more must be asked for."""
_LOG_BYTES = 16 << 10


@dataclass(frozen=True)
class Function:
    """A kernel on a device. `registers` of a thread, `local` bytes of a thread (spills among them), `blocks` that fit on
    one multiprocessor."""

    handle: Any
    threads: int
    shared: int
    registers: int
    local: int
    blocks: int

    def start(self, d: Any, blocks: int, stream: int, words: Sequence[int]) -> None:
        """Start so many blocks on a stream of the current context; the arguments are addresses and sizes, in order."""
        count = len(words)
        table = (ctypes.c_uint64 * (2 * count))(*words)
        first = ctypes.addressof(table)
        for n in range(count):  # each argument's place, behind the arguments
            table[count + n] = first + 8 * n
        status = d.cuLaunchKernel(
            self.handle, blocks, 1, 1, self.threads, 1, 1, self.shared, stream, first + 8 * count, 0
        )
        cuda.check(status, "starting a kernel")


class Code:
    """The PTX of a program's steps for a machine."""

    def __init__(self, ptx: str, machine: Machine, steps: tuple[Step, ...]) -> None:
        self.ptx = ptx
        self.machine = machine
        self.steps = steps
        self._lock = threading.Lock()
        self._loaded: dict[int, Mapping[str, Function]] = {}

    def on(self, device: int) -> Mapping[str, Function]:
        """The kernels by symbol on a device. `Unavailable` where it cannot run them."""
        found = self._loaded.get(device)
        if found is None:
            with self._lock:
                found = self._loaded.get(device) or self._load(device)
                self._loaded[device] = found
        return found

    def _load(self, device: int) -> Mapping[str, Function]:
        check_runs(cuda.devices()[device], self.machine, self.ptx)
        with cuda.on(device) as d, relaxed(d):
            module = _module(d, self.ptx)
            return {step.symbol: _function(d, module, step) for step in self.steps}


def check_runs(gpu: cuda.Gpu, machine: Machine, ptx: str = "") -> None:
    """`Unavailable` where a GPU or its driver cannot run code for the machine."""
    if not runs(gpu.sm, machine):
        where = f"sm_{machine.sm} {'and newer' if _portable(machine) else 'only'}"
        raise Unavailable.of(
            f"The GPU here cannot run {machine.name}.",
            note=f"'{gpu.name}' is sm_{gpu.sm}; code for {machine.llvm_cpu} runs on {where}.",
            hint="Compile with target 'cuda', which takes what the GPU here can run.",
        )
    needed = version_of(ptx)
    if needed > gpu.ptx:
        raise Unavailable.of(
            f"The driver of '{gpu.name}' is too old for this code.",
            note=f"It knows PTX {gpu.ptx // 10}.{gpu.ptx % 10}, the code needs {needed // 10}.{needed % 10}.",
            hint="Install a newer driver.",
        )


def runs(sm: int, machine: Machine) -> bool:
    """Whether a GPU of that compute capability runs the machine's code: code with an architecture's own features
    (sm_90a) nowhere else, other code on every newer GPU too."""
    return sm >= machine.sm if _portable(machine) else sm == machine.sm


def _portable(machine: Machine) -> bool:
    return machine.llvm_cpu[-1].isdigit()


def version_of(ptx: str) -> int:
    """The PTX version of a text (63 for 6.3); 0 where it names none."""
    line = next((line for line in ptx.splitlines() if line.startswith(".version ")), ".version 0.0")
    major, minor = line.split()[1].split(".")
    return 10 * int(major) + int(minor)


def _module(d: Any, ptx: str) -> Any:
    image = ptx.encode() + b"\0"
    status, module = d.cuModuleLoadData(image)
    if int(status):
        error = cuda.failure(cuda.words(d, status), "compiling PTX")
        if isinstance(error, InternalError):
            error = InternalError(f"{error}\n{_log(d, image)}\n--- PTX ---\n{ptx}")
        raise error
    return module


def _log(d: Any, image: bytes) -> str:
    """What the driver's compiler says about a text that it refuses."""
    text = bytes(_LOG_BYTES)
    options = [d.CUjit_option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, d.CUjit_option.CU_JIT_ERROR_LOG_BUFFER]
    d.cuModuleLoadDataEx(image, 2, options, [_LOG_BYTES, text])
    return text.split(b"\0")[0].decode(errors="replace")


def _function(d: Any, module: Any, step: Step) -> Function:
    launch = step.launch
    if launch is None:
        raise InternalError(f"'{step.symbol}' has no launch")
    handle = cuda.check(d.cuModuleGetFunction(module, entry_name(step.symbol).encode()), "finding a kernel")
    attributes = d.CUfunction_attribute
    if launch.shared_bytes > PLAIN_SHARED:
        most = attributes.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        cuda.check(d.cuFuncSetAttribute(handle, most, launch.shared_bytes), f"{launch.shared_bytes} bytes shared")

    def read(name: str) -> int:
        attribute = getattr(attributes, f"CU_FUNC_ATTRIBUTE_{name}")
        return int(cuda.check(d.cuFuncGetAttribute(attribute, handle), f"reading {name}"))

    blocks = d.cuOccupancyMaxActiveBlocksPerMultiprocessor(handle, launch.threads, launch.shared_bytes)
    return Function(
        handle, launch.threads, launch.shared_bytes, read("NUM_REGS"), read("LOCAL_SIZE_BYTES"),
        int(cuda.check(blocks, "reading the occupancy")),
    )  # fmt: skip
