"""A claim, and what was measured of it."""

from __future__ import annotations

from dataclasses import dataclass

CONFIRMED, REFUTED = "confirmed", "not confirmed"
"""What becomes of a claim."""


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
