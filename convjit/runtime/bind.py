"""Binding arrays: the plan of what is left to do, after the steps that depend on nothing else have run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convjit.kernel.program import Step
from convjit.runtime.array_call import ArrayCall, bytes_of
from convjit.runtime.plan import Plan, Region


def bind(call: ArrayCall, given: Mapping[str, Any]) -> Plan:
    """The plan of the call with these arrays bound. What is made of them alone is made now."""
    plan = call.plan
    views, sizes = call.inputs(given)
    regions = {n: Region(v.address, v.address + v.bytes, v.owner) for n, v in views.items()}
    steps = _early_steps(plan, regions, sizes)
    made = {name for step in steps for name in step.writes}
    like = plan.like or next((v._replace(owner=None) for v in views.values()), None)
    memory = {a.name: call.memory(bytes_of(a, sizes), like) for a in plan.program.temporaries if a.name in made}
    early = replace(plan, steps=steps, bound={**plan.bound, **regions, **memory}, sizes=sizes, like=like)
    if steps and 0 not in sizes.values():
        call.with_plan(early).run(views, sizes)
    call.settle(views)
    late = tuple(step for step in plan.steps if step not in steps)
    used = {name for step in late for name in step.arrays}
    kept = {n: r if n in used else Region(0, 0, None) for n, r in early.bound.items()}
    return replace(early, steps=late, bound=kept)


def _early_steps(plan: Plan, bound: Mapping[str, Region], sizes: Mapping[str, int]) -> tuple[Step, ...]:
    """The steps made of bound arrays alone: all they touch is bound, or a temporary that only such steps write."""
    temporaries = {a.name for a in plan.program.temporaries}
    steps = plan.steps
    while True:
        late_writes = {n for step in plan.steps if step not in steps for n in step.writes}
        ready = (set(bound) | temporaries) - late_writes
        open_sizes = {s.name for s in plan.program.sizes} - set(sizes)
        kept = tuple(s for s in steps if set(s.arrays) <= ready and not open_sizes.intersection(_sizes(s, plan)))
        if kept == steps:
            return steps
        steps = kept


def _sizes(step: Step, plan: Plan) -> set[str]:
    """Open sizes that a step needs: its own, those of its grid, and those of the temporaries that it touches."""
    grid = {axis.extent for axis in step.threads if isinstance(axis.extent, str)}
    shapes = {n for a in plan.program.temporaries if a.name in step.arrays for n in a.shape if isinstance(n, str)}
    return set(step.sizes) | grid | shapes
