"""The parts of a study, in the order of the page; each may use the results of those before it."""

from __future__ import annotations

from convjit.study.part import Part
from convjit.study.sections import calibration, conclusions, cost, machine, roofline, sparse, sparsity, spec, tradeoff

PARTS: tuple[Part, ...] = (
    spec.PART, machine.PART, calibration.PART, tradeoff.PART, cost.PART, roofline.PART, sparsity.PART, sparse.PART,
    conclusions.PART,
)  # fmt: skip
