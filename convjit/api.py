"""`compile`: from text, a file or a spec to something that can be called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from convjit import machine as machines
from convjit.dsl import ast
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.pipeline import Compilation, code_target, stage_texts
from convjit.report import explain, profile
from convjit.runtime import cache
from convjit.runtime.assemble import VERSIONS, assemble, load
from convjit.runtime.compiled import CompiledConv
from convjit.runtime.detect import best_target
from convjit.runtime.tasks import task_symbols, with_tasks
from convjit.settings import settings
from convjit.source import Source
from convjit.spec.conv import ConvSpec
from convjit.spec.unsupported import refuse

VERSION = "0.1.0"


def compile(
    spec: str | os.PathLike[str] | ConvSpec | ast.Program, target: str | None = None, threads: int | None = None
) -> CompiledConv | Mapping[str, CompiledConv]:
    """Compile a convolution.

    `spec` is text of the language (it has a `{`), the path of a file, a `Conv` or a parsed `Program`. `target` wins
    over the spec's own, which wins over CONVJIT_TARGET; without any the best that this machine has is taken.
    One block gives a kernel, several give a mapping from name to kernel. Raises ConvError for the user's mistakes,
    Unavailable for what is not to be had here.
    """
    blocks = read(spec)
    kernels = {name: compile_one(s, syntax, target, threads) for name, (s, syntax) in blocks.items()}
    return next(iter(kernels.values())) if len(kernels) == 1 else kernels


def read(spec: str | os.PathLike[str] | ConvSpec | ast.Program) -> dict[str, tuple[ConvSpec, ast.Conv | None]]:
    """The specs by name, and the syntax that each was written in."""
    if isinstance(spec, ConvSpec):
        return {spec.name: (spec, None)}
    from convjit.dsl.parse import parse
    from convjit.spec.from_ast import lower

    program = spec if isinstance(spec, ast.Program) else parse(*text_of(spec))
    syntax = {c.name.text: c for c in program.convs()}
    return {name: (s, syntax.get(name)) for name, s in lower(program).items()}


def text_of(spec: str | os.PathLike[str]) -> tuple[str, str]:
    """Text and the name to show in errors. A string with a `{` is text, any other a path."""
    if isinstance(spec, str) and "{" in spec:
        return spec, "<text>"
    path = Path(spec)
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except FileNotFoundError:
        hint = "A program has a '{'; anything else is taken as the path of a file."
        raise ConvError.of(f"There is no file '{path}'.", hint=hint) from None
    except UnicodeDecodeError:
        raise ConvError.of(f"The file '{path}' is not text in UTF-8.") from None
    except OSError as error:
        raise ConvError.of(f"The file '{path}' cannot be read: {error.strerror}.") from None


def machine_for(spec: ConvSpec, target: str | None) -> Machine:
    """The machine to compile for."""
    name = target or spec.target or settings.target or "cpu"
    return machines.get(best_target(machines.MACHINES) if name == "cpu" else name)


def compile_one(spec: ConvSpec, syntax: ast.Conv | None, target: str | None, threads: int | None) -> CompiledConv:
    """One convolution, through all stages."""
    refuse(spec)
    machine = machine_for(spec, target)
    c = Compilation(spec, machine, syntax)
    image = object_of(c)
    library = c.timed("load", lambda: load(image, task_symbols(c.program)))
    if "profile" in settings.verbose:
        print(profile(c), file=sys.stderr)
    axes = {t.name: t.axes for t in spec.tensors}
    constants = tuple(t.name for t in spec.arguments if t.role in ("weight", "bias", "param"))
    return CompiledConv(
        c.program, library, threads=threads or spec.threads or settings.threads, spec=spec,
        stages=stage_texts(c), explanation=lambda: explain(c), axes=axes, constants=constants,
    )  # fmt: skip


def object_of(c: Compilation) -> bytes:
    """The object file: from the cache, or made now. Emission and code generation are skipped on a hit."""
    name = cache.key(VERSION, VERSIONS, c.machine, tuple(str(k) for k in c.kernels), c.program)

    def make() -> bytes:
        text = with_tasks(c.llvm, c.program)
        return c.timed("codegen", lambda: assemble(text, code_target(c.machine)))

    return cache.cached(name, make)


Compile = Callable[..., CompiledConv | Mapping[str, CompiledConv]]
__all__ = ["Source", "compile"]
