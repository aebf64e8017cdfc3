"""What must hold of a kernel before code is made of it.

LLVM's back ends end the process on many mistakes, so none may reach them: whatever this accepts, compiles.
"""

from __future__ import annotations

import re

from convjit.errors import InternalError
from convjit.kernel.ir import Carried, For, If, Kernel, Op, Operand, Stmt, Type, element
from convjit.kernel.rules import check_number, check_op
from convjit.kernel.signature import POINTER, operand_types, result_type
from convjit.kernel.text import head_text
from convjit.kernel.types import BITS, POINTERS, known
from convjit.machine import Machine

MOST_STACK = 512 << 10
"""Bytes of a CPU kernel's locals: workers may have small stacks, and nothing probes the guard page."""
NAME = re.compile(r"%[A-Za-z0-9_.]+")
WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def verify(kernel: Kernel, machine: Machine) -> None:
    """`InternalError`, with the statement's text, for the first thing that is wrong. Linear in the kernel's size."""
    _Verifier(kernel, machine).run()


class _Verifier:
    """`types`: what is visible now. `origins`: the parameter that a pointer points into, "" where it isn't known."""

    def __init__(self, kernel: Kernel, machine: Machine) -> None:
        self.kernel = kernel
        self.machine = machine
        self.index = kernel.index
        self.types: dict[str, Type] = {}
        self.origins: dict[str, str] = {}
        self.assigned: set[str] = set()
        self.checked: dict[object, tuple[Type, ...]] = {}
        self.written = {p.name for p in kernel.parameters if p.written}

    def run(self) -> None:
        kernel, machine = self.kernel, self.machine
        if kernel.machine != machine.name:
            raise self._wrong("kernel", f"it is for {kernel.machine}, not for {machine.name}")
        if not WORD.fullmatch(kernel.name):
            raise self._wrong("kernel", f"'{kernel.name}' cannot be a function's name")
        if bool(kernel.launch) != (machine.kind == "cuda"):
            raise self._wrong("kernel", "a launch belongs to a GPU's kernel, and only to that")
        self._memory()
        for name in kernel.sizes:
            self._assign(f"%{name}", self.index, "size")
        for name in kernel.threads:
            if kernel.launch:
                raise self._wrong(f"thread {name}", "a GPU's kernel has no thread axes")
            for end in ("begin", "end"):
                self._assign(f"%{name}.{end}", self.index, "thread")
        self._launch()
        self._body(kernel.body)

    def _memory(self) -> None:
        space = "global" if self.kernel.launch else ""
        for p in self.kernel.parameters:
            if p.space != space or p.dtype not in BITS:
                raise self._wrong(f"parameter {p.name}", f"{p.dtype} in '{p.space}' on {self.machine.name}")
            self._assign(f"%{p.name}", p.type, f"parameter {p.name}")
            self.origins[f"%{p.name}"] = p.name
        for local in self.kernel.locals:
            what = f"local {local.name}"
            if local.space != ("shared" if self.kernel.launch else ""):
                raise self._wrong(what, f"in '{local.space}' on {self.machine.name}")
            if local.bytes < 1 or local.offset < 0 or local.offset % 16:
                raise self._wrong(what, f"{local.bytes} bytes at {local.offset}")
            self._assign(f"%{local.name}", "ptr.shared" if local.space else "ptr", what)
        stack = sum(local.bytes for local in self.kernel.locals)
        if not self.kernel.launch and stack > MOST_STACK:
            raise self._wrong("locals", f"{stack} bytes on the stack, at most {MOST_STACK}")

    def _launch(self) -> None:
        launch, machine = self.kernel.launch, self.machine
        if launch is None:
            return
        ends = [local.offset + local.bytes for local in self.kernel.locals]
        wrong = ""
        if not 1 <= launch.threads <= 1024:
            wrong = f"{launch.threads} threads in a block, 1 to 1024 can be"
        elif not 0 <= launch.shared_bytes <= machine.shared_bytes:
            wrong = f"{launch.shared_bytes} bytes of shared memory, {machine.name} has {machine.shared_bytes}"
        elif max(ends, default=0) > launch.shared_bytes:
            wrong = f"locals end at {max(ends)}, shared memory has {launch.shared_bytes} bytes"
        elif not 0 <= launch.min_blocks * launch.threads <= machine.threads_per_multiprocessor:
            wrong = f"{launch.min_blocks} blocks of {launch.threads} threads cannot run side by side"
        elif launch.cluster != 1 and not (machine.sm >= 90 and 1 < launch.cluster <= 8):
            wrong = f"a cluster of {launch.cluster} on {machine.name}"
        elif not launch.blocks:
            wrong = "no blocks"
        for part in launch.blocks:
            if part not in self.kernel.sizes if isinstance(part, str) else part < 1:
                wrong = f"blocks {part}"
        if wrong:
            raise self._wrong("launch", wrong)

    def _body(self, body: tuple[Stmt, ...]) -> None:
        for stmt in body:
            if isinstance(stmt, Op):
                self._op(stmt)
            elif isinstance(stmt, For):
                self._loop(stmt)
            else:
                self._branch(stmt)

    def _op(self, op: Op) -> None:
        key = op.name, op.type, op.attributes
        types = self.checked.get(key)
        if types is None:
            wrong = check_op(op, self.machine)
            if wrong:
                raise self._wrong(op, wrong)
            types = self.checked[key] = operand_types(op, self.machine)
        if len(types) != len(op.args):
            raise self._wrong(op, f"it takes {len(types)} operands")
        for type, operand in zip(types, op.args):
            if isinstance(operand, str) and self.types.get(operand) == type:
                continue
            self._operand(op, type, operand)
        if "ptr" in types or POINTER in types or op.type in POINTERS:
            self._pointers(op)
        gives = result_type(op)
        if bool(gives) != bool(op.result):
            raise self._wrong(op, f"it gives {gives or 'nothing'}")
        if gives:
            self._assign(op.result, gives, op)

    def _operand(self, stmt: Stmt, type: Type, operand: Operand) -> None:
        if not isinstance(operand, str):
            wrong = check_number(operand, element(type)) if type != POINTER else f"{operand!r} is no pointer"
            if wrong:
                raise self._wrong(stmt, wrong)
            return
        found = self.types.get(operand)
        if found is None:
            raise self._wrong(stmt, f"{operand} is not visible here")
        if found != type and not (type == POINTER and found in POINTERS):
            raise self._wrong(
                stmt, f"{operand} is {found}, {'a pointer' if type == POINTER else type} is wanted"
            )

    def _pointers(self, op: Op) -> None:
        """Where pointers point: nothing is stored through a parameter that is only read, and `constant` is true."""
        pointers = [a for a in op.args if isinstance(a, str) and self.types[a] in POINTERS]
        origins = {self.origins.get(p, "") for p in pointers}
        origin = origins.pop() if len(origins) == 1 else ""
        if op.name in ("step", "select"):
            self.origins[op.result] = origin
            if op.name == "step" and self.types[pointers[0]] != op.type:
                raise self._wrong(op, f"{pointers[0]} is {self.types[pointers[0]]}")
        elif op.name.startswith("store") and origin and origin not in self.written:
            raise self._wrong(op, f"parameter {origin} is only read")
        elif op.name == "load" and op.attribute("constant", 0) and origin in self.written:
            raise self._wrong(op, f"parameter {origin} is written, so it is not constant")
        elif op.name.startswith("cp_async") and [self.types[p] for p in pointers] != [
            "ptr.global",
            "ptr.shared",
        ]:
            raise self._wrong(op, "it copies from global to shared memory")
        elif op.name == "prefetch" and self.types[pointers[0]] == "ptr.shared":
            raise self._wrong(op, "shared memory is not prefetched")

    def _loop(self, loop: For) -> None:
        if loop.type != self.index or loop.step < 1:
            raise self._wrong(loop, f"a counter is {self.index} and its step at least 1")
        self._operand(loop, loop.type, loop.low)
        self._operand(loop, loop.type, loop.high)
        constant = isinstance(loop.low, int) and isinstance(loop.high, int)
        if loop.sure and constant and loop.low >= loop.high:  # type: ignore[operator]
            raise self._wrong(loop, "it is said to run, but does not")
        for c in loop.carried:
            self._typed(loop, c.type, c.start)
        outside = len(self.types)
        self._assign(loop.counter, loop.type, loop)
        for c in loop.carried:
            self._assign(c.name, c.type, loop)
            if c.type in POINTERS:
                self.origins[c.name] = self.origins.get(str(c.start), "")
        self._body(loop.body)
        for c in loop.carried:
            self._operand(loop, c.type, c.following)
        origins = [self._origin_after(loop, c) for c in loop.carried]
        self._leave(outside)
        for c, origin in zip(loop.carried, origins):
            self._assign(c.result, c.type, loop)
            if origin:
                self.origins[c.result] = origin

    def _origin_after(self, loop: For, carried: Carried) -> str:
        """A carried pointer must stay where it started: an origin was assumed while the body was checked."""
        if carried.type not in POINTERS:
            return ""
        before, after = self.origins.get(carried.name, ""), self.origins.get(str(carried.following), "")
        if before != after:
            raise self._wrong(loop, f"{carried.name} starts in '{before}' and goes on in '{after}'")
        return before

    def _branch(self, branch: If) -> None:
        self._operand(branch, "i1", branch.condition)
        for m in branch.merged:
            self._typed(branch, m.type, m.skipped)
        outside = len(self.types)
        self._body(branch.body)
        for m in branch.merged:
            self._operand(branch, m.type, m.taken)
        origins = [
            (self.origins.get(str(m.taken), ""), self.origins.get(str(m.skipped), "")) for m in branch.merged
        ]
        self._leave(outside)
        for m, (a, b) in zip(branch.merged, origins):
            self._assign(m.result, m.type, branch)
            if a and a == b:
                self.origins[m.result] = a

    def _typed(self, stmt: Stmt, type: Type, operand: Operand) -> None:
        if not known(type):
            raise self._wrong(stmt, f"there is no type '{type}'")
        self._operand(stmt, type, operand)

    def _leave(self, outside: int) -> None:
        """What was assigned last goes out of sight first."""
        for _ in range(len(self.types) - outside):
            self.types.popitem()

    def _assign(self, name: str, type: Type, where: Stmt | str) -> None:
        if name in self.assigned:
            raise self._wrong(where, f"{name} is assigned twice")
        if not NAME.fullmatch(name):
            raise self._wrong(where, f"'{name}' is not a value's name")
        self.assigned.add(name)
        self.types[name] = type

    def _wrong(self, where: Stmt | str, reason: str) -> InternalError:
        what = where if isinstance(where, str) else head_text(where)
        return InternalError(f"{self.kernel.name}: {what}: {reason}")
