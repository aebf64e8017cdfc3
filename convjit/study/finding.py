"""A claim, and what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass

CONFIRMED, REFUTED, OPEN = "confirmed", "not confirmed", "not measured here"
"""What becomes of a claim."""

NEAR = 0.1
"""A factor that is claimed counts as confirmed within a tenth of it."""


@dataclass(frozen=True)
class Finding:
    """One conclusion checked: what is claimed, where, the measured figures in words, and whether they bear it out."""

    claim: str
    source: str
    figure: str
    verdict: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.claim} ({self.source}) {self.figure}"


def finding(claim: str, source: str, figure: str, holds: bool) -> Finding:
    """A claim that holds or does not."""
    return Finding(claim, source, figure, CONFIRMED if holds else REFUTED)


def unmeasured(claim: str, source: str, why: str) -> Finding:
    """A claim about something that there are no figures of."""
    return Finding(claim, source, why, OPEN)


def near(found: float, claimed: float) -> bool:
    """Whether two factors differ by a tenth at most."""
    return abs(found / claimed - 1) <= NEAR
