"""One way to compute a convolution, ready to be called: everything that a call need not do has been done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from convjit.errors import Unavailable
from convjit.runtime.placement import aligned
from convjit.spec import layout
from convjit.spec.conv import ConvSpec

Array = NDArray[Any]
Arrays = Mapping[str, Array]


def _nothing() -> None:
    """Nothing has to be cleared."""


@dataclass(frozen=True)
class Candidate:
    """`call` is what is timed. `result` calls it and gives the output in the order N, OC, space; `clear` fills the memory
    that it will be written to with NaN, or with the largest integer.

    `blocked`: input and output stand in the library's own order, as between the layers of a network. A user's array
    would have to be brought into it first, which is not timed.
    """

    call: Callable[[], object]
    result: Callable[[], Array]
    clear: Callable[[], None] = _nothing
    blocked: bool = False


BLOCKED = " blocked"
"""How the names of such candidates end."""

Builder = Callable[[], Candidate]
"""Prepares a candidate; raises what the library raises where it cannot."""


def library(name: str) -> Any:
    """An optional package. `Unavailable` where it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        hint = f"pip install {name}, or leave it out."
        raise Unavailable.of(f"'{name}' is not installed.", hint=hint) from None


def channels_first(spec: ConvSpec, given: Arrays) -> tuple[Array, Array, Array | None]:
    """Input, weight and bias, as nearly everybody else has them: NCHW and OIHW."""
    x = given[spec.input.name].transpose(layout.permutation(spec.input.axes, ("N", "C", *spec.spatial)))
    order = ("OC", "IC", *layout.kernel_axes(spec.spatial))
    w = given[spec.weight.name].transpose(layout.permutation(spec.weight.axes, order))
    return aligned(x), aligned(w), given[spec.bias.name] if spec.bias else None


def output_shape(spec: ConvSpec) -> tuple[int, ...]:
    """N, OC, space."""
    order = ("N", "OC", *layout.output_axes(spec.spatial))
    return tuple(size or 0 for size in (spec.output.size(axis) for axis in order))
