"""What some kinds of machines have no lowering for yet, refused by name."""

from __future__ import annotations

from collections.abc import Iterator

from convjit.errors import Diagnostic, Unavailable
from convjit.machine.machine import Machine
from convjit.schedule.operands import SHORT
from convjit.source import Span
from convjit.spec.conv import ConvSpec


def refuse_on(spec: ConvSpec, machine: Machine) -> None:
    """Raise `Unavailable`, naming every clause of a spec that this machine's kind cannot do yet: short floats on a GPU."""
    if machine.kind == "cpu":
        return
    found = tuple(
        Diagnostic(f"{what} is not implemented yet on {machine.name}.", span, "needed here", hints=("Choose a target cpu.",))
        for what, span in _short(spec)
    )
    if found:
        raise Unavailable(*found)


def _short(spec: ConvSpec) -> Iterator[tuple[str, Span | None]]:
    for tensor in spec.tensors:
        place = spec.place(f"type {tensor.name}")
        if tensor.dtype in SHORT and (place or tensor.role != "output"):  # an output without a type follows the input
            yield f"The {tensor.role} '{tensor.name}' of {tensor.dtype}", place or tensor.span
    if spec.compute is not None and spec.compute.dtype in SHORT:
        yield f"'compute {spec.compute.dtype}'", spec.place("compute")
