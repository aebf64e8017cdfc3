"""Nest to nest, one pass a file. Each keeps the meaning: the interpreter agrees before and after.

`PASSES` says which run for which kind of machine, in order.
"""

from collections.abc import Callable

from convjit.nest.ir import Nest
from convjit.nest.passes.peel_borders import peel_borders
from convjit.nest.passes.prefetch import prefetch
from convjit.schedule.schedule import Phase

Pass = Callable[[Nest, Phase], Nest]

PASSES: dict[str, tuple[tuple[str, Pass], ...]] = {
    "cpu": (
        ("peel_borders", lambda nest, phase: peel_borders(nest)),
        ("prefetch", prefetch),  # after peeling: every body asks for its own weights
    ),
}


def run_passes(nest: Nest, phase: Phase, kind: str) -> Nest:
    """All passes for a kind of machine."""
    for _, change in PASSES[kind]:
        nest = change(nest, phase)
    return nest
