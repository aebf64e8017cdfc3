"""Kernels that skip zeros of the weight, measured beside those that do not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from convjit.errors import ConvError
from convjit.report import milliseconds
from convjit.runtime.burst import burst
from convjit.spec.conv import ConvSpec
from convjit.study.clock import Clock
from convjit.study.forms import reason
from convjit.study.page import Code, Figure, Item, Section, Side, Table, Text
from convjit.study.part import Found, NotApplicable, Part, Shown, Subject, Tell
from convjit.study.plots import Axis, Series, lines, svg
from convjit.study.sheet import Sheet
from convjit.study.sparse import ZEROS, Calls, Sparse, measure
from convjit.study.turns import Turn, in_turns

TITLE = "Weights with zeros"

SHARE = Axis("zeros of the weight", "%")
SPEEDUP = Axis("speed-up over the dense kernel, measured", "times", "log2")

DEFINITIONS = """
A kernel that walks a list of the weights that are not 0, beside the kernel that multiplies all of them, on this layer's shape
with random numbers and zeros that lie anywhere; one thread. Both are compared, then timed in turns (measured). The break-even
density is where both take as long, on a line between two measured points; `auto` decides by a model (`docs/sparsity.md`).
"""


@dataclass(frozen=True)
class Line:
    """One share of zeros (0 to 1): the share of numbers that are not 0, and the seconds of a call."""

    name: str
    target: str
    zeros: float
    density: float
    dense_seconds: float
    list_seconds: float
    speedup: float


@dataclass(frozen=True)
class Lists:
    """Of each type on each target; why others are missing; and what the time did not suffice for."""

    found: tuple[tuple[str, Sparse], ...]
    missing: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def lines(self) -> tuple[Line, ...]:
        """As rows of numbers."""
        return tuple(
            Line(name, s.target, p.zeros, p.density, p.dense_seconds, p.list_seconds, p.speedup)
            for name, s in self.found
            for p in s.points
        )


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Lists:
    """f32, and bytes, on the best CPU target; a point takes a share of the time."""
    machine = [m for m in subject.hosts.here if m.kind == "cpu"][-1]
    forms = {"f32": with_types(subject.spec, "f32", "f32", "f32"), "u8 x i8": with_types(subject.spec, "u8", "i8", "i32")}
    made, missing, late = [], [], []
    for number, (name, spec) in enumerate(forms.items()):
        share = Clock(clock.left / (len(forms) - number))
        each = share.left / len(ZEROS)
        if share.left <= 0:
            late.append(f"{TITLE}: {name}")
            continue
        tell(f"{name} on {machine.name}")

        def turns(calls: Calls, seconds: float = each) -> Mapping[str, float]:
            return timed(calls, seconds)

        try:
            made.append((name, measure(spec, machine, turns)))
        except ConvError as error:
            missing.append(f"{name} on {machine.name}: {reason(error)}")
    if not made and not late:
        raise NotApplicable(" ".join(missing))
    return Lists(tuple(made), tuple(missing), tuple(late))


def with_types(spec: ConvSpec, x: str, w: str, y: str) -> ConvSpec:
    """The sum of a spec alone, on tensors of these types."""
    types = {"input": x, "weight": w, "output": y}
    tensors = tuple(
        replace(t, dtype=types[t.role], scale=None, zero=None, in_range=None, sparse=False)
        for t in spec.tensors
        if t.role in types
    )
    return replace(
        spec, tensors=tensors, then=(), dataflow="auto", algorithm="auto", error=None, compute=None, requantize=None,
        target=None, threads=None, places=(),
    )  # fmt: skip


def timed(calls: Calls, seconds: float) -> dict[str, float]:
    """Seconds of each call, in turns; all of them have a time."""
    turns = {}
    for name, call in calls.items():
        begun = time.perf_counter()
        call()
        turns[name] = Turn(lambda length, call=call: burst(call, length).median, time.perf_counter() - begun, kept=True)  # type: ignore[misc]
    return in_turns(turns, seconds)


def show(subject: Subject, found: Found, result: Lists) -> Shown:
    """Speed-ups over shares of zeros, and the break-even."""
    drawings: dict[str, object] = {}
    items: list[Item] = [Text(DEFINITIONS)]
    if result.found:
        series = [Series(name, [(p.zeros * 100, p.speedup) for p in s.points]) for name, s in result.found]
        drawings["sparse"] = drawing = lines(series, SHARE, SPEEDUP, f"Lists on {result.found[0][1].target}, 1 thread")
        items += [Side([Figure(svg(drawing), "Above 1 the list is faster.", "Speed-up over the share of zeros")]), _table(result)]
        items += [_break_even(result)]
    items += [Text("\n".join(f"- {line}" for line in result.missing))] if result.missing else []
    items += [Code("python bench/sparsity.py", "Measures the report's shapes and others, from a checkout")]
    return Shown(
        Section(TITLE, items), {"sparse": Sheet.of(Line, result.lines)}, drawings, {}, _summary(result), result.left_out
    )


def _table(result: Lists) -> Table:
    header = ("type", "target", "zeros", "dense", "list", "speed-up")
    rows = [
        (r.name, r.target, f"{r.zeros:.0%}", milliseconds(r.dense_seconds), milliseconds(r.list_seconds), f"{r.speedup:.2f}")
        for r in result.lines
    ]
    marked = frozenset(i for i, r in enumerate(result.lines) if r.speedup > 1)
    return Table(header, rows, "Both kernels at each share of zeros (measured).", "Marked: the list is faster.", marked)


def _break_even(result: Lists) -> Table:
    rows = [(name, s.target, _density(s), f"{s.modelled:.1%}") for name, s in result.found]
    header = ("type", "target", "break-even (measured)", "auto takes the list below (modelled)")
    return Table(header, rows, "Share of numbers that are not 0 at which both take as long.")


def _density(s: Sparse) -> str:
    if s.break_even is not None:
        return f"{s.break_even:.1%}"
    return "the list is faster at every point" if all(p.speedup > 1 for p in s.points) else "the list is slower at every point"


def _summary(result: Lists) -> tuple[str, ...]:
    return tuple(
        f"{name} with {p.zeros:.0%} zeros: a list is {p.speedup:.2f} times as fast as the dense kernel ({s.target}, measured)."
        for name, s in result.found
        for p in s.points
        if p.zeros == 0.9
    )


PART = Part(TITLE, 0.1, compute, show)
