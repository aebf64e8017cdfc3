"""Counters of energy that a machine may offer: RAPL of processors, by Linux's powercap, and NVML of NVIDIA's GPUs.

RAPL: Linux, Documentation/power/powercap; the counter of a package starts anew at max_energy_range_uj. NVML: NVIDIA
Management Library, nvmlDeviceGetTotalEnergyConsumption (Volta and newer), else nvmlDeviceGetPowerUsage, sampled.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, Self

POWERCAP = Path("/sys/class/powercap")
PERIOD = 0.02
"""Seconds between two samples of a power."""


class Meter(Protocol):
    """A counter of joules; `label` says of what. It counts between `__enter__` and `__exit__`."""

    label: str

    def __enter__(self) -> Self:
        """Begin."""

    def __exit__(self, *error: object) -> None:
        """End."""

    def joules(self) -> float:
        """Since some moment; only differences mean something."""


@dataclass(frozen=True)
class Absent:
    """There is no meter, and why."""

    reason: str


@dataclass
class Rapl:
    """The packages of all processors together."""

    packages: tuple[Path, ...]
    label: str = "package"
    last: dict[Path, int] = field(default_factory=dict)
    total: int = 0

    def __enter__(self) -> Self:
        self.last = {package: read(package / "energy_uj") for package in self.packages}
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing runs."""

    def joules(self) -> float:
        """A counter that has become smaller has started anew (once: a range lasts for minutes at least)."""
        for package, before in self.last.items():
            now = read(package / "energy_uj")
            self.total += now - before if now >= before else now - before + read(package / "max_energy_range_uj")
            self.last[package] = now
        return self.total / 1e6


@dataclass
class NvmlEnergy:
    """The board of one GPU, by its own counter."""

    nvml: Any
    handle: Any
    label: str = "GPU board"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing runs."""

    def joules(self) -> float:
        """The counter is in millijoules."""
        return float(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) / 1e3


class NvmlPower:
    """The board of one GPU, from samples of its power."""

    label = "GPU board, sampled power"

    def __init__(self, nvml: Any, handle: Any, period: float = PERIOD) -> None:
        self.nvml, self.handle, self.period = nvml, handle, period
        self.total, self.last = 0.0, 0.0
        self.lock, self.stop = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        self.stop.clear()
        self.last = time.perf_counter()
        self.thread = threading.Thread(target=self.sample, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop.set()
        self.thread.join()

    def sample(self) -> None:
        """Until the end."""
        while not self.stop.wait(self.period):
            self.joules()

    def joules(self) -> float:
        """The power now is taken to be that since the last sample."""
        with self.lock:
            watts = self.nvml.nvmlDeviceGetPowerUsage(self.handle) / 1e3
            now = time.perf_counter()
            self.total += watts * (now - self.last)
            self.last = now
            return self.total


def meter(kind: str, root: Path = POWERCAP) -> Meter | Absent:
    """Of the processor ("cpu") or of GPU 0 ("cuda")."""
    return nvml_meter() if kind == "cuda" else rapl_meter(root)


def rapl_meter(root: Path) -> Rapl | Absent:
    """By the packages below `root` that may be read."""
    packages = tuple(sorted(path for path in root.glob("intel-rapl:*") if is_package(path)))
    if not packages:
        return Absent(f"this machine has no RAPL counters (no package below {root})")
    try:
        for package in packages:
            read(package / "energy_uj")
            read(package / "max_energy_range_uj")
    except PermissionError as error:
        return Absent(f"{error.filename} may not be read by this user (root may)")
    except (OSError, ValueError) as error:
        return Absent(f"the RAPL counters cannot be read: {error}")
    return Rapl(packages)


def is_package(path: Path) -> bool:
    """Whether it counts a whole package (not a core's part of one, not the whole system)."""
    try:
        return path.name.count(":") == 1 and (path / "name").read_text(encoding="ascii").startswith("package")
    except OSError:
        return False


def read(path: Path) -> int:
    """A whole number of microjoules."""
    return int(path.read_text(encoding="ascii"))


def nvml_meter(number: int = 0) -> NvmlEnergy | NvmlPower | Absent:
    """Of one GPU."""
    try:
        nvml = import_module("pynvml")
    except ImportError:
        return Absent("the package nvidia-ml-py is not installed (`pip install convjit[energy]`)")
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByIndex(number)
    except nvml.NVMLError as error:
        return Absent(f"NVML finds no GPU: {error}")
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        return NvmlEnergy(nvml, handle)
    except nvml.NVMLError:
        pass
    try:
        nvml.nvmlDeviceGetPowerUsage(handle)
    except nvml.NVMLError as error:
        return Absent(f"the GPU tells neither its energy nor its power: {error}")
    return NvmlPower(nvml, handle)
