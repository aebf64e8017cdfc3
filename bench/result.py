"""What was measured: a row for each candidate, a result for each layer."""

from __future__ import annotations

from dataclasses import dataclass

from bench.layers import Layer
from bench.problem import F32, Verdict
from convjit.bench.libraries import OURS


@dataclass(frozen=True)
class Row:
    """One candidate on one layer: seconds of a call (the median over the rounds of each burst's median; the least of all),
    in how many rounds it was undisturbed, which part of the samples was disturbed, how right its result is; or the problem.
    """

    library: str
    name: str
    blocked: bool = False
    limited: bool = True
    seconds: float = 0.0
    least: float = 0.0
    rounds: int = 0
    disturbed: float = 0.0
    verdict: Verdict = Verdict()
    problem: str = ""


@dataclass(frozen=True)
class Result:
    """All candidates on one layer. `peak` is the highest of the `peaks` (operations per second) measured in its rounds: a
    disturbance only makes them lower. `outputs` is how many numbers are computed; `unit` is the problem's."""

    layer: Layer
    threads: int
    operations: int
    bytes: int
    rows: tuple[Row, ...]
    peaks: tuple[float, ...] = ()
    unit: str = F32.unit
    outputs: int = 0

    @property
    def peak(self) -> float:
        return max(self.peaks, default=0.0)

    def row(self, name: str) -> Row | None:
        """The candidate of that name, if it has a time."""
        return next((row for row in self.rows if row.name == name and not row.problem), None)

    @property
    def ours(self) -> Row | None:
        return self.row(OURS)
