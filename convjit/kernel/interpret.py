"""Running a kernel in NumPy: the definition of what it does, with everything checked that hardware would not tell.

All threads of a block run in step, as arrays over threads; blocks run one after the other. A CPU's kernel has one
thread. An asynchronous copy lands when it is waited for and not before.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from convjit.errors import InternalError
from convjit.kernel.effects import EFFECTS, Run, State
from convjit.kernel.ir import For, If, Kernel, Local, Op, Operand, Stmt, Type, walk
from convjit.kernel.meaning import NUMPY, Array, meaning, number, undefined
from convjit.kernel.memory import POISON, Access, Region
from convjit.kernel.races import Fault, Races
from convjit.kernel.signature import operand_types
from convjit.kernel.text import head_text
from convjit.kernel.types import bits
from convjit.machine import Machine

Counts = Mapping[str, Access]
"""For each parameter and local by name, the accesses that were carried out."""


def interpret(
    kernel: Kernel,
    machine: Machine,
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int] | None = None,
    ranges: Mapping[str, tuple[int, int]] | None = None,
) -> Counts:
    """Run the kernel on the arrays, in place, and count what it read and wrote.

    `arrays`: one for each parameter, contiguous, of its type. `sizes`: the open sizes. `ranges`: begin and end of each
    thread axis (CPU). `InternalError`, with the op's text, for an access out of bounds or misaligned, a read of a
    local's unwritten bytes, a race in shared memory, a barrier that not all threads reach, an undefined result.
    """
    given = {**(sizes or {})}
    for axis, (begin, end) in (ranges or {}).items():
        given |= {f"{axis}.begin": begin, f"{axis}.end": end}
    with np.errstate(all="ignore"):
        return _Interpreter(kernel, machine, arrays, given).run()


class _Interpreter:
    """Statements become functions without arguments that work on the state; then those are run for each block."""

    def __init__(
        self, kernel: Kernel, machine: Machine, arrays: Mapping[str, Array], given: Mapping[str, int]
    ) -> None:
        self.kernel = kernel
        self.machine = machine
        self.given = given
        launch = kernel.launch
        shared = np.zeros(launch.shared_bytes if launch else 0, np.uint8)
        races = Races(shared.size, _grain(kernel))
        self.regions = [self._parameter(p.name, p.dtype, arrays) for p in kernel.parameters]
        self.regions += [self._local(local, shared, races) for local in kernel.locals]
        self.state = State(launch.threads if launch else 1, shared, races, self.regions)
        self.values = self.state.values

    def run(self) -> Counts:
        index = NUMPY[self.kernel.index]
        for at, region in enumerate(self.regions):
            self.values[f"%{region.name}"] = self.state.memory.pointer(at)
        axes = [f"{axis}.{end}" for axis in self.kernel.threads for end in ("begin", "end")]
        for name in (*self.kernel.sizes, *axes):
            if name not in self.given:
                raise InternalError(f"{self.kernel.name}: no number is given for {name}")
            self.values[f"%{name}"] = np.array([self.given[name]], index)
        body = self._compile(self.kernel.body)
        launch = self.kernel.launch
        blocks = prod(self.given[b] if isinstance(b, str) else b for b in launch.blocks) if launch else 1
        for block in range(blocks):
            self.state.begin(block)
            body()
        return {region.name: region.access for region in self.regions}

    def _parameter(self, name: str, dtype: str, arrays: Mapping[str, Array]) -> Region:
        array = arrays.get(name)
        if array is None or array.dtype != NUMPY[dtype] or not array.flags.c_contiguous:
            raise InternalError(f"{self.kernel.name}: parameter {name} takes a contiguous array of {dtype}")
        return Region(name, array.reshape(-1).view(np.uint8))

    def _local(self, local: Local, shared: Array, races: Races) -> Region:
        if not self.kernel.launch:
            return Region(local.name, np.full(local.bytes, POISON, np.uint8), tracked=True)
        part = shared[local.offset : local.offset + local.bytes]
        return Region(local.name, part, races=races, base=local.offset)

    def _compile(self, body: tuple[Stmt, ...]) -> Run:
        """Statements as functions without arguments, looked up once and not for every turn of a loop."""
        runs = [self._statement(stmt) for stmt in body]

        def run() -> None:
            for each in runs:
                each()

        return run

    def _statement(self, stmt: Stmt) -> Run:
        if isinstance(stmt, For):
            return self._loop(stmt)
        if isinstance(stmt, If):
            return self._branch(stmt)
        if stmt.name in EFFECTS:
            return self._guarded(stmt, EFFECTS[stmt.name](self.state, stmt, self._names(stmt)))
        return self._pure(stmt)

    def _guarded(self, op: Op, run: Run) -> Run:
        def guarded() -> None:
            try:
                run()
            except Fault as fault:
                raise self._wrong(op, str(fault)) from None

        return guarded

    def _wrong(self, stmt: Stmt, reason: str) -> InternalError:
        block = f" (block {self.state.block[0]})" if self.kernel.launch else ""
        return InternalError(f"{self.kernel.name}: {head_text(stmt)}: {reason}{block}")

    def _names(self, op: Op) -> list[str]:
        """The operands as names of values; a number gets one."""
        return [self._name(o, t) for o, t in zip(op.args, operand_types(op, self.machine))]

    def _name(self, operand: Operand, type: Type) -> str:
        if isinstance(operand, str):
            return operand
        name = f"{type} {operand!r}"
        self.values[name] = number(type, operand)
        return name

    def _pure(self, op: Op) -> Run:
        values, result = self.values, op.result
        names, compute, wrong = self._names(op), meaning(op, self.machine), undefined(op)
        if wrong is None and len(names) == 2:
            a, b = names

            def run_two() -> None:
                values[result] = compute(values[a], values[b])

            return run_two

        def run() -> None:
            args = [values[name] for name in names]
            if wrong is not None and self._somewhere(wrong(*args)):
                raise self._wrong(op, "the result is not defined")
            values[result] = compute(*args)

        return run

    def _somewhere(self, bad: Array) -> bool:
        """Whether it holds in a thread that runs now."""
        rows = bad.reshape(len(bad), -1).any(axis=1)
        return bool(rows.any() if self.state.mask is None else (rows & self.state.mask).any())

    def _loop(self, loop: For) -> Run:
        low, high = self._name(loop.low, loop.type), self._name(loop.high, loop.type)
        starts = [self._name(c.start, c.type) for c in loop.carried]
        ends = [self._name(c.following, c.type) for c in loop.carried]
        body, values, dtype = self._compile(loop.body), self.values, NUMPY[loop.type]

        def turn(counter: Array, current: list[Array]) -> list[Array]:
            values[loop.counter] = counter
            for c, value in zip(loop.carried, current):
                values[c.name] = value
            body()
            return [values[name] for name in ends]

        def in_step(current: list[Array]) -> list[Array]:
            turns = range(int(values[low][0]), int(values[high][0]), loop.step)
            if loop.sure and not turns:
                raise self._wrong(loop, "it is said to run, but does not")
            for at in turns:
                current = turn(np.array([at], dtype), current)
            return current

        def masked(current: list[Array]) -> list[Array]:
            """Threads leave one after the other."""
            outer, counter, bound = (
                self.state.mask,
                np.broadcast_to(values[low], (self.state.threads,)),
                values[high],
            )
            first = (counter < bound) | ~_all(outer, self.state.threads)
            if loop.sure and not first.all():
                raise self._wrong(loop, "it is said to run, but does not in every thread")
            while (active := (counter < bound) & _all(outer, self.state.threads)).any():
                self.state.mask = None if active.all() else active
                following = turn(counter, current)
                current = [_choose(active, new, old) for new, old in zip(following, current)]
                counter = counter + dtype.type(loop.step)
            self.state.mask = outer
            return current

        def run() -> None:
            current = [values[name] for name in starts]
            uniform = len(values[low]) == len(values[high]) == 1
            current = in_step(current) if uniform else masked(current)
            for c, value in zip(loop.carried, current):
                values[c.result] = value

        return run

    def _branch(self, branch: If) -> Run:
        condition = self._name(branch.condition, "i1")
        taken = [self._name(m.taken, m.type) for m in branch.merged]
        skipped = [self._name(m.skipped, m.type) for m in branch.merged]
        body, values = self._compile(branch.body), self.values

        def run() -> None:
            holds, outer = values[condition], self.state.mask
            before = [values[name] for name in skipped]
            active = holds if outer is None else holds & outer
            after = before
            if active.any():
                if len(holds) > 1:
                    self.state.mask = None if active.all() else active
                body()
                after = [_choose(holds, values[name], old) for name, old in zip(taken, before)]
                self.state.mask = outer
            for m, value in zip(branch.merged, after):
                values[m.result] = value

        return run


def _all(mask: Array | None, threads: int) -> Array:
    return np.ones(threads, np.bool_) if mask is None else mask


def _choose(where: Array, yes: Array, no: Array) -> Array:
    """`yes` in the threads where it holds."""
    return np.where(where[:, None] if max(yes.ndim, no.ndim) > 1 else where, yes, no)


def _grain(kernel: Kernel) -> int:
    """Bytes of the smallest access, so that threads that use neighbours don't seem to meet."""
    accesses = [
        s.type for s in walk(kernel.body) if isinstance(s, Op) and s.name.startswith(("load", "store"))
    ]
    return min((bits(type) // 8 for type in accesses), default=1)
