"""Milliseconds that compiling takes: the first kernel of a process, further ones, and the share of each stage.

    python bench/compile_time.py [ROUNDS]

3x3 layers in f32 with the cache of objects off. Every process is new; `loading` is the import of the compiler's parts that
the first `compile` starts. A line shows the fastest of ROUNDS processes for the first kernel, the median of all others
for further ones, and the stages of a further one, as CONVJIT_VERBOSE=profile prints them.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
LAYERS = {"56x56x64": (56, 64), "28x28x128": (28, 128), "7x7x512": (7, 512)}
TARGETS = ("cpu:scalar", "cpu:avx2", "cpu:avx512")
WARM = 8

CHILD = """
import sys, time
import numpy
import convjit
text, target, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
def clock(run):
    start = time.perf_counter(), time.process_time()
    run()
    print(1e3 * (time.perf_counter() - start[0]), 1e3 * (time.process_time() - start[1]))
clock(lambda: convjit.compile)
for _ in range(count):
    clock(lambda: convjit.compile(text, target=target))
"""


def program(size: int, channels: int) -> str:
    """A 3x3 layer."""
    return (
        f"conv layer {{ input x : f32[N=1, H={size}, W={size}, C={channels}]\n"
        f"weight w : f32[KH=3, KW=3, IC={channels}, OC={channels}]\npad same }}"
    )


def times(text: str, target: str, folder: str) -> tuple[list[tuple[float, float]], list[str]]:
    """(wall, processor) of loading and of each compilation in a new process, and the lines of its profiles."""
    environment = {**os.environ, "CONVJIT_CACHE": "0", "CONVJIT_VERBOSE": "profile"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", CHILD, text, target, str(1 + WARM)]
    child = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    pairs = [tuple(map(float, line.split())) for line in child.stdout.splitlines()]
    return pairs, child.stderr.splitlines()  # type: ignore[return-value]


def stages(lines: list[str]) -> dict[str, float]:
    """Median milliseconds of each stage."""
    found: dict[str, list[float]] = {}
    for line in lines:
        for name, value in re.findall(r"(\w+) ([\d.]+) ms \(", line):
            found.setdefault(name, []).append(float(value))
    return {name: statistics.median(values) for name, values in found.items()}


def row(name: str, target: str, rounds: int, folder: str) -> str:
    """The figures of a layer on a target."""
    loading, first, warm, lines = [], [], [], []
    for _ in range(rounds):
        pairs, profiles = times(program(*LAYERS[name]), target, folder)
        loading.append(pairs[0])
        first.append(pairs[1])
        warm += pairs[2:]
        lines += profiles[1:]
    shares = "  ".join(f"{stage} {value:.1f}" for stage, value in stages(lines).items())
    columns = [min(loading), min(first), (statistics.median(w for w, _ in warm), statistics.median(p for _, p in warm))]
    numbers = " ".join(f"{wall:7.0f} ({processor:4.0f})" for wall, processor in columns)
    return f"{name:10} {target:11} {numbers}   {shares}"


def main(rounds: int = 5) -> None:
    print("milliseconds of wall time (and of the processor)")
    print(f"{'layer':10} {'target':11} {'loading':>14} {'first':>14} {'further':>14}   stages of a further one")
    with tempfile.TemporaryDirectory() as folder:
        times(program(*LAYERS["7x7x512"]), "cpu:scalar", folder)  # writes the bytecode
        for name in LAYERS:
            for target in TARGETS:
                print(row(name, target, rounds, folder), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
