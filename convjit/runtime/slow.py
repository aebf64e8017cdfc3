"""The plain Python path of a call: every kind of array, every check with its sentence.

It is what the entry code calls for whatever is not a NumPy array that fits exactly.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from convjit.errors import InternalError
from convjit.runtime import arrays, checks
from convjit.runtime.native import native
from convjit.runtime.plan import OUT, Plan, Record, Region
from convjit.runtime.quick import Quick
from convjit.runtime.tasks import slot_names


class PythonCall:
    """Calls a plan with any arrays, over a record of its own."""

    def __init__(self, plan: Plan, axes: checks.Axes, threads: int) -> None:
        self.plan = plan
        self.axes = axes
        self.quick = Quick(plan, threads)
        self.record = Record(plan, threads, refuse_call, fast=False)

    def set_threads(self, count: int) -> None:
        """The number of workers from the next call on."""
        for record in (self.record, self.quick.record):
            if record is not None:
                record.call.threads = count

    def __call__(self, *args: Any, **named: Any) -> Any:
        """One call: the output, of the kind of the first array. `TypeError`, `ValueError` or `MemoryError`."""
        result = self.quick(args, named)
        return self._call(args, named) if result is NotImplemented else result

    def _call(self, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        plan = self.plan
        out = named.pop(OUT, None)
        names = [a.name for a in plan.params]
        given = checks.arrange(names, args, named, plan.program.name)
        views, sizes = check_inputs(plan, given, self.axes)
        checks.derive(plan.program.sizes, sizes)
        family = next(iter(views.values())).family if views else "numpy"
        output = self._new(family, sizes) if out is None else out
        view = arrays.view(output, OUT)
        if out is not None:
            checks.check_array(view, plan.program.output, OUT, sizes, self.axes)
            regions = {n: Region(v.address, v.address + v.bytes, v) for n, v in views.items()}
            checks.check_output(view, {**plan.bound, **regions})
        addresses = {n: v.address for n, v in views.items()} | {plan.program.output.name: view.address}
        execute(self.record, plan, addresses, sizes)
        return out if out is not None else arrays.finish(family, output)

    def _new(self, family: str, sizes: Mapping[str, int]) -> Any:
        output = self.plan.program.output
        missing = [n for n in output.shape if isinstance(n, str) and n not in sizes]
        if missing:
            raise InternalError(f"the size {missing[0]} of the output follows from no argument")
        shape = tuple(n if isinstance(n, int) else sizes[n] for n in output.shape)
        return arrays.new_output(family, output.dtype, shape)


def check_inputs(
    plan: Plan, given: Mapping[str, Any], axes: checks.Axes
) -> tuple[dict[str, arrays.View], dict[str, int]]:
    """Views of the given arrays, and the open sizes that they and the bound arrays fix."""
    sizes = dict(plan.sizes)
    views = {}
    for array in plan.params:
        if array.name in given:
            views[array.name] = arrays.view(given[array.name], array.name)
            checks.check_array(views[array.name], array, array.name, sizes, axes)
    return views, sizes


@lru_cache(maxsize=1)
def _executor() -> Callable[..., int]:
    return ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
        native().execute
    )


def execute(record: Record, plan: Plan, addresses: Mapping[str, int], sizes: Mapping[str, int]) -> None:
    """Run the steps of a record on addresses that fit. `MemoryError` where temporaries find no memory."""
    known = {name: region.begin for name, region in plan.bound.items()} | dict(addresses)
    slots = slot_names(plan.program)
    table = (ctypes.c_void_p * len(slots))(*(known.get(name) for name in slots))
    values = (ctypes.c_int64 * max(1, len(plan.program.sizes)))(
        *(sizes.get(s.name, -1) for s in plan.program.sizes)
    )
    if _executor()(record.address, table, values) != 0:
        raise MemoryError(f"There is no memory for the temporaries of '{plan.program.name}'.")


def refuse_call(*_arrays: Any, **_named: Any) -> NoReturn:
    """Stands for the Python path in a record whose steps are only executed."""
    raise InternalError("a record that is only executed was called")
