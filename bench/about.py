"""The machine, the versions, and how busy it was: what a reader needs to judge the numbers, or to repeat them."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np

from convjit.runtime.detect import host

TELLING = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile")


def load() -> str:
    """How many processes wanted to run, in the last 1, 5 and 15 minutes."""
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


def command() -> str:
    """What was typed, from the repository's folder."""
    script = Path(sys.argv[0])
    name = f"bench/{script.name}" if script.parent.name == "bench" else script.name
    return shlex.join(["python", name, *sys.argv[1:]])


def machine() -> list[str]:
    """Processor, caches, system."""
    here = host()
    flags = " ".join(flag for flag in TELLING if flag in here.flags)
    caches = f"L1 {here.l1 >> 10} KiB, L2 {here.l2 >> 10} KiB, L3 {here.l3 >> 20} MiB"
    return [
        f"- processor: {here.name} ({here.cpu}), {here.cores} cores, {here.threads} processors; {flags}; {caches}",
        f"- system: {platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}",
    ]


def conditions(before: str) -> list[str]:
    """When, and how busy the machine was."""
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    return [f"- ended: {now}; load average before: {before}; after (with this measurement): {load()}"]


def libraries(versions: Mapping[str, str], missing: Mapping[str, str]) -> list[str]:
    """Versions, and who is not here."""
    found = [f"- {name}: {version}" for name, version in versions.items()]
    return found + [f"- {name} is missing: {problem}" for name, problem in missing.items()]


def limits(peak: float, unit: str, rates: Mapping[str, float]) -> list[str]:
    """What the machine can do at most, as measured in this run."""
    read = ", ".join(f"{level} {rate / 1e9:.0f} GB/s" for level, rate in rates.items())
    return [f"- measured limits: multiply-adds {peak / 1e9:.1f} {unit}; reading {read}"] if peak else []
