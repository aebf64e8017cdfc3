"""`compile`: from text, a file or a spec to something that can be called."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from convjit.dsl import ast
from convjit.dsl.parse import parse, read_source
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.pipeline import Compilation
from convjit.report import profile
from convjit.runtime.checked import checked
from convjit.runtime.compiled import CompiledConv
from convjit.runtime.held import HeldConv
from convjit.settings import settings
from convjit.source import Source
from convjit.spec.arguments import vectors
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_source, lower
from convjit.spec.reference import reference as meaning
from convjit.spec.unsupported import refuse
from convjit.targets import CALLABLES, machine_of

Program = str | os.PathLike[str] | ConvSpec | ast.Program
Syntax = ast.Conv | None


def compile(
    spec: Program, target: str | None = None, threads: int | None = None, check: bool = False
) -> CompiledConv | Mapping[str, CompiledConv]:
    """Compile a convolution.

    `spec` is text of the language (it has a `{`), the path of a file, a `Conv` or a parsed `Program`. `target` wins
    over the spec's own, which wins over CONVJIT_TARGET; without any the best that this machine has is taken.
    One block gives a kernel, several give a mapping from name to kernel. `check`: every call verifies what tensors promise
    (`x : u8 in 0..127`); without it a broken promise gives a wrong sum, nothing worse. Raises ConvError for the user's mistakes,
    Unavailable for what is not to be had here.
    """
    blocks = read(spec)
    kernels = {name: compile_one(s, syntax, target, threads) for name, (s, syntax) in blocks.items()}
    if check:
        kernels = {name: checked(kernel) for name, kernel in kernels.items()}
    return next(iter(kernels.values())) if len(kernels) == 1 else kernels


def reference(spec: Program, *arrays: Any, **named: Any) -> NDArray[Any]:
    """The meaning of a convolution, in NumPy: float64, or exact integers (see `convjit.spec.reference`).

    `spec` is whatever `compile` takes, of one block. Raises ConvError for the user's mistakes.
    """
    return meaning(single(spec, "reference"), *arrays, **named)


def single(spec: Program, what: str) -> ConvSpec:
    """The spec of a program with one block."""
    blocks = read(spec)
    if len(blocks) != 1:
        text = f"The program has {len(blocks)} blocks; the {what} of one is wanted."
        raise ConvError.of(text, note=f"The blocks are {', '.join(blocks)}.", hint="Give the spec of one of them.")
    ((one, _),) = blocks.values()
    return one


def read(spec: Program) -> dict[str, tuple[ConvSpec, Syntax]]:
    """The specs by name, and the syntax that each was written in. `ConvError` with all mistakes of a text at once."""
    if isinstance(spec, ConvSpec):
        return {spec.name: (spec, None)}
    program = spec if isinstance(spec, ast.Program) else _parse(source_of(spec))
    syntax = {c.name.text: c for c in program.convs()}
    return {name: (s, syntax.get(name)) for name, s in lower(program).items()}


def _parse(source: Source) -> ast.Program:
    try:
        return parse(source.text, source.name)
    except ConvError:
        from_source(source)  # raises the mistakes of meaning beside those of syntax
        raise


def source_of(spec: str | os.PathLike[str]) -> Source:
    """The text of a program: a string with a `{` is the text itself, any other the path of a file."""
    if isinstance(spec, str) and "{" in spec:
        return Source(spec)
    path = os.fspath(spec)
    if not os.path.lexists(path):
        hint = "A program has a '{'; any other text is taken as the path of a file."
        raise ConvError.of(f"There is no file '{path}'.", hint=hint if isinstance(spec, str) else "")
    return read_source(path)


def machine_for(spec: ConvSpec, target: str | None) -> Machine:
    """The machine to compile for."""
    return machine_of(_target(spec, target))


def _target(spec: ConvSpec, target: str | None) -> str:
    return target or spec.target or settings.target or "cpu"


def compilation(spec: ConvSpec, syntax: Syntax = None, target: str | None = None) -> Compilation:
    """Every stage of one convolution, each made when it is asked for; nothing is loaded or run."""
    runner = "interpret" if _target(spec, target) == "interpret" else ""
    return Compilation(spec, machine_for(spec, target), syntax, runner)


def compile_one(spec: ConvSpec, syntax: Syntax, target: str | None, threads: int | None) -> CompiledConv:
    """One convolution, through all stages."""
    refuse(spec)
    return finish(compilation(spec, syntax, target), threads)


def finish(c: Compilation, threads: int | None) -> CompiledConv:
    """The compilation as something that can be called."""
    kernel = CALLABLES[c.runner](c, threads)
    held = vectors(c.spec)
    if held:
        kernel = HeldConv(kernel, held)
    if "profile" in settings.verbose:
        print(profile(c), file=sys.stderr)
    return kernel
