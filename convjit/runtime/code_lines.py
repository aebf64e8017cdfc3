"""Which line of LLVM IR each line of assembly, PTX or SASS was made from.

The module is compiled a second time with debug locations (`emit.line_table`). The text that is shown is the usual one;
the other's instructions must be the same ones in the same order, else nothing is said of any of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from convjit.emit.line_table import with_line_table
from convjit.emit.ptx import optimized, ptx
from convjit.errors import Unavailable
from convjit.machine import Machine
from convjit.runtime.assemble import CodeTarget, assembly, no_borrowed_lines
from convjit.runtime.ptxas import assemble_ptx
from convjit.runtime.sass import disassemble

Lines = dict[int, int]
"""From lines of a text to lines of LLVM IR, both from 0."""
Instruction = tuple[int, str]
"""The number of its line, and what it says."""

_LOC = re.compile(r"\s*\.loc\s+\d+\s+(\d+)")
_SASS = re.compile(r"\s*/\*[0-9a-f]{4,}\*/\s+(.*?;)")
_SASS_LINE = re.compile(r'\s*//## File "[^"]*", line (\d+)')
_DEBUG = re.compile(r",? !dbg !(\d+)")
_LOCATION = re.compile(r"^!(\d+) = !DILocation\(line: (\d+),", re.MULTILINE)


def assembly_lines(shown: str, module: str, target: CodeTarget) -> Lines:
    """Of x86 assembly, which `assembly` made of the module."""
    return _of_directives(shown, lambda: assembly(with_line_table(module, False), target))


def ptx_lines(shown: str, module: str, machine: Machine) -> Lines:
    """Of PTX, which `ptx` made of the module."""
    return _of_directives(shown, lambda: ptx(with_line_table(module, True), machine))


def optimized_lines(shown: str, module: str, machine: Machine) -> Lines:
    """Of LLVM IR after LLVM's passes, which `optimized` made of the module."""
    text = optimized(with_line_table(module, True), machine)
    places = {number: int(line) - 1 for number, line in _LOCATION.findall(text)}
    made = text.split("\n")
    lines = [places.get(m[1], -1) if (m := _DEBUG.search(line)) else -1 for line in made]
    return _paired(_ir(shown.split("\n")), _ir(made), lines)


def sass_lines(shown: str, module: str, machine: Machine) -> Lines:
    """Of SASS, from NVIDIA's table of lines: an instruction that has none of its own stands under the line before it."""
    with no_borrowed_lines() as sure:
        text = ptx(with_line_table(module, True), machine) if sure else ""
    if not text:
        return {}
    made = disassemble(assemble_ptx(text, machine.llvm_cpu, lines=True).image, lines=True).split("\n")
    return _paired(_sass(shown.split("\n")), _sass(made), _marked(made, _SASS_LINE))


def sass_of(text: str, machine: Machine) -> str:
    """The instructions that a GPU of this kind runs for PTX; "" where the tools that say so are not installed."""
    try:
        return disassemble(assemble_ptx(text, machine.llvm_cpu).image)
    except Unavailable:
        return ""


def _of_directives(shown: str, make: Callable[[], str]) -> Lines:
    with no_borrowed_lines() as sure:
        made = make().split("\n") if sure else []
    return _paired(_instructions(shown.split("\n")), _instructions(made), _marked(made, _LOC))


def _marked(lines: list[str], mark: re.Pattern[str]) -> list[int]:
    """For every line what the last mark before it says, counted from 0; -1 for none."""
    found, now = [], -1
    for line in lines:
        if m := mark.match(line):
            now = int(m[1]) - 1
        elif line and not line[0].isspace() and mark is _SASS_LINE:
            now = -1  # the next function
        found.append(now)
    return found


def _instructions(lines: list[str]) -> list[Instruction]:
    """Those of an assembly text, without comments; directives and labels are none."""
    found = []
    for number, line in enumerate(lines):
        if line.startswith("\t") and not line.startswith(("\t.", "\t#", "\t//")):
            found.append((number, re.split(r"\s+(?:#|//)", line, maxsplit=1)[0].strip()))
    return found


def _sass(lines: list[str]) -> list[Instruction]:
    return [(number, m[1]) for number, line in enumerate(lines) if (m := _SASS.match(line))]


def _ir(lines: list[str]) -> list[Instruction]:
    """Those of LLVM IR; nodes of metadata have other numbers beside debug locations."""
    return [(n, re.sub(r"!\d+", "!", _DEBUG.sub("", line))) for n, line in enumerate(lines) if line.startswith("  ")]


def _paired(shown: list[Instruction], made: list[Instruction], lines: list[int]) -> Lines:
    """The lines of `made`, by the numbers of `shown`; none where the instructions differ."""
    if [text for _, text in shown] != [text for _, text in made]:
        return {}
    return {a: lines[b] for (a, _), (b, _) in zip(shown, made, strict=True) if lines[b] >= 0}
