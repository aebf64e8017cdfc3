"""What processor this is: features, caches, cores, and the best of the named targets that it runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import llvmlite.binding as llvm

from convjit.errors import Unavailable
from convjit.machine.machine import Machine
from convjit.runtime.assemble import CodeTarget

SYSTEM = Path("/")
_STATEFUL = ("avx", "fma", "f16c", "amx")
"""Features that need the operating system to save registers: it must list them, too."""


@dataclass(frozen=True)
class Host:
    """The processor of this machine.

    `features` are LLVM's names of what may be used, `flags` Linux's. Cache sizes in bytes per core (`l3`: shared), 0
    where unknown.
    """

    name: str
    cpu: str
    features: frozenset[str]
    flags: frozenset[str]
    cores: int
    threads: int
    l1: int
    l2: int
    l3: int
    megahertz: float

    @property
    def target(self) -> CodeTarget:
        """Everything that this processor has, for LLVM."""
        return CodeTarget(self.cpu, ",".join(f"+{name}" for name in sorted(self.features)))

    def runs(self, required: Iterable[str]) -> bool:
        """Whether all these features are there, by either name."""
        return not missing(required, self)


@lru_cache(maxsize=1)
def host() -> Host:
    """This machine, asked once."""
    return read(SYSTEM)


def read(root: Path) -> Host:
    """The machine as the files below `root` (proc/cpuinfo, sys/devices/system/cpu) and LLVM describe it."""
    blocks = _cpuinfo(root)
    first = blocks[0] if blocks else {}
    claimed = frozenset(name for name, on in llvm.get_host_cpu_features().items() if on)
    cores = {(b.get("physical id", "0"), b.get("core id", str(i))) for i, b in enumerate(blocks)}
    caches = _caches(root)
    flags = first.get("flags", "").split()
    return Host(
        name=first.get("model name", "unknown processor"),
        cpu=str(llvm.get_host_cpu_name()),
        features=_usable(claimed, flags),
        flags=frozenset(flags),
        cores=len(cores) or os.cpu_count() or 1,
        threads=len(blocks) or os.cpu_count() or 1,
        l1=caches.get(1, 0),
        l2=caches.get(2, 0),
        l3=caches.get(3, 0),
        megahertz=_megahertz(root, first),
    )


def best(targets: Mapping[str, tuple[str, ...]], machine: Host | None = None) -> str:
    """The last of the targets, in their order, whose required features the machine has.

    >>> best({"cpu:scalar": (), "cpu:none": ("no-such-feature",)})
    'cpu:scalar'
    """
    machine = machine or host()
    fitting = [name for name, required in targets.items() if machine.runs(required)]
    if not fitting:
        raise Unavailable.of(
            f"This processor, {machine.name}, runs none of the targets {' '.join(targets)}.",
            hint="`convjit targets` shows what each of them needs.",
        )
    return fitting[-1]


def best_target(machines: Mapping[str, Machine], machine: Host | None = None) -> str:
    """The best of the CPU's targets that the machine runs."""
    return best({name: m.required for name, m in machines.items() if m.kind == "cpu"}, machine)


def missing(required: Iterable[str], machine: Host | None = None) -> tuple[str, ...]:
    """The features of a target that the machine lacks, in order."""
    machine = machine or host()
    there = {_plain(name) for name in machine.features | machine.flags}
    return tuple(name for name in required if _plain(name) not in there)


def _usable(claimed: frozenset[str], listed: list[str]) -> frozenset[str]:
    """The processor's features without those whose registers the operating system does not save."""
    if not listed:
        return claimed
    system = {_plain(flag) for flag in listed}
    return frozenset(name for name in claimed if not name.startswith(_STATEFUL) or _plain(name) in system)


def _plain(name: str) -> str:
    """LLVM says avx512vnni and avx512vbmi2, Linux avx512_vnni and avx512_vbmi2."""
    return name.replace("_", "").replace("-", "").replace(".", "")


def _cpuinfo(root: Path) -> list[dict[str, str]]:
    """One mapping for each logical processor; empty where the file cannot be read."""
    try:
        text = (root / "proc/cpuinfo").read_text()
    except OSError:
        return []
    blocks = []
    for block in text.strip().split("\n\n"):
        pairs = (line.split(":", 1) for line in block.splitlines() if ":" in line)
        blocks.append({name.strip(): value.strip() for name, value in pairs})
    return blocks


def _caches(root: Path) -> dict[int, int]:
    """Bytes of the data caches by level."""
    sizes = {}
    for index in sorted((root / "sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            kind, level, size = (_line(index / name) for name in ("type", "level", "size"))
        except OSError:
            continue
        if kind in ("Data", "Unified") and level.isdecimal():
            sizes[int(level)] = _bytes(size)
    return sizes


def _line(path: Path) -> str:
    return path.read_text().strip()


def _bytes(size: str) -> int:
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    number, unit = (size[:-1], size[-1]) if size[-1:] in units else (size, "")
    return int(number) * units.get(unit, 1) if number.isdecimal() else 0


def _megahertz(root: Path, block: dict[str, str]) -> float:
    try:
        return int(_line(root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq")) / 1000
    except (OSError, ValueError):
        return float(block.get("cpu MHz", 0))
