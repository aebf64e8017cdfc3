"""Time on a GPU: calls captured in CUDA graphs, replayed in turns with those of others."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch

Call = Callable[[int], object]
"""What is timed: the i-th call, on the i-th set of buffers."""
WARM_CALLS, LEAST_MS, ROUNDS = 20, 10.0, 3


class Graph:
    """`count` calls of something as one CUDA graph."""

    def __init__(self, call: Call, count: int) -> None:
        self.count = count
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # what is chosen or allocated at a first call must not be captured
            for i in range(min(3, count)):
                call(i)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        self._kept: list[object] = []
        with torch.cuda.graph(self._graph):
            for i in range(count):
                self._kept.append(call(i))
        self._graph.replay()
        torch.cuda.synchronize()
        self._replays = max(1, int(LEAST_MS / max(1e-3, self._milliseconds(1))))

    def _milliseconds(self, replays: int) -> float:
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(replays):
            self._graph.replay()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end))

    def microseconds(self) -> float:
        """Of one call, over enough replays."""
        return self._milliseconds(self._replays) * 1e3 / self._replays / self.count


def interleaved(graphs: Sequence[Graph]) -> list[float]:
    """Microseconds of a call of each: the median of some rounds, in each of which all have their turn."""
    rounds = [[graph.microseconds() for graph in graphs] for _ in range(ROUNDS)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def buffers(size: int, most: int = 100, total: float = 160e6) -> int:
    """How many sets of buffers of so many bytes keep them out of the cache."""
    return max(2, min(most, int(total / size) + 1))


def overhead(call: Callable[[], Any], repeat: int = 2000) -> float:
    """Microseconds that the processor spends on starting something, the GPU's time hidden behind it."""
    import time

    for _ in range(50):
        call()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    taken = time.perf_counter() - start
    torch.cuda.synchronize()
    return taken / repeat * 1e6
