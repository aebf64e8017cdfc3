"""The report's conclusions, a line each: confirmed or not, with the figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from convjit.study.clock import Clock
from convjit.study.finding import CONFIRMED, NEAR, NOT, Finding
from convjit.study.findings_error import error, zeros
from convjit.study.findings_speed import speed
from convjit.study.page import Code, Section, Table, Text
from convjit.study.part import Found, NotApplicable, Part, Shown, Subject, Tell
from convjit.study.sections.calibration import Calibration
from convjit.study.sections.sparsity import Zeros
from convjit.study.sections.tradeoff import TradeOff
from convjit.study.sheet import Sheet

TITLE = "The report's conclusions"

LEAD = f"""
convjit grew from a report that quantised a convolution, vectorised it and ran it on a GPU. Each of its conclusions that says
something about a layer like this one stands here beside what this study found, on this machine and for these data. Errors and
zeros are computed exactly; times are measured; a factor counts as confirmed within {NEAR:.0%} of it, or beyond it.
"""

CNN = """\
python examples/cnn_text.py          # recognised text of a pretrained CNN in f32, i16, i8
python examples/cnn_digits.py        # accuracy of a small CNN in f32, i16, i8, i4
"""


@dataclass(frozen=True)
class Conclusions:
    """In the order of the report's sections."""

    findings: tuple[Finding, ...]


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Conclusions:
    """From the results of the other parts."""
    findings = tuple(sorted(_all(found), key=lambda finding: finding.section))
    if not findings:
        raise NotApplicable("no other part has results.")
    return Conclusions(findings)


def _all(found: Found) -> Iterator[Finding]:
    calibration, counted, rows = found.of(Calibration), found.of(Zeros), found.of(TradeOff)
    parts: list[Iterable[Finding]] = []
    parts += [error(calibration)] if calibration else []
    parts += [zeros(counted, calibration)] if counted else []
    parts += [speed(rows)] if rows else []
    for part in parts:
        yield from part


def show(subject: Subject, found: Found, result: Conclusions) -> Shown:
    """A table."""
    rows = [(f"§{f.section}", f.claim, f.verdict, f.figure) for f in result.findings]
    marked = frozenset(i for i, f in enumerate(result.findings) if f.verdict == NOT)
    table = Table(("of", "the report says", "here", "figure"), rows, "Conclusions and figures.", "Marked: not confirmed here.", marked)
    counts = {v: sum(f.verdict == v for f in result.findings) for v in (CONFIRMED, NOT)}
    open_ = len(result.findings) - sum(counts.values())
    line = f"The report's conclusions: {counts[CONFIRMED]} confirmed, {counts[NOT]} not, {open_} not measured here."
    section = Section(TITLE, (Text(LEAD), table, Code(CNN, "Whole networks, by these commands")))
    return Shown(section, {"conclusions": Sheet.of(Finding, result.findings)}, summary=(line,))


PART = Part(TITLE, 0.01, compute, show)
