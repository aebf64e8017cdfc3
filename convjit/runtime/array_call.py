"""A call in Python, the same for every target: which array is which, whether it fits, and then the steps.

What differs between targets is where arrays lie and how steps are run: the methods that a subclass has.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from convjit import dtypes
from convjit.errors import InternalError
from convjit.kernel.program import Array
from convjit.runtime import checks
from convjit.runtime.arrays import View
from convjit.runtime.plan import OUT, Plan, Region
from convjit.settings import settings


class ArrayCall(ABC):
    """Calls a plan with any arrays that its target can use."""

    def __init__(self, plan: Plan, axes: checks.Axes) -> None:
        self.plan = plan
        self.axes = axes

    @abstractmethod
    def view(self, array: Any, name: str) -> View:
        """The array as it lies in memory. `TypeError` for what this target cannot use in place."""

    @abstractmethod
    def new_output(self, like: View | None, dtype: str, shape: tuple[int, ...]) -> Any:
        """An uninitialised array to compute into, beside `like`; `finish` makes it the caller's kind of array."""

    @abstractmethod
    def finish(self, like: View | None, output: Any) -> Any:
        """The output as an array of the kind of `like`."""

    @abstractmethod
    def memory(self, size: int, like: View | None) -> Region:
        """So many bytes beside `like` that live as long as their owner, for what is made when arrays are bound."""

    @abstractmethod
    def run(self, views: Mapping[str, View], sizes: Mapping[str, int]) -> None:
        """The steps, on arrays that fit."""

    @abstractmethod
    def settle(self, views: Mapping[str, View]) -> None:
        """What was started on these arrays is done when this returns."""

    @abstractmethod
    def place(self, arrays: Sequence[Any]) -> int:
        """Where the arrays of a call lie: the number of the first one's GPU, -1 for the CPU."""

    @abstractmethod
    def put(self, array: np.ndarray[Any, Any], place: int) -> Any:
        """An array of the program's own there."""

    @abstractmethod
    def with_plan(self, plan: Plan) -> ArrayCall:
        """The same way to call, for another plan of the program."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        """One call: the output, of the kind of the first array. `TypeError`, `ValueError` or `MemoryError`."""
        plan, output = self.plan, self.plan.program.output
        out = named.pop(OUT, None)
        given = checks.arrange([a.name for a in plan.params], args, named, plan.program.name)
        views, sizes = self.inputs(given)
        checks.derive(plan.program.sizes, sizes)
        like = next(iter(views.values()), plan.like)
        made = self._new(like, sizes) if out is None else out
        view = self.view(made, OUT)
        if out is not None:
            checks.check_array(view, output, OUT, sizes, self.axes, plan.alignment(output.name))
            regions = {n: Region(v.address, v.address + v.bytes, v) for n, v in views.items()}
            checks.check_output(view, {**plan.bound, **regions})
        checks.check_together({**views, OUT: view}, plan.like)
        if 0 not in view.shape:  # kernels take every size to be at least 1
            self.run({**views, output.name: view}, sizes)
        return out if out is not None else self.finish(like, made)

    def inputs(self, given: Mapping[str, Any]) -> tuple[dict[str, View], dict[str, int]]:
        """Views of the given arrays, checked, and the open sizes that they and the bound arrays fix."""
        sizes = dict(self.plan.sizes)
        views = {}
        for array in self.plan.params:
            if array.name in given:
                view = views[array.name] = self.view(given[array.name], array.name)
                aligned = self.plan.alignment(array.name)
                checks.check_array(view, array, array.name, sizes, self.axes, aligned)
        checks.check_together(views, self.plan.like)
        return views, sizes

    def _new(self, like: View | None, sizes: Mapping[str, int]) -> Any:
        output = self.plan.program.output
        missing = [n for n in output.shape if isinstance(n, str) and n not in sizes]
        if missing:
            raise InternalError(f"the size {missing[0]} of the output follows from no argument")
        return self.new_output(like, output.dtype, shape_of(output, sizes))


def shape_of(array: Array, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Its shape, open sizes filled in."""
    return tuple(n if isinstance(n, int) else sizes[n] for n in array.shape)


def bytes_of(array: Array, sizes: Mapping[str, int]) -> int:
    """Its bytes, densely packed."""
    return -(-prod(shape_of(array, sizes)) * dtypes.bits(array.dtype) // 8)


def logged(call: ArrayCall) -> Callable[..., Any]:
    """The call; with CONVJIT_VERBOSE=calls it prints a line each time."""
    return _Log(call) if "calls" in settings.verbose else call


class _Log:
    def __init__(self, call: ArrayCall) -> None:
        self.call = call

    def __call__(self, *args: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = self.call(*args, **named)
        name = self.call.plan.program.name
        print(f"convjit: {name} {(time.perf_counter() - start) * 1e6:.1f} us", file=sys.stderr)
        return result
