"""How many workers a call gets that names no number: what affinity and control groups leave to this process."""

from __future__ import annotations

import os
from pathlib import Path

from convjit.settings import settings

MAX_THREADS = 1024


def default_threads() -> int:
    """Workers for a call that names no number: CONVJIT_THREADS, or the processors that this process may use."""
    return min(settings.threads or min(len(os.sched_getaffinity(0)), _quota()), MAX_THREADS)


def _quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Processors that the control groups grant, rounded up; a large number where they set no limit."""
    limits = [limit for limit in map(_limit, _groups(root, own)) if limit is not None]
    return min(limits, default=MAX_THREADS)


def _groups(root: Path, own: Path) -> list[Path]:
    """The folder of our control group and those above it (version 2), or the `cpu` controller's (version 1)."""
    try:
        lines = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        return [root]
    found = [root, root / "cpu"]
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "cpu" if controllers else root
        parts = [part for part in path.split("/") if part not in ("", "..")]
        found += [base.joinpath(*parts[: i + 1]) for i in range(len(parts))]
    return found


def _limit(group: Path) -> int | None:
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()[:2]
        else:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        return None if quota in ("max", "-1") else max(1, -(-int(quota) // int(period)))
    except (OSError, ValueError):
        return None
