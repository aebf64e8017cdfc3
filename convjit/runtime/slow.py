"""The plain Python path of a call on the CPU: every kind of array, every check with its sentence.

It is what the entry code calls for whatever is not a NumPy array that fits exactly.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NoReturn

from convjit.errors import InternalError
from convjit.runtime import checks
from convjit.runtime.arrays import View
from convjit.runtime.host_call import HostCall
from convjit.runtime.native import native
from convjit.runtime.plan import Plan, Record
from convjit.runtime.quick import Quick
from convjit.runtime.tasks import slot_names


class PythonCall(HostCall):
    """Calls a plan with any arrays in the CPU's memory, over a record of its own."""

    def __init__(self, plan: Plan, axes: checks.Axes, threads: int) -> None:
        super().__init__(plan, axes)
        self.threads = threads
        self.quick = Quick(plan, threads)
        self.record = Record(plan, threads, refuse_call, fast=False)

    def set_threads(self, count: int) -> None:
        """The number of workers from the next call on."""
        self.threads = count
        for record in (self.record, self.quick.record):
            if record is not None:
                record.call.threads = count

    def __call__(self, *args: Any, **named: Any) -> Any:
        """One call, by the short way where it leads there."""
        result = self.quick(args, named)
        return super().__call__(*args, **named) if result is NotImplemented else result

    def run(self, views: Mapping[str, View], sizes: Mapping[str, int]) -> None:
        """The steps in machine code. `MemoryError` where temporaries find no memory."""
        execute(self.record, self.plan, {name: view.address for name, view in views.items()}, sizes)

    def with_plan(self, plan: Plan) -> PythonCall:
        """The same for another plan."""
        return PythonCall(plan, self.axes, self.threads)


@lru_cache(maxsize=1)
def _executor() -> Callable[..., int]:
    return ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(native().execute)


def execute(record: Record, plan: Plan, addresses: Mapping[str, int], sizes: Mapping[str, int]) -> None:
    """Run the steps of a record on addresses that fit. `MemoryError` where temporaries find no memory."""
    known = {name: region.begin for name, region in plan.bound.items()} | dict(addresses)
    slots = slot_names(plan.program)
    table = (ctypes.c_void_p * len(slots))(*(known.get(name) for name in slots))
    values = (ctypes.c_int64 * max(1, len(plan.program.sizes)))(*(sizes.get(s.name, -1) for s in plan.program.sizes))
    if _executor()(record.address, table, values) != 0:
        raise MemoryError(f"There is no memory for the temporaries of '{plan.program.name}'.")


def refuse_call(*_arrays: Any, **_named: Any) -> NoReturn:
    """Stands for the Python path in a record whose steps are only executed."""
    raise InternalError("a record that is only executed was called")
