"""The page of `convjit report`: all texts of a compilation, linked, with what was chosen and why, sizes and times."""

from __future__ import annotations

from collections.abc import Sequence

import convjit
from convjit.explanation import explain
from convjit.pipeline import Compilation, code_target
from convjit.runtime.assemble import VERSIONS, assemble
from convjit.runtime.tasks import with_tasks
from convjit.study.linked import Form, Linked
from convjit.study.linked_forms import linked
from convjit.study.page import Code, Facts, Page, Section, Table, Text
from convjit.study.workbench import SCRIPT, STYLE, Workbench

LEAD = (
    "Every form of the convolution on its way from the program to what the machine runs: the schedule, the nests of loops, the "
    "kernels, LLVM IR, and instructions. Each is the text that `convjit dump` prints."
)
HOW = (
    "How the texts are linked. Statements of the nests are the hub. Loops and stages of the schedule are found by the names that "
    "the nests' loops and buffers carry. Each op of a kernel knows the statement that it was written for; an address that is "
    "computed once in each turn of a loop belongs to that loop, a value that several statements share to the first of them. A line "
    "of LLVM IR belongs to its op.\n\n"
    "Instructions are followed by debug locations through LLVM's passes and code generation. The code was made twice, with them "
    "and without, and is linked only where the instructions are the same ones. {sass}What has no location is not linked: copies "
    "between registers, spills, what a function does when it begins and ends, and instructions that LLVM merged of several. "
    "Labels and directives are no instructions."
)
SASS = (
    "For SASS NVIDIA's own table of lines is read, in which an instruction without a place stands under the one before it; there "
    "a link may be one instruction off. "
)
TIMES = {
    "asm": "Time: code generation by LLVM.",
    "llvm_opt": "Time: LLVM's passes.",
    "ptx": "Time: the passes again, and code generation.",
    "sass": "Time: all that, and NVIDIA's assembler.",
}


def page(compilations: Sequence[Compilation], command: str) -> Page:
    """A section for every compilation. `command` repeats the page. Raises what compiling raises."""
    names = ", ".join(c.spec.name for c in compilations)
    machine = compilations[0].machine.name
    sections = [Section(c.spec.name, _items(c)) for c in compilations]
    about = Section("About this page", [Text(_how(compilations)), Facts(_versions()), Code(command, "To repeat it:")])
    return Page(f"{names} on {machine}", LEAD, [*sections, about], STYLE, SCRIPT)


def _items(c: Compilation) -> list[Workbench | Table | Code]:
    texts = linked(c)
    return [
        Workbench(texts),
        _table(c, texts),
        Code(explain(c), "What was chosen and why (`convjit explain`); traffic is modelled, as the nests say."),
        Code(f"{c.spec}", "The program with all sizes known", folded=True),
    ]


def _table(c: Compilation, texts: Linked) -> Table:
    rows = [_row(c, form) for form in texts.forms]
    if c.machine.kind == "cpu":
        size = len(assemble(with_tasks(c.llvm, c.program), code_target(c.machine)))
        rows.append(("Object file", None, None, size, None, "What is loaded and cached."))
    header = ("text", "lines", "linked lines", "bytes", "time (ms)", "remark")
    note = "Times were measured once, while this page was made: with what a first call does besides."
    return Table(header, rows, "Sizes, and the time of each stage", note)


def _row(c: Compilation, form: Form) -> tuple[object, ...]:
    seconds = c.seconds.get(form.name)
    time = None if seconds is None else f"{1e3 * seconds:.1f}"
    lines = len(form.lines) or None
    return form.title, lines, form.linked if lines else None, len(form.text.encode()) or None, time, TIMES.get(form.name, "")


def _how(compilations: Sequence[Compilation]) -> str:
    return HOW.format(sass=SASS if any(c.machine.kind == "cuda" for c in compilations) else "")


def _versions() -> list[tuple[str, object]]:
    return [("convjit", convjit.__version__), ("code generation", VERSIONS)]
