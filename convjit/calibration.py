"""`convjit.calibrate`: scales for a program from data. Apart from `convjit.api`, so that a `compile` does not load it."""

from __future__ import annotations

from typing import Any

from convjit.api import Program, single
from convjit.spec.conv import ConvSpec
from convjit.study.calibrate import calibrate as found_scales


def calibrate(spec: Program, x: Any, w: Any, **wishes: Any) -> ConvSpec:
    """The spec with the scales, and zero points, that a method finds for real data: see `convjit.study.calibrate`.

    `spec` is whatever `compile` takes, of one block. Raises ConvError for the user's mistakes.
    """
    return found_scales(single(spec, "calibration"), x, w, **wishes)
