"""A call on a GPU: kernels started one after the other on the arrays' stream, and nothing waited for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from convjit.kernel.program import Step
from convjit.runtime import cuda, device_views, geometry
from convjit.runtime.array_call import ArrayCall, bytes_of
from convjit.runtime.arrays import View
from convjit.runtime.checks import Axes
from convjit.runtime.cuda_code import Code
from convjit.runtime.cuda_memory import Memory, temporary
from convjit.runtime.cuda_quick import QuickCuda
from convjit.runtime.device_array import DeviceArray
from convjit.runtime.plan import Plan, Region

_APART = 256
"""Temporaries of one call begin at multiples of this."""


class CudaCall(ArrayCall):
    """Calls a plan with arrays on a GPU, in place.

    The stream is that of the first array. Where others come from another stream, ours waits for it before and it waits
    for ours after. A call can be captured in a CUDA graph, unless an array is JAX's (whose streams nobody sees).
    """

    def __init__(self, plan: Plan, axes: Axes, code: Code) -> None:
        super().__init__(plan, axes)
        self.code = code
        self.quick = QuickCuda(plan, code)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """One call, by the short way where it leads there."""
        result = self.quick(args, named)
        return super().__call__(*args, **named) if result is NotImplemented else result

    def view(self, array: Any, name: str) -> View:
        """An array on a GPU."""
        return device_views.view(array, name)

    def new_output(self, like: View | None, dtype: str, shape: tuple[int, ...]) -> Any:
        """Memory for the result, on the device of the first array."""
        return device_views.new_output(like, dtype, shape)

    def finish(self, like: View | None, output: Any) -> Any:
        """The result as the caller's kind of array."""
        return device_views.finish(like, output)

    def memory(self, size: int, like: View | None) -> Region:
        """Memory on the device of the first bound array."""
        made = Memory(like.device if like else cuda.current_device(), size)
        return Region(made.address, made.address + size, made)

    def place(self, arrays: Sequence[Any]) -> int:
        """The device of the first array; without any the current one."""
        return device_views.view(arrays[0], "the first array").device if arrays else cuda.current_device()

    def put(self, array: np.ndarray[Any, Any], place: int) -> Any:
        """A copy on a device."""
        return DeviceArray.of(array, place)

    def with_plan(self, plan: Plan) -> CudaCall:
        """The same for another plan."""
        return CudaCall(plan, self.axes, self.code)

    def settle(self, views: Mapping[str, View]) -> None:
        """Wait: calls that use what was bound may come from other streams."""
        for device, stream in {(view.device, view.stream) for view in views.values()}:
            cuda.synchronize(device, stream)

    def run(self, views: Mapping[str, View], sizes: Mapping[str, int]) -> None:
        """Start the steps."""
        first = next(iter(views.values()), self.plan.like)
        device, stream = (first.device, first.stream) if first else (cuda.current_device(), 0)
        grids = [geometry.blocks(step, sizes) for step in self.plan.steps]
        if self.plan.program.sizes:  # the others were checked when they were compiled
            geometry.check_bytes(self.plan.program, sizes)
        functions = self.code.on(device)
        places, size = self._temporaries(sizes)
        others = {view.stream for view in views.values()} - {stream}
        with cuda.on(device) as d:
            for other in others:
                cuda.order(device, other, stream)
            with temporary(device, stream, size) as base:
                addresses = {name: base + offset for name, offset in places.items()}
                addresses |= {name: region.begin for name, region in self.plan.bound.items()}
                addresses |= {name: view.address for name, view in views.items()}
                for step, blocks in zip(self.plan.steps, grids, strict=True):
                    if blocks:
                        functions[step.symbol].start(d, blocks, stream, words(step, addresses, sizes))
            for other in others:
                cuda.order(device, stream, other)
            if any(view.family == "jax" for view in views.values()):  # it may reuse their memory once we return
                cuda.synchronize(device, stream)

    def _temporaries(self, sizes: Mapping[str, int]) -> tuple[dict[str, int], int]:
        """Where the temporaries of a call lie in one piece of memory, and its size."""
        places, size = {}, 0
        used = {name for step in self.plan.steps for name in step.arrays}
        for array in (a for a in self.plan.temporaries if a.name in used):
            places[array.name] = size
            size += -(-bytes_of(array, sizes) // _APART) * _APART
        return places, size


def words(step: Step, addresses: Mapping[str, int], sizes: Mapping[str, int]) -> list[int]:
    """The arguments of a kernel, as 64-bit words: arrays, then open sizes."""
    return [*(addresses[name] for name in step.arrays), *(sizes[name] for name in step.sizes)]
