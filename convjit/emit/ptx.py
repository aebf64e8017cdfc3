"""LLVM IR text to PTX, through LLVM's NVPTX back end.

The back end ends the process where it cannot select an instruction, and turns an unknown `llvm.nvvm` name into a call
of a function that nobody has. So the text may use nothing but the functions listed here.

Pointers to shared memory have 64 bits here. LLVM's `--nvptx-short-ptr` would make them 32, but belongs to the whole
process; the assembler finds out by itself that the upper half isn't needed (an 8x8 register tile took 127 registers
and 13,600 bytes of code without the option, 126 and 13,600 with it).
"""

from __future__ import annotations

import re
from functools import lru_cache

import llvmlite.binding as llvm

from convjit.emit.passes import PASSES, Passes
from convjit.errors import InternalError
from convjit.machine import Machine

TRIPLE = "nvptx64-nvidia-cuda"
NEWEST_PTX = 90
"""LLVM 22 writes up to PTX 9.0; a later version would end the process."""

USABLE: dict[str, tuple[int, int]] = {
    "llvm.nvvm.read.ptx.sreg.tid.x": (0, 0),
    "llvm.nvvm.read.ptx.sreg.ctaid.x": (0, 0),
    "llvm.nvvm.barrier.cta.sync.aligned.all": (70, 60),
    "llvm.nvvm.prefetch.global.L2": (90, 80),
    **{
        f"llvm.nvvm.cp.async.{cache}.shared.global.{size}{fill}": (80, 70)
        for cache, size in (("ca", 4), ("ca", 8), ("cg", 16))
        for fill in ("", ".s")
    },
    "llvm.nvvm.cp.async.commit.group": (80, 70),
    "llvm.nvvm.cp.async.wait.group": (80, 70),
    **{f"llvm.nvvm.idp4a.{a}.{b}": (61, 50) for a in "su" for b in "su"},
}
"""NVPTX functions with the least sm and PTX version."""
PLAIN = re.compile(r"llvm\.(?:(?:fma|fabs|sqrt|rint)\.(?:v\d+)?f(?:32|64)|abs\.(?:v\d+)?i(?:8|16|32|64))")
"""Functions of any target that NVPTX has instructions for."""

_CALLED = re.compile(r"@(llvm\.[\w.]+)")


def ptx(text: str, machine: Machine) -> str:
    """The PTX of a module, in the lowest version that what it uses can be written in.

    `InternalError`, with the IR attached, for what LLVM would not take.
    """
    module, target = _optimized(text, machine)
    return str(target.emit_assembly(module))


def optimized(text: str, machine: Machine) -> str:
    """The module after LLVM's passes, just before its back end."""
    module, _ = _optimized(text, machine)
    return str(module)


def _optimized(text: str, machine: Machine) -> tuple[llvm.ModuleRef, llvm.TargetMachine]:
    context = llvm.create_context()
    target = _target(machine.llvm_cpu, ptx_version(text, machine))
    try:
        module = llvm.parse_assembly(text, context)
        module.verify()
    except RuntimeError as error:
        raise _refused(str(error), text) from None
    module.triple, module.data_layout = TRIPLE, str(target.target_data)
    _optimize(module, target, PASSES[machine.kind])
    return module, target


def ptx_version(text: str, machine: Machine) -> int:
    """The lowest PTX version (86 for 8.6) for the machine and the functions that the text calls.

    `InternalError` for a function that is not listed or that the machine is too old for.
    """
    version = machine.ptx
    for name in sorted(set(_CALLED.findall(text))):
        if PLAIN.fullmatch(name):
            continue
        if name not in USABLE:
            raise _refused(f"'{name}' is not among the functions that GPU code may use", text)
        sm, least = USABLE[name]
        if sm > machine.sm:
            raise _refused(f"'{name}' needs sm_{sm}, the machine is {machine.name}", text)
        version = max(version, least)
    if version > NEWEST_PTX:
        raise _refused(f"PTX {version} is newer than {NEWEST_PTX}, the newest that LLVM writes", text)
    return version


def _target(cpu: str, version: int) -> llvm.TargetMachine:
    _initialize()
    return llvm.Target.from_triple(TRIPLE).create_target_machine(cpu=cpu, features=f"+ptx{version}", opt=3)


@lru_cache(maxsize=1)
def _initialize() -> None:
    """Every call into LLVM takes llvmlite's lock, and a second registration changes nothing."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()


def _optimize(module: llvm.ModuleRef, target: llvm.TargetMachine, passes: Passes) -> None:
    tuning = llvm.create_pipeline_tuning_options(speed_level=passes.level)
    tuning.loop_unrolling = passes.unroll
    tuning.loop_vectorization = tuning.slp_vectorization = passes.vectorize
    builder = llvm.create_pass_builder(target, tuning)
    builder.getModulePassManager().run(module, builder)


def _refused(reason: str, text: str) -> InternalError:
    return InternalError(f"LLVM cannot take this module: {reason}\n--- the module ---\n{text}")
