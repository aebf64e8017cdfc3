"""A conclusion of the report that this project grew from, beside what this study found."""

from __future__ import annotations

from dataclasses import dataclass

CONFIRMED, NOT, OPEN = "confirmed", "not confirmed", "not measured here"

NEAR = 0.1
"""A factor that the report gives counts as confirmed within a tenth of it, or beyond it in its own direction."""


@dataclass(frozen=True)
class Finding:
    """`section` is that of the report; `figure` says what was found, or why nothing was."""

    section: str
    claim: str
    verdict: str
    figure: str


def judged(section: str, claim: str, holds: bool, figure: str) -> Finding:
    """A finding about something that was measured."""
    return Finding(section, claim, CONFIRMED if holds else NOT, figure)


def unknown(section: str, claim: str, why: str) -> Finding:
    """A finding about something that this study has no figures of."""
    return Finding(section, claim, OPEN, why)


def near(found: float, wanted: float) -> bool:
    """Whether two factors differ by a tenth at most."""
    return abs(found / wanted - 1) <= NEAR
