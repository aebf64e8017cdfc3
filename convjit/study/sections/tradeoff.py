"""The trade-off: error against speed, bytes and energy; three panels like the report's figure 2."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from convjit.cost.total import Cost, cost
from convjit.report import milliseconds
from convjit.study.candidate import Candidate
from convjit.study.clock import Clock
from convjit.study.dataflows import joules
from convjit.study.forms import variants
from convjit.study.hosts import SCALAR
from convjit.study.page import Code, Figure, Item, Section, Side, Table, Text
from convjit.study.part import Found, Part, Shown, Subject, Tell
from convjit.study.plots import Axis, Series, scatter, svg
from convjit.study.sections.calibration import Calibration
from convjit.study.sections.machine import command
from convjit.study.sheet import Sheet
from convjit.study.show import energy_axis, percent, plural, power
from convjit.study.tradeoff import LEFT_OUT, MEASURED, WRONG, Row, baseline, pareto, tradeoff

TITLE = "Trade-off: error against time"

SPEEDUP = Axis("speed-up over scalar f32, measured", "times", "log2")
NRMSE = Axis("NRMSE, measured", "share of range", "log")

DEFINITIONS = """
Every result is checked first, against the meaning of its own program: integers bit for bit, floats within the bound of their
rounding. Then all are timed in turns; a time is the median over rounds of bursts of calls, with weights packed beforehand.
A GPU's times are its own, on arrays in its memory.

- NRMSE is the root mean square error against the real convolution in float64, over the range of the float64 result.
- Exact is the share of outputs that are stored as the number of the output's type nearest to the float64 result.
- The scales of integers are those of the least error on the V-curve; `half` is half of both, which leaves a bit of room in
  every product, so that more of them are summed before sums must be widened.
- Bytes are those of all tensors as stored, and of what is packed of them.
- Energy is modelled, not measured: see the section on traffic and energy.
"""


@dataclass(frozen=True)
class Modelled:
    """What a call costs by the model: of a type (its name in a row) on a target."""

    name: str
    target: str
    cost: Cost


@dataclass(frozen=True)
class TradeOff:
    """The rows, the programs of the types that run on the same arrays (their name, text), and what each is modelled to cost."""

    rows: tuple[Row, ...]
    programs: tuple[tuple[str, str], ...]
    costs: tuple[Modelled, ...] = ()

    @property
    def measured(self) -> tuple[Row, ...]:
        """The rows that have a time."""
        return tuple(row for row in self.rows if row.seconds is not None)

    def cost(self, row: Row) -> Cost | None:
        """What a row is modelled to cost."""
        return next((c.cost for c in self.costs if (c.name, c.target) == (row.name, row.target)), None)

    def best(self, dtype: str, target: Callable[[Row], bool] = lambda _: True) -> Row | None:
        """The fastest row of a type, among those of some targets."""
        fitting = (row for row in self.measured if row.dtype == dtype and target(row))
        return min(fitting, key=lambda row: row.seconds or 0.0, default=None)


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> TradeOff:
    """With the scales that calibration found."""
    calibration = found.of(Calibration)
    scales = calibration.scales if calibration else {}
    costs: list[Modelled] = []

    def energy(name: str, found: Candidate) -> float:
        made = cost(found.compilation)
        costs.append(Modelled(name, found.compilation.machine.name, made))
        return made.picojoules

    rows = tradeoff(
        subject.spec, subject.given, scales, targets=subject.hosts, threads=subject.threads, seconds=clock.left,
        energy=energy, tell=tell,
    )  # fmt: skip
    programs = [
        (v.name, str(v.form.spec))
        for v in variants(subject.spec, subject.given, scales)
        if v.form is not None and v.algorithm == "direct" and v.form.given is subject.given
    ]
    return TradeOff(rows, tuple(programs), tuple(costs))


def show(subject: Subject, found: Found, result: TradeOff) -> Shown:
    """Panels, the table of what was measured, and what was not."""
    drawings = panels(result)
    figures = [Figure(svg(figure), *CAPTIONS[name]) for name, figure in drawings.items()]
    items: list[Item] = [Text(DEFINITIONS), Side(figures), _table(result), *_others(result.rows), *_commands(subject, result)]
    wrong = [row for row in result.rows if row.state == WRONG]
    return Shown(
        Section(TITLE, items),
        {"tradeoff": Sheet.of(Row, result.rows)},
        drawings,
        {f"{_file(name)}.conv": text for name, text in result.programs},
        _summary(result),
        tuple(f"{TITLE}: {_name(row)} was not timed. {row.why}" for row in result.rows if row.state == LEFT_OUT),
        len(wrong),
    )


CAPTIONS = {
    "tradeoff_all": ("All types on all targets.", "Scatter of NRMSE over speed-up for every type, target and number of threads."),
    "tradeoff_scalar": ("Scalar code alone: what the type changes.", "Scatter of NRMSE over speed-up for scalar code."),
    "tradeoff_vector": (
        "Vector instructions with all threads (and the GPU, where there is one).",
        "Scatter of NRMSE over speed-up for vector code with all threads, and for the GPU.",
    ),
    "tradeoff_energy": ("Error against modelled energy.", "Scatter of NRMSE over the modelled energy of a call."),
}


def panels(result: TradeOff) -> dict[str, object]:
    """The drawings by the name of their file; those without points are left away."""
    rows = [row for row in result.measured if row.algorithm == "direct"]
    workers = max((row.threads for row in rows), default=1)
    one = [row for row in rows if row.target == SCALAR and row.threads == 1]
    best = [row for row in rows if row.target != SCALAR and (row.threads == workers or row.target.startswith("cuda"))]
    found = {}
    for name, chosen, title in (
        ("tradeoff_all", _fastest(rows), "Every type and target, its faster number of threads"),
        ("tradeoff_scalar", one, "Scalar"),
        ("tradeoff_vector", best, f"Vectors, {plural(workers, 'thread')}"),
    ):
        if any(row.speedup for row in chosen):
            found[name] = scatter(_series(chosen, "speedup", place=_target if name == "tradeoff_all" else _place), SPEEDUP, NRMSE, title, ("high", "low"))
    most = max((row.picojoules or 0.0 for row in rows), default=0.0)
    if most:
        axis, unit = energy_axis(most, "log")
        found["tradeoff_energy"] = scatter(_series(rows, "picojoules", 1 / unit, 1, _target), axis, NRMSE, "NRMSE and modelled energy")
    return found


def _fastest(rows: Sequence[Row]) -> list[Row]:
    """Of each type and target the number of threads that takes less time."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.name, row.target), []).append(row)
    return [min(group, key=lambda row: row.seconds or 0.0) for group in groups.values()]


def _series(
    rows: Sequence[Row], x: str, unit: float = 1.0, threads: int | None = None, place: Callable[[Row], str] | None = None
) -> list[Series]:
    """One for each place, with the types as labels."""
    places: dict[str, list[Row]] = {}
    for row in rows:
        if getattr(row, x) and threads in (None, row.threads):
            places.setdefault((place or _place)(row), []).append(row)
    return [
        Series(name, [(getattr(r, x) * unit, r.nrmse or 0.0) for r in group], labels=[r.name for r in group])
        for name, group in places.items()
    ]


def _target(row: Row) -> str:
    return row.target


def _place(row: Row) -> str:
    return row.target if row.target.startswith("cuda") else f"{row.target}, {plural(row.threads, 'thread')}"


def _table(result: TradeOff) -> Table:
    rows = result.measured
    columns: dict[str, list[object]] = {
        "type": [r.name for r in rows],
        "target": [r.target for r in rows],
        "threads": [r.threads for r in rows],
        "NRMSE": [f"{r.nrmse:.3e}" for r in rows],
        "max error": [f"{r.max_error:.3e}" for r in rows],
        "exact": [percent(r.exact) for r in rows],
        "time": [milliseconds(r.seconds) for r in rows],
        "speed-up": [r.speedup and f"{r.speedup:.2f}" for r in rows],
        "KiB": [f"{(r.bytes or 0) / 1024:.1f}" for r in rows],
        "energy (modelled)": [r.picojoules and joules(r.picojoules) for r in rows],
        "energy (measured)": [r.joules and joules(r.joules * 1e12) for r in rows],
        "scales of x, w": [f"{power(r.scale_x)}, {power(r.scale_w)}" if r.scale_x and r.scale_w else None for r in rows],
        "dataflow": [r.dataflow for r in rows],
    }
    there = {name: cells for name, cells in columns.items() if any(c is not None for c in cells)}
    front = pareto(rows, "seconds", "nrmse")
    marked = frozenset(i for i, row in enumerate(rows) if row in front)
    note = "Marked: on the Pareto front of error and time, so that no other row is better in one and no worse in the other."
    return Table([*there], [*zip(*there.values(), strict=True)], "What each row costs: errors and times measured.", note, marked)


def _others(rows: Iterable[Row]) -> list[Item]:
    """What has no figures: refused, absent, wrong, left out; rows with one reason together."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.seconds is None:
            groups.setdefault((row.state, row.why), []).append(row)
    if not groups:
        return []
    cells = [(state, _of(group), why) for (state, why), group in groups.items()]
    found: list[Item] = [Table(("state", "of", "why"), cells, "What has no figures, and why.")]
    notes = sorted({f"- {row.dtype} on {row.target}: {row.why}" for row in rows if row.state == MEASURED and row.why})
    return [*found, *([Text("\n".join(notes))] if notes else [])]


def _of(rows: Sequence[Row]) -> str:
    """The types, algorithms and targets of rows, each once."""
    columns = ([getattr(r, name) for r in rows] for name in ("dtype", "algorithm", "target"))
    words = [", ".join(dict.fromkeys(v for v in column if v != "*")) for column in columns]
    return "; ".join(word for word in words if word)


def _commands(subject: Subject, result: TradeOff) -> list[Item]:
    """How a row is repeated by itself."""
    lines = [
        command(subject, f"{_file(row.name)}.conv", "--target", row.target, "--threads", str(row.threads))
        for row in result.measured
        if row.name in dict(result.programs) and row.algorithm == "direct"
    ]
    note = "Each row by itself, in this folder (the programs lie beside this page)"
    return [Code("\n".join(lines), note, folded=True)] if lines else []


def _file(name: str) -> str:
    return name.replace(" x ", "x").replace(" ", "_")


def _name(row: Row) -> str:
    return f"{row.name} on {_place(row)}"


def _summary(result: TradeOff) -> tuple[str, ...]:
    """The front in words, fastest first."""
    first = baseline(result.rows)
    lines = [f"Scalar f32 with one thread takes {milliseconds(first.seconds)} (measured)."] if first else []
    for row in pareto(result.measured, "seconds", "nrmse"):
        faster = f", {row.speedup:.1f} times as fast" if row.speedup else ""
        lines.append(f"{_name(row)}: {milliseconds(row.seconds)}{faster}, NRMSE {row.nrmse:.2e} (on the Pareto front).")
    wrong = [_name(row) for row in result.rows if row.state == WRONG]
    return (*lines, *(f"WRONG: {name}." for name in wrong))


PART = Part(TITLE, 0.4, compute, show)
