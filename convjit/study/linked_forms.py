"""All texts of a compilation, linked.

Statements of the nest are the hub. A schedule's loops and stages are found by the names of the nest's loops and buffers
(`linked_names`); ops of the kernel carry the statement that they were written for, lines of LLVM IR that of their op;
machine code is followed by debug locations (`runtime.code_lines`), which point to lines of LLVM IR.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from convjit.emit.llvm import emit_lines
from convjit.emit.ptx import optimized, ptx
from convjit.kernel.from_nest import lower
from convjit.kernel.ir import Kernel
from convjit.kernel.text import origins
from convjit.nest.from_schedule import nests as nests_of
from convjit.nest.ir import Nest
from convjit.nest.numbers import distinct, numbers, statements
from convjit.nest.text import SEPARATOR, heads_of, show_head
from convjit.pipeline import Compilation, code_target
from convjit.runtime.assemble import assembly
from convjit.runtime.code_lines import Lines, assembly_lines, optimized_lines, ptx_lines, sass_lines, sass_of
from convjit.runtime.tasks import with_tasks
from convjit.study.linked import Form, Line, Linked, Piece, Thing, plain
from convjit.study.linked_names import Key, Names
from convjit.study.linked_schedule import Known, program_lines, schedule_lines

UNEQUAL = "Not linked: the instructions with debug locations are not the same as those without."


def linked(c: Compilation) -> Linked:
    """Everything. Raises what the stages raise: ConvError and Unavailable for what cannot be compiled."""
    known = Known()
    schedule = Form("schedule", "Schedule", schedule_lines(c.schedule, known))
    named = program_lines(c.syntax, str(c.spec), known, dict(c.spec.places).get("dataflow"))
    program = Form("program", "Program", named)
    nests = tuple(map(distinct, c.nests))
    numbered = _numbered(nests)
    found = _things(c, nests, numbered)
    things = tuple(Thing(name, tuple(found[key])) for key, name in zip(known.keys, known.labels, strict=True))
    nest = Form("nest", "Nests", tuple(line for n in nests for line in (*_nest(n, numbered), ()))[:-1])
    return Linked((program, schedule, nest, *_lowered(c, nests, numbered)), things, _ends(nests))


def _numbered(nests: tuple[Nest, ...]) -> dict[int, int]:
    found: dict[int, int] = {}
    for nest in nests:
        found |= numbers(nest, len(found) + 1)
    return found


def _ends(nests: tuple[Nest, ...]) -> tuple[int, ...]:
    ends = [0]
    for nest in nests:
        for stmt in statements(nest.body):
            ends.append(len(ends) + sum(1 for _ in statements(getattr(stmt, "body", ()))))
    return tuple(ends)


def _things(c: Compilation, nests: tuple[Nest, ...], numbered: dict[int, int]) -> dict[Key, list[int]]:
    """The statements that come from each thing of the schedule."""
    found: dict[Key, list[int]] = defaultdict(list)
    phases = [phase for _, phase in nests_of(c.spec, c.schedule, c.machine)]
    for nest, phase in zip(nests, phases, strict=True):
        names = Names(phase, c.schedule.phases.index(phase), c.spec.output.name)
        for stmt in statements(nest.body):
            for key in dict.fromkeys(names.keys(nest, stmt)):
                found[key].append(numbered[id(stmt)])
    return found


def _nest(nest: Nest, numbered: dict[int, int]) -> list[Line]:
    lines: list[Line] = [(Piece(line),) for line in show_head(nest)]
    for indent, heads in heads_of(nest.body, 1):
        pieces = [Piece(indent)]
        for i, (text, stmt) in enumerate(heads):
            pieces += [Piece(SEPARATOR)] * bool(i) + [Piece(text, numbered[id(stmt)])]
        lines.append(tuple(pieces))
    return lines


def _lowered(c: Compilation, nests: tuple[Nest, ...], numbered: dict[int, int]) -> list[Form]:
    """Kernel, LLVM IR, and what the machine runs."""
    kernels = tuple(lower(nest, c.machine, numbered) for nest in nests)
    if [str(k) for k in kernels] != [str(k) for k in c.kernels]:
        note = "Not linked: the kernel that was written with numbers is not the same as the one without."
        kernels = c.kernels
    else:
        note = ""
    text, lines = emit_lines(kernels, c.machine)
    llvm = dict(enumerate(lines))
    kernel = tuple(line for k in kernels for line in (*_kernel(k), ()))[:-1]
    forms = [Form("kernel", "Kernel IR", kernel, note), Form("llvm", "LLVM IR", plain(text, llvm), note)]
    return forms + [_coded(c, llvm, *code) for code in CODES[c.machine.kind]]


def _kernel(kernel: Kernel) -> list[Line]:
    return [(Piece(line, n),) for line, n in zip(str(kernel).split("\n"), origins(kernel), strict=True)]


Code = tuple[str, str, Callable[[Compilation], str], Callable[[str, Compilation], Lines]]
"""Of a text of instructions: its name, its title, what makes it, and the lines of LLVM IR that its lines come from."""


def _coded(
    c: Compilation, llvm: dict[int, int], name: str, title: str, make: Callable[[Compilation], str],
    follow: Callable[[str, Compilation], Lines],
) -> Form:  # fmt: skip
    text = c.timed(name, lambda: make(c))
    if not text:
        return Form(name, title, (), "Not shown: `pip install nvidia-cuda-nvdisasm nvidia-nvjitlink cuda-bindings` brings it.")
    lines = follow(text, c)
    return Form(name, title, plain(text, {n: llvm.get(line, 0) for n, line in lines.items()}), "" if lines else UNEQUAL)


def _module(c: Compilation) -> str:
    return with_tasks(c.llvm, c.program)


CODES: dict[str, tuple[Code, ...]] = {
    "cpu": (
        (
            "asm", "Assembly",
            lambda c: assembly(_module(c), code_target(c.machine)),
            lambda text, c: assembly_lines(text, _module(c), code_target(c.machine)),
        ),
    ),
    "cuda": (
        (
            "llvm_opt", "LLVM IR after LLVM's passes",
            lambda c: optimized(c.llvm, c.machine),
            lambda text, c: optimized_lines(text, c.llvm, c.machine),
        ),
        ("ptx", "PTX", lambda c: ptx(c.llvm, c.machine), lambda text, c: ptx_lines(text, c.llvm, c.machine)),
        (
            "sass", "SASS (what the GPU runs)",
            lambda c: sass_of(ptx(c.llvm, c.machine), c.machine),
            lambda text, c: sass_lines(text, c.llvm, c.machine),
        ),
    ),
}  # fmt: skip
