"""The trade-off of one convolution: error, time, bytes and energy in every type, algorithm and target that there is.

A result is checked before it is timed, against the meaning of its own spec: integers bit for bit, floats within the
bound of rounding. Its error is that against one truth for all, the real convolution in float64. What is refused, absent,
wrong or left out for lack of time has a row of its own that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

import numpy as np

from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.spec.check import Expected, expected
from convjit.spec.conv import ConvSpec
from convjit.study.candidate import Candidate, candidate
from convjit.study.clock import Clock
from convjit.study.forms import BEST, Choices, Variant, reason, variants
from convjit.study.hosts import SCALAR, Hosts, hosts
from convjit.study.joules import measure, why_not
from convjit.study.plot_data import front
from convjit.study.real import Array, Arrays, Form, Reals, nearest, real_output, truth
from convjit.study.turns import Turn, in_turns

MEASURED, WRONG, REFUSED, ABSENT, LEFT_OUT = "measured", "wrong", "refused", "absent", "left out"
ANY = "*"
"""In a row that says something of all types, algorithms or targets."""

SECONDS = 60.0
JOULES = 0.3
"""Seconds of calls over which the energy of a row is measured."""

FEW = 2**21
"""Output elements up to which what is expected of a form is kept from one target to the next."""

Key = tuple[str, str, str, str, int]
Tell = Callable[[str], None]
Energy = Callable[[str, Candidate], float | None]


@dataclass(frozen=True)
class Row:
    """A convolution in one type, by one algorithm, on one target with so many threads.

    `nrmse` (root mean square error over the truth's range) and `max_error` are against the real convolution in float64;
    `exact` is the share of elements that are stored as the numbers of the output's type nearest to it. `seconds` is
    measured; `speedup` is over f32 by the direct algorithm on `cpu:scalar` with one thread. `bytes` are those of the
    tensors as stored and of what is packed of them, `picojoules` are modelled, `joules` are measured with idle subtracted (None
    where the machine has no counter). Shares are from 0 to 1. `scale_x` and
    `scale_w` are what input and weight are multiplied by where integers are made of them, `scaling` the word for them; `dataflow` is that which was
    taken. `state` is "measured", "wrong", "refused", "absent" or "left out", and `why` says why where it is not the first.
    """

    dtype: str
    algorithm: str
    target: str
    threads: int = 0
    nrmse: float | None = None
    max_error: float | None = None
    exact: float | None = None
    seconds: float | None = None
    speedup: float | None = None
    bytes: int | None = None
    picojoules: float | None = None
    joules: float | None = None
    scale_x: float | None = None
    scale_w: float | None = None
    scaling: str = ""
    dataflow: str = ""
    state: str = MEASURED
    why: str = ""

    @property
    def key(self) -> Key:
        """What tells measured rows apart."""
        return self.dtype, self.scaling, self.algorithm, self.target, self.threads

    @property
    def name(self) -> str:
        """The type, and the word for its scales where they are not those of the least error."""
        return self.dtype if self.scaling in ("", BEST) else f"{self.dtype} {self.scaling}"


@dataclass(frozen=True)
class Made:
    """A row that lacks its time, what gives it, and the call."""

    row: Row
    turn: Turn
    call: Callable[[], object]


def tradeoff(
    spec: ConvSpec,
    given: Arrays,
    scales: Choices,
    *,
    targets: Hosts | None = None,
    threads: int | None = None,
    seconds: float = SECONDS,
    energy: Energy = lambda name, found: None,
    tell: Tell = lambda _: None,
) -> tuple[Row, ...]:
    """The rows of a spec without open sizes, on these arrays.

    `scales` of input and weight are those of the integer types; `targets` all by default. `threads`: how many there are beside 1 (by
    default, as many as a call takes). `seconds` are for all of it, half of them at most for what precedes the timing (f32
    on the scalar CPU and the best target is always made). `energy` models the picojoules of a call of a type. `tell` is
    told what is being done. Raises `ConvError` for arrays that do not fit; what has no row of numbers has one with a reason.
    """
    targets = targets or hosts()
    clock = Clock(seconds)
    every = variants(spec, given, scales)
    bench = Bench(spec, given, threads, energy, tell)
    found = list(bench.all(_jobs(every, targets.here), Clock(seconds / 2)))
    made = [f for f in found if isinstance(f, Made)]
    rows = _timed(made, _times(made, clock.left, tell), seconds)
    rows = _with_joules(made, rows, clock, tell)
    rows += [f for f in found if isinstance(f, Row)]
    rows += [_row(v, ANY, REFUSED, v.why) for v in every if v.form is None]
    return (*rows, *(Row(ANY, ANY, name, state=ABSENT, why=why) for name, why in targets.absent))


@dataclass(frozen=True)
class Job:
    """A form on a machine; `first`: it is made and timed whatever time there is."""

    variant: Variant
    form: Form
    machine: Machine
    first: bool


def _jobs(every: Iterable[Variant], machines: Sequence[Machine]) -> list[Job]:
    """f32 on the scalar CPU and on the best machine, then everything on the best machine, then on the next: what matters
    most comes first."""
    ends = {SCALAR, machines[-1].name}
    jobs = [
        Job(v, v.form, machine, (v.dtype, v.algorithm) == ("f32", "direct") and machine.name in ends)
        for machine in reversed(machines)
        for v in every
        if v.form is not None
    ]
    return sorted(jobs, key=lambda job: (not job.first, job.first and job.machine.name != SCALAR))


class Bench:
    """Makes and checks candidates, all against one truth."""

    def __init__(self, spec: ConvSpec, given: Arrays, threads: int | None, energy: Energy, tell: Tell) -> None:
        self.threads, self.energy, self.tell = threads, energy, tell
        self.few = (spec.output.elements or 0) <= FEW
        self.expected: dict[tuple[str, str, str], Expected] = {}
        tell("the float64 reference")
        self.true = truth(spec, given)

    def all(self, jobs: Iterable[Job], clock: Clock) -> Iterator[Made | Row]:
        """What can be timed, and rows of what cannot."""
        late = f"Half of the time, {clock.seconds:.3g} seconds, was over before its turn."
        for job in jobs:
            if clock.left > 0 or job.first:
                self.tell(f"{job.variant.name} on {job.machine.name}")
                yield from self.one(job)
            else:
                yield _row(job.variant, job.machine.name, LEFT_OUT, late)

    def one(self, job: Job) -> Iterator[Made | Row]:
        """A form on one target, with one thread and with all of them; a schedule that was written for another type or target gives
        way to the automatic one, and the row says so."""
        note = ""
        try:
            found = candidate(job.form, job.machine, self.threads)
        except ConvError as error:
            note = reason(error)
            found = None
        if found is None and not isinstance(job.form.spec.dataflow, str):
            note = f"The dataflow as written is refused: {note}"
            try:
                found = candidate(automatic(job.form), job.machine, self.threads)
            except ConvError as error:
                note = reason(error)
        if found is None:
            yield _row(job.variant, job.machine.name, REFUSED, note)
            return
        row = self._measured(job, found, note)
        verdict = self._expected(job).judge(found.result)
        if verdict.wrong:
            yield replace(row, threads=found.threads, state=WRONG, why=f"{verdict.wrong} elements are not right.")
            return
        for threads in dict.fromkeys((1, found.threads)):
            turn = Turn(partial(found.burst, threads), found.once, job.first)
            yield Made(replace(row, threads=threads), turn, partial(found.call, threads))

    def _measured(self, job: Job, found: Candidate, note: str) -> Row:
        """The errors and the bytes."""
        spec, given = job.form.spec, job.form.given
        stored = sum(t.bytes or 0 for t in spec.tensors)
        nrmse, largest, exact = errors(spec, given, self.true, found.result)
        chosen = found.compilation.schedule.dataflow or "as written"
        return replace(
            _row(job.variant, job.machine.name, MEASURED, note),
            nrmse=nrmse, max_error=largest, exact=exact, bytes=stored + found.packed, dataflow=chosen,
            picojoules=self.energy(job.variant.name, found),
        )  # fmt: skip

    def _expected(self, job: Job) -> Expected:
        """What results of a form must be; kept for the next target, where it is small."""
        key = job.variant.dtype, job.variant.scaling, job.variant.algorithm
        if key in self.expected:
            return self.expected[key]
        made = expected(job.form.spec, job.form.given)
        if self.few:
            self.expected[key] = made
        return made


def automatic(form: Form) -> Form:
    """The form with the dataflow left to convjit."""
    return replace(form, spec=replace(form.spec, dataflow="auto"))


def errors(spec: ConvSpec, given: Arrays, true: Reals, result: Array) -> tuple[float, float, float]:
    """NRMSE and largest error against the truth, and the share of elements that are the nearest numbers to it.

    Over the elements where both are finite; NRMSE is not divided where the truth is the same everywhere.
    """
    gap = np.abs(real_output(spec, given, result) - true)
    gap = gap[np.isfinite(gap)]
    span = float(np.ptp(true[np.isfinite(true)])) if np.isfinite(true).any() else 0.0
    rms = float(np.sqrt(np.mean(gap**2))) if gap.size else 0.0
    same = result.astype(np.float64) == nearest(spec, given, true)
    return rms / span if span else rms, float(gap.max(initial=0.0)), float(np.mean(same))


def pareto(rows: Sequence[Row], x: str, y: str) -> tuple[Row, ...]:
    """The rows that no other is better than in both attributes (less is better), from the least `x` on.

    Rows without one of them take no part; of several equal ones the first is taken.
    """
    missing = float("nan")
    values = [tuple(missing if v is None else v for v in (getattr(row, x), getattr(row, y))) for row in rows]
    return tuple(rows[i] for i in front([(a, b) for a, b in values]))


def baseline(rows: Iterable[Row]) -> Row | None:
    """f32 by the direct algorithm on the scalar CPU, one thread: what speed-ups are over."""
    wanted = ("f32", "direct", SCALAR, 1, MEASURED)
    return next((r for r in rows if (r.dtype, r.algorithm, r.target, r.threads, r.state) == wanted), None)


def _with_joules(made: Sequence[Made], rows: Sequence[Row], clock: Clock, tell: Tell) -> list[Row]:
    """With measured energy, where the machine has a counter, for as many as there is time for."""
    calls = {m.row.key: m.call for m in made}
    found = []
    for row in rows:
        kind = row.target.partition(":")[0]
        if row.seconds is not None and not why_not(kind) and clock.left > JOULES:
            tell(f"energy of {row.name} on {row.target}")
            measured = measure(calls[row.key], JOULES, kind)
            row = replace(row, joules=measured.joules if measured else None)
        found.append(row)
    return found


def _row(variant: Variant, target: str, state: str, why: str) -> Row:
    x, w = variant.scales or (None, None)
    return Row(variant.dtype, variant.algorithm, target, scale_x=x, scale_w=w, scaling=variant.scaling, state=state, why=why)


def _times(made: Sequence[Made], seconds: float, tell: Tell) -> dict[Key, float]:
    done = count(1)
    tell("timing")
    turns = {m.row.key: m.turn for m in made}
    return in_turns(turns, seconds, lambda: tell(f"timing, {next(done)} bursts"))


def _timed(made: Sequence[Made], times: Mapping[Key, float], seconds: float) -> list[Row]:
    """The rows with their times and speed-ups, or with the reason why they have none."""
    late = f"A round of calls would not have ended within {seconds:.3g} seconds."
    rows = []
    for row in (m.row for m in made):
        taken = times.get(row.key)
        rows.append(replace(row, state=LEFT_OUT, why=late) if taken is None else replace(row, seconds=taken))
    first = baseline(rows)
    if first is None or not first.seconds:
        return rows
    return [replace(r, speedup=first.seconds / r.seconds) if r.seconds else r for r in rows]
