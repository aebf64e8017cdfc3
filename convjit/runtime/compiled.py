"""A compiled convolution: machine code, the texts of its stages, and the call."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np

from convjit import dtypes
from convjit.errors import ConvError, did_you_mean
from convjit.kernel.program import Program, Step
from convjit.runtime import slow
from convjit.runtime.assemble import Library
from convjit.runtime.checks import Axes, arrange
from convjit.runtime.native import native
from convjit.runtime.plan import Plan, Record, Region
from convjit.runtime.threads import MAX_THREADS, default_threads
from convjit.runtime.vectorcall import MachineCallable, called_directly, function_object, method_definition
from convjit.settings import settings

Text = str | Callable[[], str]
"""A text, or what makes it when it is first asked for."""


class _Call(MachineCallable):
    """What `CompiledConv` and `BoundConv` share: a plan that machine code runs. It owns all that keeps this alive."""

    def __init__(self, plan: Plan, library: Library, threads: int, axes: Axes) -> None:
        logged = "calls" in settings.verbose
        self._python = (_Log if logged else slow.PythonCall)(plan, axes, threads)
        self._plan = plan
        self._library = library
        self._axes = axes
        self._keep = Record(plan, threads, self._python, fast=not logged)
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
        self._python.set_threads(count)

    @property
    def function(self) -> Callable[..., Any]:
        """The same call as a built-in function object, which Python 3.11 calls faster with keywords."""
        return function_object(self._definition, self)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"'{self._plan.program.name}' is machine code of this process and can be neither copied nor pickled; "
            "pass on its text, str(kernel.spec), and compile that."
        )


class _Log(slow.PythonCall):
    """The Python path with a line for each call, for CONVJIT_VERBOSE=calls."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = super().__call__(*args, **named)
        name = self.plan.program.name
        print(f"convjit: {name} {(time.perf_counter() - start) * 1e6:.1f} us", file=sys.stderr)
        return result


@called_directly
class CompiledConv(_Call):
    """A convolution as machine code: call it with its arrays, or `bind` what stays the same.

    Made by the compiler. `tasks` are the addresses in `library` of the steps' task functions; `constants` the arrays
    that `bind` takes by position; `stages` and `explanation` texts, or functions that make them.
    """

    def __init__(
        self,
        program: Program,
        library: Library,
        *,
        threads: int | None = None,
        spec: Any = None,
        stages: Mapping[str, Text] | None = None,
        explanation: Text = "",
        axes: Axes | None = None,
        constants: tuple[str, ...] | None = None,
        certify: Callable[[Mapping[str, Any]], object] | None = None,
    ) -> None:
        tasks = {step.symbol: library.address(f"{step.symbol}.task") for step in program.steps}
        count = default_threads() if threads is None else check_threads(threads)
        super().__init__(Plan(program, tasks, program.steps, {}, {}), library, count, axes or {})
        self.spec = spec
        self._stages = dict(stages or {})
        self._explanation = explanation
        self._constants = tuple(a.name for a in program.inputs[1:]) if constants is None else constants
        self._certify = certify

    @property
    def stages(self) -> tuple[str, ...]:
        """The names that `dump` takes, in the order of compilation."""
        return tuple(self._stages)

    def dump(self, stage: str) -> str:
        """The text of a stage."""
        if stage not in self._stages:
            raise ConvError.of(
                f"There is no stage '{stage}'.",
                note=f"The stages are {' '.join(self._stages)}.",
                hint=did_you_mean(stage, self._stages),
            )
        text = self._stages[stage]
        if not isinstance(text, str):
            text = self._stages[stage] = text()
        return text

    def explain(self) -> str:
        """Which way was taken, and why."""
        if not isinstance(self._explanation, str):
            self._explanation = self._explanation()
        return self._explanation

    def bind(self, *arrays: Any, **named: Any) -> BoundConv:
        """The call with these arrays fixed; what is made of them alone (packed weights) is made now, once.

        By position: weight, bias and other constants in order of declaration; by name: any input. The arrays must not
        change afterwards.
        """
        allowed = [*self._constants, *(a.name for a in self._plan.params if a.name not in self._constants)]
        if len(arrays) > len(self._constants):
            arrange(self._constants, arrays, named, f"{self._plan.program.name}.bind", partial=True)
        given = arrange(allowed, arrays, named, f"{self._plan.program.name}.bind", partial=True)
        certificate = self._certify(given) if self._certify else None
        plan = _bind(self._plan, given, self._axes, self.threads)
        return BoundConv(plan, self._library, self.threads, self._axes, certificate)


@called_directly
class BoundConv(_Call):
    """A convolution with some of its arrays fixed (see `CompiledConv.bind`)."""

    def __init__(self, plan: Plan, library: Library, threads: int, axes: Axes, certificate: object) -> None:
        super().__init__(plan, library, threads, axes)
        self.certificate = certificate


def check_threads(count: int) -> int:
    """The count, where it is one. `ConvError` where not."""
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_THREADS:
        raise ConvError.of(
            f"The number of threads is {count!r}; it must be a whole number from 1 to {MAX_THREADS}."
        )
    return count


def _signature(plan: Plan) -> str:
    name = plan.program.name
    return f"{name}({', '.join([*(a.name for a in plan.params), 'out=None'])})"


def _bind(plan: Plan, given: Mapping[str, Any], axes: Axes, threads: int) -> Plan:
    """The plan with the given arrays bound, after the steps that depend on nothing else have run."""
    views, sizes = slow.check_inputs(plan, given, axes)
    regions = {n: Region(v.address, v.address + v.bytes, v.owner) for n, v in views.items()}
    steps = _early_steps(plan, regions, sizes)
    made = {name for step in steps for name in step.writes}
    memory = {a.name: _memory(a.dtype, a.shape, sizes) for a in plan.program.temporaries if a.name in made}
    early = replace(plan, steps=steps, bound=regions | memory, sizes=sizes)
    if steps:
        slow.execute(Record(early, threads, slow.refuse_call, fast=False), early, {}, sizes)
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
        kept = tuple(
            s for s in steps if set(s.arrays) <= ready and not open_sizes.intersection(_sizes(s, plan))
        )
        if kept == steps:
            return steps
        steps = kept


def _sizes(step: Step, plan: Plan) -> set[str]:
    """Open sizes that a step needs: its own, those of its grid, and those of the temporaries that it touches."""
    grid = {axis.extent for axis in step.threads if isinstance(axis.extent, str)}
    shapes = {
        n for a in plan.program.temporaries if a.name in step.arrays for n in a.shape if isinstance(n, str)
    }
    return set(step.sizes) | grid | shapes


def _memory(dtype: str, shape: tuple[int | str, ...], sizes: Mapping[str, int]) -> Region:
    """Memory for a temporary that outlives the call, aligned to 64 bytes."""
    count = 1
    for extent in shape:
        count *= extent if isinstance(extent, int) else sizes[extent]
    size = -(-count * dtypes.bits(dtype) // 8)
    raw = np.empty(size + 64, np.uint8)
    begin = raw.ctypes.data + -raw.ctypes.data % 64
    return Region(begin, begin + size, raw)
