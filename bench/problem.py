"""What is computed on every layer, as data: numbers and their types, what counts as right, and what it is measured by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.layers import Axes, Layer
from convjit.bench.peak import FLOATS, Types
from convjit.cli import data
from convjit.spec.conv import ConvSpec

Array = NDArray[Any]
Arrays = Mapping[str, Array]

LIMIT = 5e-6
"""The NRMSE against float64 from which an f32 result is wrong. Direct f32 stays below 1e-6, bf16 or a lost tap far above."""

MOST_BEYOND = 0.2
"""The part of a peer's integers that may be off by more than a unit: products that saturate spoil a few in a thousand, a
mistake in the order of axes nearly all."""


@dataclass(frozen=True)
class Verdict:
    """How a result compares with what it should be: the NRMSE of floats; of integers, how many are not equal, how many are off
    by more than one unit (`beyond`), and by how much at most. `problem` says why it does not count at all."""

    nrmse: float = float("nan")
    differ: int = 0
    beyond: int = 0
    most: int = 0
    problem: str = ""


Judge = Callable[[Array, Array, bool], Verdict]
"""(result, what it should be, whether it is ours)"""


@dataclass(frozen=True)
class Problem:
    """`spec` of a layer, with its input and output in an order of axes; `data` of all its arguments; `judge`; the types of
    `peaks`, the highest of which is the limit; the `unit` of operations in a nanosecond."""

    name: str
    spec: Callable[[Layer, Axes], ConvSpec]
    data: Callable[[ConvSpec], Arrays]
    judge: Judge
    peaks: tuple[Types, ...]
    unit: str = "Gop/s"


def near(result: Array, wanted: Array, ours: bool) -> Verdict:
    """Floats: everybody must be as near to float64 as f32 allows."""
    if result.shape != wanted.shape:
        return Verdict(problem=f"wrong: its shape is {result.shape}")
    nrmse = float(np.sqrt(np.mean((result - wanted) ** 2)) / np.ptp(wanted))
    return Verdict(nrmse, problem="" if nrmse < LIMIT else f"wrong: NRMSE {nrmse:.2g}")


def equal(result: Array, wanted: Array, ours: bool) -> Verdict:
    """Integers: all of ours must be equal. Others' are counted, and are wrong only where very many are off."""
    if result.shape != wanted.shape:
        return Verdict(problem=f"wrong: its shape is {result.shape}")
    off = np.abs(result.astype(np.int64) - wanted.astype(np.int64))
    differ, beyond, most = int(np.count_nonzero(off)), int(np.count_nonzero(off > 1)), int(off.max())
    bad = differ > 0 if ours else beyond > MOST_BEYOND * wanted.size
    problem = f"wrong: {differ} of {wanted.size} differ, by up to {most}" if bad else ""
    return Verdict(differ=differ, beyond=beyond, most=most, problem=problem)


def random(spec: ConvSpec) -> Arrays:
    """The data that the command line makes."""
    return {t.name: data.make(spec, t, 0) for t in spec.arguments}


F32 = Problem("f32", Layer.spec, random, near, FLOATS, "GF/s")
