"""Whether a convolution fits into the memory of this machine, asked before anything is allocated."""

from __future__ import annotations

import re
from pathlib import Path

from convjit.errors import ConvError
from convjit.spec.conv import ConvSpec

WORK = 6
"""Bytes that the check needs for each byte of the tensors: they, and the reference's and the bound's arrays in float64."""


def check_memory(spec: ConvSpec, root: Path = Path("/")) -> None:
    """`ConvError`, at the largest tensor, where the arrays of a call and of its check would not fit."""
    largest = max(spec.tensors, key=lambda tensor: tensor.bytes or 0)
    needed = WORK * sum(tensor.bytes or 0 for tensor in spec.tensors)
    there = available(root)
    if needed <= there:
        return
    note = f"'{spec.name}' and its check take about {readable(needed)}; {readable(there)} are available."
    label = f"{readable(largest.bytes or 0)}"
    raise ConvError.of(f"The tensors of '{spec.name}' do not fit into memory.", largest.span, label, note)


def available(root: Path = Path("/")) -> int:
    """Bytes that can be allocated: what the system has left, or the control group allows. 2^47 where nobody says."""
    amounts = [2**47]
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
        amounts += [int(found[1]) * 1024] if found else []
    except OSError:
        pass
    group = _group_limit(root / "sys/fs/cgroup")
    return min([*amounts, *([group] if group is not None else [])])


def _group_limit(group: Path) -> int | None:
    """What the control group still allows; the cache of files in it makes room where it must."""
    try:
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        cached = re.search(r"^file (\d+)", (group / "memory.stat").read_text(), re.MULTILINE)
        return max(0, int(limit) - int(used) + (int(cached[1]) if cached else 0)) if limit.isdecimal() else None
    except (OSError, ValueError):
        return None


def readable(amount: int) -> str:
    """Bytes for people: "1.5 GiB"."""
    for unit, power in (("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if amount >= 2**power:
            return f"{amount / 2**power:.1f} {unit}"
    return f"{amount} bytes"
