"""LLVM IR text whose instructions say on which line of it they stand.

The line numbers go through LLVM's passes and code generation as debug locations, so that of every instruction that comes
out it is known which line it was made from; one that was merged of several, or put in by the register allocator, has
none. Debug locations change no instruction, which whoever relies on that can check: the code without them is at hand.
"""

from __future__ import annotations

from collections.abc import Iterable

UNIT, FILE, VERSION, DWARF, TYPE, TYPES, FIRST = range(1, 8)
"""Numbers of metadata nodes; `!0` may be the module's own."""


def with_line_table(text: str, directives_only: bool) -> str:
    """The module with a location on every instruction of every function. `directives_only`: a GPU's, where no section
    of tables is wanted."""
    lines: list[str] = []
    nodes: list[str] = []
    free, scope, inside = FIRST, 0, False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("define "):
            scope, inside, free = free, True, free + 1
            nodes.append(f"!{scope} = {_function(scope, number)}")
            line = f"{line.removesuffix('{').rstrip()} !dbg !{scope} {{"
        elif line == "}":
            inside = False
        elif inside and line.startswith("  "):
            nodes.append(f"!{free} = !DILocation(line: {number}, column: 1, scope: !{scope})")
            line, free = f"{line}, !dbg !{free}", free + 1
        lines.append(line)
    return "\n".join([*lines, *_module(directives_only), *nodes, ""])


def _function(scope: int, line: int) -> str:
    flags = "spFlags: DISPFlagDefinition | DISPFlagOptimized"
    return f'distinct !DISubprogram(name: "{scope}", file: !{FILE}, line: {line}, type: !{TYPE}, unit: !{UNIT}, {flags})'


def _module(directives_only: bool) -> Iterable[str]:
    kind = "DebugDirectivesOnly" if directives_only else "LineTablesOnly"
    unit = f"language: DW_LANG_C99, file: !{FILE}, isOptimized: true, runtimeVersion: 0, emissionKind: {kind}"
    yield f"!llvm.dbg.cu = !{{!{UNIT}}}"
    yield f"!llvm.module.flags = !{{!{VERSION}, !{DWARF}}}"
    yield f"!{UNIT} = distinct !DICompileUnit({unit})"
    yield f'!{FILE} = !DIFile(filename: "kernel.ll", directory: "")'
    yield f'!{VERSION} = !{{i32 2, !"Debug Info Version", i32 3}}'
    yield f'!{DWARF} = !{{i32 2, !"Dwarf Version", i32 4}}'
    yield f"!{TYPE} = !DISubroutineType(types: !{TYPES})"
    yield f"!{TYPES} = !{{null}}"
