"""The machines by name: one line each."""

from __future__ import annotations

from convjit.errors import ConvError, did_you_mean
from convjit.machine import avx2, avx2_vnni, avx512, avx512_bf16, avx512_vnni, scalar, sm_75, sm_80, sm_90a
from convjit.machine.machine import Machine
from convjit.source import Span

MACHINES: dict[str, Machine] = {
    m.name: m
    for m in (
        scalar.MACHINE,
        avx2.MACHINE,
        avx2_vnni.MACHINE,
        avx512.MACHINE,
        avx512_vnni.MACHINE,
        avx512_bf16.MACHINE,
        sm_75.MACHINE,
        sm_80.MACHINE,
        sm_90a.MACHINE,
    )
}
NAMES: tuple[str, ...] = tuple(MACHINES)


def get(name: str, span: Span | None = None) -> Machine:
    """The machine of that name, as "cpu:avx2"; `ConvError`, placed at `span`, when there is none."""
    if name in MACHINES:
        return MACHINES[name]
    raise ConvError.of(
        f"Unknown target '{name}'.",
        span,
        "not a target",
        note=f"The targets are {' '.join(NAMES)}.",
        hint=did_you_mean(name, NAMES),
    )
