"""convjit beside cuDNN on a GPU: f32 without TF32, through PyTorch, the best of its layouts and of several searches.

    python -m bench.gpu --out FOLDER [--shapes abc] [--batch 1,32] [--schedule FILE] [--limit 460]

Every contender is timed on rotating buffers (cold: larger than the cache together, at most 100 sets) and on one set
(warm), in CUDA graphs, in turns. A line `b@32 name | fuse p = n.oh.ow; p/64:block …` of FILE is a dataflow block to be
compared for shape b at batch 32; without `@32` for every batch.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch

import convjit
from bench.gpu_problem import Problem
from bench.gpu_shapes import SHAPES, Shape
from bench.gpu_timing import WARM_CALLS, Graph, interleaved, overhead
from convjit.errors import ConvError, InternalError
from convjit.runtime import cuda
from convjit.runtime.compiled import CompiledConv


@dataclass
class Row:
    """A line of the table. Times in microseconds; `ratio`: the best of cuDNN over ours, cold."""

    shape: str
    batch: int
    who: str
    cold: float
    warm: float
    tflops: float
    ratio: float = math.nan
    error64: float = math.nan
    error_all: float = math.nan
    registers: int = 0
    local: int = 0
    blocks: int = 0
    compile_ms: float = math.nan
    schedule: str = ""


def measure(problem: Problem, schedules: dict[str, str], say: Callable[[str], None]) -> list[Row]:
    """The rows of one problem: cuDNN's, and ours under every schedule that works."""
    peers = list(problem.cudnn())
    every = peers[0].call(0)
    assert isinstance(every, torch.Tensor)
    every, want = every.permute(0, 2, 3, 1), problem.exact()
    contenders = [*peers]
    for name, dataflow in schedules.items():
        try:
            contenders.append(problem.ours(name, dataflow, want, every))
        except (ConvError, InternalError, AssertionError, MemoryError, RuntimeError) as error:
            say(f"{problem.shape.name} {problem.n:3} {name}: FAILED: {' '.join(str(error).split())[:300]}")
            if lost(error):
                raise
    cold = interleaved([Graph(c.call, problem.count) for c in contenders])
    warm = interleaved([Graph(lambda i, c=c: c.call(0), WARM_CALLS) for c in contenders])  # type: ignore[misc]
    best = min(t for t, c in zip(cold, contenders, strict=True) if c in peers)
    work = problem.shape.operations(problem.n)
    rows = []
    for contender, c, w in zip(contenders, cold, warm, strict=True):
        row = Row(problem.shape.name, problem.n, contender.name, c, w, work / c / 1e6, **contender.about)
        row.ratio = best / c
        rows.append(row)
        say(line(row))
    return rows


def lost(error: Exception) -> bool:
    """Whether nothing more can be done on the GPU in this process."""
    return any(word in str(error).lower() for word in ("illegal", "misaligned", "launch failure", "unspecified"))


def line(r: Row) -> str:
    """A row as printed."""
    text = f"{r.shape} {r.batch:3} {r.who:20} {r.cold:9.1f} {r.warm:9.1f} us {r.tflops:6.1f} TF  {r.ratio:5.2f}"
    if r.registers:
        text += f"  e {r.error64:.0e} {r.error_all:.0e} r{r.registers} b{r.blocks} l{r.local} {r.compile_ms:.0f} ms"
    return text


def read_schedules(path: Path | None, shape: Shape, n: int) -> dict[str, str]:
    """Ours by default, and the file's lines for this problem."""
    found = {"auto": ""}
    for text in path.read_text().splitlines() if path else []:
        head, bar, dataflow = text.partition("|")
        if text.lstrip().startswith("#") or not bar:
            continue
        place, *name = head.split()
        if place in (shape.name, f"{shape.name}@{n}"):
            found[" ".join(name) or f"line {len(found)}"] = dataflow.strip()
    return found


def write(path: Path, rows: list[Row]) -> None:
    """The rows so far, as CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def summary(rows: list[Row]) -> Iterator[str]:
    """The geometric mean of the best ratio of every shape, for each batch size."""
    for n in sorted({row.batch for row in rows}):
        best: dict[str, float] = {}
        for row in rows:
            if row.batch == n and not row.who.startswith("cudnn"):
                best[row.shape] = max(best.get(row.shape, 0.0), row.ratio)
        if best:
            mean = math.exp(sum(map(math.log, best.values())) / len(best))
            shown = " ".join(f"{name} {ratio:.2f}" for name, ratio in best.items())
            yield f"batch {n}: {mean:.3f} times cuDNN in the geometric mean of {len(best)} shapes: {shown}"


def call_overhead() -> str:
    """What starting a bound kernel costs the processor, beside PyTorch's smallest call."""
    kernel = convjit.compile(Shape("tiny", 8, 8, 8, 1).text(1), target="cuda")
    assert isinstance(kernel, CompiledConv)
    x, w = torch.ones(1, 8, 8, 8, device="cuda"), torch.ones(1, 1, 8, 8, device="cuda")
    bound, y = kernel.bind(w), torch.empty(1, 8, 8, 8, device="cuda")
    ours, plain = overhead(lambda: bound(x, out=y)), overhead(lambda: torch.add(x, x, out=y))
    return f"starting a call: {ours:.1f} us, unbound {overhead(lambda: kernel(x, w, out=y)):.1f} us; torch.add {plain:.1f} us"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of gpu.csv and gpu.txt")
    parser.add_argument("--shapes", default="".join(s.name for s in SHAPES), help="their letters")
    parser.add_argument("--batch", default="1,32", help="batch sizes")
    parser.add_argument("--schedule", type=Path, help="lines `shape[@batch] name | dataflow block`")
    parser.add_argument("--limit", type=float, default=460, help="seconds after which no problem is begun")
    parser.add_argument("--plans", type=int, default=10, help="plans that cuDNN tries in a search; 0: all")
    options = parser.parse_args()
    start = time.monotonic()
    torch.backends.cudnn.benchmark, torch.backends.cudnn.benchmark_limit = True, options.plans
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "gpu.txt").open("w") as log:

        def say(text: str) -> None:
            print(text, flush=True)
            print(text, file=log, flush=True)

        gpu = cuda.devices()[0]
        say(
            f"{gpu.name}, sm_{gpu.sm}, CUDA {gpu.cuda / 10} driver, PyTorch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}"
        )
        say(call_overhead())
        say("shape batch who                 cold      warm us        TF  best cuDNN / it")
        rows: list[Row] = []
        for n in map(int, options.batch.split(",")):
            for shape in (s for s in SHAPES if s.name in options.shapes):
                if time.monotonic() - start > options.limit:
                    say(f"{shape.name} {n}: no time left")
                    continue
                try:
                    rows += measure(Problem(shape, n), read_schedules(options.schedule, shape, n), say)
                except RuntimeError as error:
                    say(f"{shape.name} {n:3}: FAILED: {' '.join(str(error).split())[:300]}")
                    if lost(error):
                        raise
                write(options.out / "gpu.csv", rows)
                torch.cuda.empty_cache()
        for text in summary(rows):
            say(text)
        say(f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
