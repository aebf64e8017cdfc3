"""The way through, downhill: text → AST → spec → schedule → nest → kernel → LLVM IR → machine code or PTX.

`STAGES` is the one list: a stage's name is the word that `dump` takes and the ending of its file. What differs between
kinds of machine is data: the stages that a kind has, its passes, its instruction rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from convjit.dsl import ast
from convjit.dsl.format import format as format_ast
from convjit.emit.llvm import emit_module
from convjit.emit.ptx import optimized, ptx
from convjit.kernel.from_nest import lower as kernel_of
from convjit.kernel.ir import Kernel
from convjit.kernel.program import Program
from convjit.kernel.programs import program as program_of
from convjit.kernel.verify import verify
from convjit.machine.machine import Machine
from convjit.nest.from_schedule import nests as nests_of
from convjit.nest.ir import Nest
from convjit.nest.limits import check_limits
from convjit.nest.passes import run_passes
from convjit.runtime.assemble import CodeTarget, assembly
from convjit.runtime.ptxas import assemble_ptx
from convjit.runtime.sass import disassemble
from convjit.runtime.tasks import with_tasks
from convjit.schedule.choose import choose
from convjit.schedule.parts import NOTHING, Proof
from convjit.schedule.schedule import Schedule
from convjit.spec.conv import ConvSpec

T = TypeVar("T")


@dataclass
class Compilation:
    """Every form of one convolution on one machine, each made from the one before it when it is first asked for.

    `runner` is who runs it: the machine (cpu, cuda; what "" stands for), or the interpreter of its kernels (interpret).
    `proof` is what is known of the numbers beyond types and declared ranges: kernels for bound weights rely on it.
    """

    spec: ConvSpec
    machine: Machine
    syntax: ast.Conv | None = None
    runner: str = ""
    proof: Proof = NOTHING
    seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.runner = self.runner or self.machine.kind

    def timed(self, name: str, make: Callable[[], T]) -> T:
        """The form, and how long its own stage took."""
        start = time.perf_counter()
        made = make()
        self.seconds[name] = time.perf_counter() - start
        return made

    @cached_property
    def schedule(self) -> Schedule:
        """Loops, kinds, stages, packing."""
        return self.timed("schedule", lambda: choose(self.spec, self.machine, self.proof))

    @cached_property
    def nests(self) -> tuple[Nest, ...]:
        """The nests in the order in which they run, after all passes."""
        schedule = self.schedule

        def make() -> tuple[Nest, ...]:
            kind = self.machine.kind
            nests = tuple(run_passes(n, phase, kind) for n, phase in nests_of(self.spec, schedule, self.machine))
            for nest in nests:
                check_limits(nest, self.machine)
            return nests

        return self.timed("nest", make)

    @cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """One for each nest, verified: what LLVM would die of never reaches it."""
        nests = self.nests

        def make() -> tuple[Kernel, ...]:
            kernels = tuple(kernel_of(n, self.machine) for n in nests)
            for kernel in kernels:
                verify(kernel, self.machine)
            return kernels

        return self.timed("kernel", make)

    @cached_property
    def program(self) -> Program:
        """What a call runs."""
        return program_of(self.spec, self.nests, self.kernels)

    @cached_property
    def llvm(self) -> str:
        """LLVM IR of all kernels."""
        kernels = self.kernels
        return self.timed("llvm", lambda: emit_module(kernels, self.machine))


def _blocks(items: tuple[object, ...]) -> str:
    return "\n\n".join(str(item).rstrip() for item in items) + "\n"


def _asm(c: Compilation) -> str:
    return assembly(with_tasks(c.llvm, c.program), code_target(c.machine))


def _sass(c: Compilation) -> str:
    return disassemble(assemble_ptx(ptx(c.llvm, c.machine), c.machine.llvm_cpu).image)


def code_target(machine: Machine) -> CodeTarget:
    """The machine as LLVM is told of it."""
    return CodeTarget(machine.llvm_cpu, machine.llvm_features)


@dataclass(frozen=True)
class Stage:
    """`text` makes what `dump` shows; `runners` are those that have the stage."""

    name: str
    text: Callable[[Compilation], str]
    runners: tuple[str, ...] = ("cpu", "cuda", "interpret")


STAGES: tuple[Stage, ...] = (
    Stage("ast", lambda c: (format_ast(c.syntax) if c.syntax else str(c.spec)) + "\n"),
    Stage("spec", lambda c: f"{c.spec}\n"),
    Stage("schedule", lambda c: f"{c.schedule}\n"),
    Stage("nest", lambda c: _blocks(c.nests)),
    Stage("kernel", lambda c: _blocks(c.kernels)),
    Stage("llvm", lambda c: c.llvm),
    Stage("asm", _asm, ("cpu",)),
    Stage("llvm_opt", lambda c: optimized(c.llvm, c.machine), ("cuda",)),
    Stage("ptx", lambda c: ptx(c.llvm, c.machine), ("cuda",)),
    Stage("sass", _sass, ("cuda",)),
)


def stage_texts(c: Compilation) -> dict[str, Callable[[], str]]:
    """The stages that this compilation has, each as a function that makes its text."""
    return {s.name: lambda s=s: s.text(c) for s in STAGES if c.runner in s.runners}  # type: ignore[misc]
