"""Milliseconds that `import convjit` takes beside `import numpy`, in processes of their own.

    python bench/import_time.py [ROUNDS]

Each line is the fastest of rounds that are interleaved with those of the other lines, less an empty process; modules
are compiled to bytecode before. What makes code is loaded by the first `compile`: the fourth line less the third is what
a process pays then, once.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
EMPTY, UNIT = "pass", "import numpy"
LINES = (EMPTY, UNIT, "import convjit", "import convjit; convjit.compile", "import lark", "import llvmlite.binding")


def seconds(program: str, environment: dict[str, str]) -> tuple[float, float]:
    """Wall time and processor time of a process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=ROOT)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def fastest(rounds: int) -> dict[str, tuple[float, float]]:
    """The best wall and processor time of each line."""
    best = {line: (1e9, 1e9) for line in LINES}
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for number in range(rounds + 1):
            for line in LINES:
                wall, processor = seconds(line, environment)
                if number:  # the first round writes the bytecode
                    best[line] = min(best[line][0], wall), min(best[line][1], processor)
    return best


def main(rounds: int = 15) -> None:
    best = fastest(rounds)
    empty, unit = best[EMPTY], best[UNIT]
    print(f"{'':32} {'wall':>9} {'processor':>13}")
    for line, (wall, processor) in best.items():
        own, used = 1e3 * (wall - empty[0]), 1e3 * (processor - empty[1])
        ratio = f"{own / (1e3 * (unit[0] - empty[0])):6.2f} x numpy" if line != EMPTY else ""
        print(f"{line:32} {own:6.0f} ms {used:10.0f} ms {ratio}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
