"""The report's conclusions, a line each: confirmed or not, with the figure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convjit.spec import layout
from convjit.spec.conv import ConvSpec
from convjit.study.clock import Clock
from convjit.study.finding import CONFIRMED, NEAR, REFUTED, Finding, unmeasured
from convjit.study.findings_energy import energy
from convjit.study.findings_speed import lists, speed
from convjit.study.page import Code, Section, Table, Text
from convjit.study.part import Found, NotApplicable, Part, Shown, Subject, Tell
from convjit.study.real import Array
from convjit.study.report_findings import findings
from convjit.study.sections.cost import Costs
from convjit.study.sections.sparse import Lists
from convjit.study.sections.tradeoff import TradeOff
from convjit.study.sheet import Sheet

TITLE = "The report's conclusions"

LEAD = f"""
convjit grew from a report that quantised a convolution, vectorised it and ran it on a GPU. Each of its conclusions that says
something about a layer like this one stands here beside what this study found, on this machine and for these data. Errors and
zeros are computed exactly; times are measured; energy is modelled; a factor counts as confirmed within {NEAR:.0%} of it, or beyond it.
"""

MOST = 4e9
"""Operations of a layer up to which the conclusions on error are computed."""

CNN = """\
python examples/ocr.py        # the text that a pretrained CNN reads, in f32, i16 and i8
python examples/digits.py     # the accuracy of a small CNN, in f32, i16, i8 and i4
"""


@dataclass(frozen=True)
class Conclusions:
    """In the order of the report's sections."""

    findings: tuple[Finding, ...]


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Conclusions:
    """Those on error from the arrays, those on speed from the trade-off."""
    rows, costs, walked = found.of(TradeOff), found.of(Costs), found.of(Lists)
    every = [*_errors(subject, tell), *(speed(rows) if rows else ()), *(energy(costs, rows) if costs else ())]
    every += lists(walked) if walked else ()
    if not every:
        raise NotApplicable("no other part has results.")
    return Conclusions(tuple(sorted(every, key=lambda finding: finding.source)))


def _errors(subject: Subject, tell: Tell) -> Iterator[Finding]:
    """The report's conclusions on error are about convolutions of its own form."""
    spec, claim = subject.spec, "All conclusions on error, scales and zeros."
    if not as_in_the_report(spec):
        why = "They are about 2-D convolutions of f32 with stride 1, `same` padding, no groups and no dilation."
        yield unmeasured(claim, "§2, §5.2.6", why)
    elif (spec.operations or 0) > MOST:
        yield unmeasured(claim, "§2, §5.2.6", f"They take too long for more than {MOST:.0e} operations.")
    else:
        tell("error, scales and zeros")
        yield from findings(*_in_report_order(subject))


def as_in_the_report(spec: ConvSpec) -> bool:
    """Whether a convolution has the form of the report's: 2-D, of f32, stride 1, `same` padding."""
    same = tuple(((k - 1) // 2, k // 2) for k in spec.kernel_size)
    dense = (spec.stride, spec.dilation, spec.groups) == ((1, 1), (1, 1), 1)
    return dense and spec.pad == same and spec.input.dtype == "f32" and not spec.transposed


def _in_report_order(subject: Subject) -> tuple[Array, Array]:
    """Input [N, H, W, C] and kernel [KH, KW, OC, IC]."""
    x, w = subject.spec.input, subject.spec.weight
    return (
        subject.given[x.name].transpose(layout.permutation(x.axes, ("N", "H", "W", "C"))),
        subject.given[w.name].transpose(layout.permutation(w.axes, ("KH", "KW", "OC", "IC"))),
    )


def show(subject: Subject, found: Found, result: Conclusions) -> Shown:
    """A table."""
    rows = [(f.source, f.claim, f.verdict, f.figure) for f in result.findings]
    marked = frozenset(i for i, f in enumerate(result.findings) if f.verdict == REFUTED)
    table = Table(("of", "the report says", "here", "figure"), rows, "Conclusions and figures.", "Marked: not confirmed here.", marked)
    counts = {v: sum(f.verdict == v for f in result.findings) for v in (CONFIRMED, REFUTED)}
    open_ = len(result.findings) - sum(counts.values())
    line = f"The report's conclusions: {counts[CONFIRMED]} confirmed, {counts[REFUTED]} not, {open_} not measured here."
    section = Section(TITLE, (Text(LEAD), table, Code(CNN, "Whole networks, by these commands")))
    return Shown(section, {"conclusions": Sheet.of(Finding, result.findings)}, summary=(line,))


PART = Part(TITLE, 0.01, compute, show)
