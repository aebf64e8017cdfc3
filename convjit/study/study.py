"""The study of one convolution: part after part, each with its share of the time, and a page of all of them.

Files of a part are written as soon as it is done, each whole or not at all. A part that fails leaves the others as they
are, and the page says what happened to it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from convjit.errors import ConvError
from convjit.study.clock import Clock
from convjit.study.page import Page, Section, Table, Text, write
from convjit.study.part import Found, NotApplicable, Outcome, Part, Subject, Tell
from convjit.study.parts import PARTS
from convjit.study.plot_axes import new
from convjit.study.plots import png
from convjit.study.publish import publish

PAGE = "report.html"


def study(subject: Subject, folder: Path, tell: Tell = lambda _: None, parts: Sequence[Part] = PARTS) -> tuple[Outcome, ...]:
    """Compute all parts and write the page, the CSVs and the drawings into the folder, which is made where it is not there.

    What else lies in the folder stays as it is. Raises `ConvError` where it cannot be written to, `Unavailable` without
    matplotlib; errors of parts are in the outcomes.
    """
    prepare(folder)
    new()  # `Unavailable` before the work, not after it
    found, outcomes, clock = Found(), [], Clock(subject.seconds)
    for number, part in enumerate(parts):
        share = part.share / (sum(p.share for p in parts[number:]) or 1.0)
        result, outcome = _run(part, subject, found, Clock(share * clock.left), tell)
        if outcome.shown is not None:
            _save(outcome, folder)
        found = found if result is None else found.plus(result)
        outcomes.append(outcome)
    tell("the page")
    write(page(subject, outcomes), folder / PAGE)
    return tuple(outcomes)


def prepare(folder: Path) -> None:
    """Make the folder, and make sure that files can be written to it. `ConvError` where not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".convjit-study"
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror or str(error)
        raise ConvError.of(f"The folder '{folder}' cannot be written to: {reason}.", hint="Give another one: -o DIR.") from None


def page(subject: Subject, outcomes: Sequence[Outcome]) -> Page:
    """The page: what was found in short, then a section for each part, then how the time was spent."""
    lead = (
        "What one convolution costs in every type, on every target that this machine has: error, time, traffic, energy "
        "and zeros. What is measured is called measured, what is modelled is called modelled."
    )
    return Page(f"Study of {subject.spec.name}", lead, (_summary(outcomes), *map(_section, outcomes), _spent(outcomes)))


def _run(part: Part, subject: Subject, found: Found, clock: Clock, tell: Tell) -> tuple[object, Outcome]:
    """The result of a part (None where there is none) and what is to be shown of it."""
    begun = time.perf_counter()

    def passed() -> float:
        return time.perf_counter() - begun

    tell(part.title)
    try:
        result = part.compute(subject, found, clock, lambda what: tell(f"{part.title}: {what}"))
        shown = part.show(subject, found, result)
        return result, Outcome(part, passed(), shown)
    except NotApplicable as why:
        return None, Outcome(part, passed(), why=str(why))
    except Exception as error:  # noqa: BLE001 - it is told to whoever asked, and the other parts go on
        return None, Outcome(part, passed(), error=error)


def _save(outcome: Outcome, folder: Path) -> None:
    assert outcome.shown is not None
    for name, sheet in outcome.shown.sheets.items():
        sheet.write(folder / f"{name}.csv")
    for name, figure in outcome.shown.drawings.items():
        png(figure, folder / f"{name}.png")
    for name, text in outcome.shown.texts.items():
        publish(folder / name, text.encode())


def _section(outcome: Outcome) -> Section:
    if outcome.shown is not None:
        return outcome.shown.section
    if outcome.error is None:
        return Section(outcome.part.title, (Text(f"This part does not apply: {outcome.why}"),))
    first = (str(outcome.error).strip() or type(outcome.error).__name__).splitlines()[0]
    return Section(outcome.part.title, (Text(f"This part failed: {first}"),))


def _summary(outcomes: Sequence[Outcome]) -> Section:
    lines = [f"- {line}" for outcome in outcomes if outcome.shown for line in outcome.shown.summary]
    lines += [f"- {o.part.title}: this part failed." for o in outcomes if o.error]
    return Section("Summary", (Text("\n".join(lines) or "There are no results."),))


def _spent(outcomes: Sequence[Outcome]) -> Section:
    """Seconds of each part, and what was left out because of them."""
    rows = [(o.part.title, f"{o.seconds:.1f} s", _state(o)) for o in outcomes]
    table = Table(("part", "time", "state"), rows, "How long each part took (measured).")
    left_out = [f"- {line}" for o in outcomes if o.shown for line in o.shown.left_out]
    text = "Left out, because the time did not suffice (`--seconds` gives more):\n" + "\n".join(left_out)
    return Section("Time", (table, Text(text if left_out else "Nothing was left out for lack of time.")))


def _state(outcome: Outcome) -> str:
    if outcome.error is not None:
        return "failed"
    if outcome.shown is None:
        return "does not apply"
    return f"{len(outcome.shown.left_out)} left out" if outcome.shown.left_out else "done"
