"""What a study is of, what it is made of, and what becomes of each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from convjit.spec.conv import ConvSpec
from convjit.study.clock import Clock
from convjit.study.hosts import Hosts
from convjit.study.page import Section
from convjit.study.real import Arrays
from convjit.study.sheet import Sheet

T = TypeVar("T")

Tell = Callable[[str], None]
"""Is told what is being done."""

REPORT_RATIO = 500.0
"""The kernel's scale over the input's in the report that this project grew from."""


@dataclass(frozen=True)
class Subject:
    """One convolution without open sizes, on these arrays; `notes` say where each is from.

    `text` is the program as it was written, `command` what repeats the study, `run` the beginning and the end of commands
    that run a program on the same arrays. `threads` are those beside 1 (None: all), `seconds` the time for all parts,
    `ratio` the kernel's scale over the input's of the report's V-curve. `date` is what the user gave, or "".
    """

    spec: ConvSpec
    given: Arrays
    notes: Mapping[str, str]
    hosts: Hosts
    text: str = ""
    command: str = ""
    data_words: tuple[str, ...] = ()
    threads: int | None = None
    seconds: float = 150.0
    ratio: float = REPORT_RATIO
    date: str = ""


@dataclass(frozen=True)
class Found:
    """The results of the parts before."""

    results: tuple[Any, ...] = ()

    def of(self, kind: type[T]) -> T | None:
        """The result of that class; None where its part has none."""
        return next((r for r in self.results if isinstance(r, kind)), None)

    def plus(self, result: object) -> Found:
        """With one more."""
        return Found((*self.results, result))


class NotApplicable(Exception):  # noqa: N818 - it is no error
    """A part says why it has nothing to say of this convolution."""


@dataclass(frozen=True)
class Shown:
    """A result as it is seen: a section; CSVs and drawings (matplotlib's figures) by the name of their file, without its
    ending; other texts by the whole name; lines for the summary; and what the time did not suffice for."""

    section: Section
    sheets: Mapping[str, Sheet] = field(default_factory=dict)
    drawings: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    summary: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    wrong: int = 0


@dataclass(frozen=True)
class Part:
    """`compute(subject, found, clock, tell)` gives a result of a class of its own and keeps to the clock as well as it can;
    it raises `NotApplicable` where it has none. `show(subject, found, result)` draws it. `share`: of the time, beside the other parts'."""

    title: str
    share: float
    compute: Callable[[Subject, Found, Clock, Tell], Any]
    show: Callable[[Subject, Found, Any], Shown]


@dataclass(frozen=True)
class Outcome:
    """What became of a part: `shown`, or `why` it does not apply, or the `error` that it ended with. `seconds` it took."""

    part: Part
    seconds: float
    shown: Shown | None = None
    why: str = ""
    error: Exception | None = None
