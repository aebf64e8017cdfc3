"""Nest to nest, one pass a file. Each keeps the meaning: the interpreter agrees before and after.

`PASSES` says which run for which kind of machine, in order.
"""

from collections.abc import Callable

from convjit.nest.ir import Nest
from convjit.nest.passes.bind_units import bind_units
from convjit.nest.passes.decide_guards import decide_guards
from convjit.nest.passes.peel_borders import peel_borders
from convjit.nest.passes.pipeline import pipeline
from convjit.nest.passes.prefetch import prefetch
from convjit.nest.passes.roll_functions import roll_functions
from convjit.nest.passes.wide_words import wide_words
from convjit.nest.verify import verify
from convjit.schedule.schedule import Phase
from convjit.settings import settings

Pass = Callable[[Nest, Phase], Nest]

PASSES: dict[str, tuple[tuple[str, Pass], ...]] = {
    "cpu": (
        ("peel_borders", lambda nest, phase: peel_borders(nest)),
        ("roll_functions", lambda nest, phase: roll_functions(nest)),  # after peeling: no loop is cut any more
        ("prefetch", prefetch),  # after peeling: every body asks for its own weights
    ),
    "cuda": (
        ("decide_guards", lambda nest, phase: decide_guards(nest)),  # before: the threads' loops have ranges
        ("bind_units", bind_units),
        ("pipeline", lambda nest, phase: pipeline(nest)),  # after: copies are regions on the spine
        ("wide_words", lambda nest, phase: wide_words(nest)),  # after bind_units: lanes are no loops any more
    ),
}


def run_passes(nest: Nest, phase: Phase, kind: str) -> Nest:
    """All passes for a kind of machine; with CONVJIT_VERIFY=1 the nest is checked before the first and after each."""
    checked = settings.verify
    if checked:
        verify(nest)
    for _, change in PASSES[kind]:
        nest = change(nest, phase)
        if checked:
            verify(nest)
    return nest
