"""A convolution as machine code of the CPU, called without a Python frame in between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from convjit.errors import ConvError
from convjit.kernel.program import Program
from convjit.runtime.array_call import ArrayCall, logged
from convjit.runtime.assemble import Library
from convjit.runtime.checks import Axes
from convjit.runtime.compiled import BoundConv, CompiledConv
from convjit.runtime.native import native
from convjit.runtime.plan import Plan, Record
from convjit.runtime.slow import PythonCall
from convjit.runtime.threads import MAX_THREADS, default_threads
from convjit.runtime.vectorcall import MachineCallable, called_directly, function_object, method_definition


class _Native(MachineCallable):
    """A plan that machine code runs. It owns all that keeps this alive."""

    def __init__(self, python: PythonCall, library: Library) -> None:
        plan, slow = python.plan, logged(python)
        self._python: ArrayCall = python
        self._set_threads = python.set_threads
        self._library = library
        self._keep = Record(plan, python.threads, slow, fast=slow is python)
        self._definition = method_definition(plan.program.name, _signature(plan), native().call)
        self._record = self._keep.address
        self._entry = native().call

    @property
    def threads(self) -> int:
        """The number of workers of a call; it may be set, and holds from the next call on."""
        return int(self._keep.call.threads)

    @threads.setter
    def threads(self, count: int) -> None:
        self._keep.call.threads = check_threads(count)
        self._set_threads(count)

    @property
    def function(self) -> Callable[..., Any]:
        """The same call as a built-in function object, which Python 3.11 calls faster with keywords."""
        return function_object(self._definition, self)


@called_directly
class NativeConv(_Native, CompiledConv):
    """A convolution as machine code. The task functions of the program's steps are in `library`; the other arguments
    are those of `CompiledConv`."""

    def __init__(
        self,
        program: Program,
        library: Library,
        *,
        threads: int | None = None,
        axes: Axes | None = None,
        **about: Any,
    ) -> None:
        tasks = {step.symbol: library.address(f"{step.symbol}.task") for step in program.steps}
        count = default_threads() if threads is None else check_threads(threads)
        python = PythonCall(Plan(program, tasks, program.steps, {}, {}), axes or {}, count)
        _Native.__init__(self, python, library)
        CompiledConv.__init__(self, partial(NativeBound, library), **about)


@called_directly
class NativeBound(_Native, BoundConv):
    """A convolution with some of its arrays fixed, as machine code."""

    def __init__(self, library: Library, python: PythonCall, certificate: object) -> None:
        _Native.__init__(self, python, library)
        BoundConv.__init__(self, certificate)


def check_threads(count: int) -> int:
    """The count, where it is one. `ConvError` where not."""
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_THREADS:
        raise ConvError.of(f"The number of threads is {count!r}; it must be a whole number from 1 to {MAX_THREADS}.")
    return count


def _signature(plan: Plan) -> str:
    name = plan.program.name
    return f"{name}({', '.join([*(a.name for a in plan.params), 'out=None'])})"
