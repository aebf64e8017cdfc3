"""LLVM IR text to an object, to assembly text, and an object to code in this process.

The emitter says exactly what it wants, so no IR passes run; code generation is at level 3. While our own code is
generated, and only then, loop strength reduction is off and instructions are scheduled from the top (see `OPTIONS`).
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

import llvmlite
import llvmlite.binding as llvm
from llvmlite.binding.ffi import lib as _llvm_library

from convjit.errors import InternalError
from convjit.runtime import perf
from convjit.settings import settings

OPTIONS_KNOWN_TO = 22
"""The newest LLVM on which `OPTIONS` were tried: an unknown option would end the process."""

OPTIONS: tuple[tuple[str, str], ...] = (
    ("-disable-lsr=true", "-disable-lsr=false"),
    ("-misched-prera-direction=topdown", "-misched-prera-direction=bottomup"),
)
"""LLVM's options while our code is generated, and what they are otherwise (x86 schedules from the bottom by default).

From the top the order of the kernel is kept: a broadcast stands beside its products. From the bottom it moves up while
the one before it still lives, and a tile that fills the registers exactly (4x3 accumulators and 4 operands of AVX2's 16)
is shuffled through them in every turn, at half the speed.
"""

VERSIONS = f"llvmlite {llvmlite.__version__} LLVM {'.'.join(map(str, llvm.llvm_version_info))}"
"""What the bytes of an object depend on besides the text and the target."""


@dataclass(frozen=True)
class CodeTarget:
    """A processor as LLVM names it: `CodeTarget("haswell", "+avx2,+fma")`."""

    cpu: str
    features: str = ""

    @property
    def enabled(self) -> frozenset[str]:
        """The features that are switched on by name."""
        return frozenset(f[1:] for f in self.features.split(",") if f.startswith("+"))


class Library:
    """Code loaded into this process, with a linker of its own. The addresses hold while this object lives."""

    def __init__(self, jit: llvm.LLJIT, tracker: llvm.ResourceTracker, symbols: Mapping[str, int]) -> None:
        self.symbols = MappingProxyType(dict(symbols))
        self._unload = weakref.finalize(self, _close, tracker, jit)
        self._unload.atexit = False

    def address(self, symbol: str) -> int:
        """The address of an exported symbol."""
        return self.symbols[symbol]

    def make_immortal(self) -> None:
        """Never unload: for code that worker threads and fork handlers stand in until the process ends."""
        closing = self._unload.detach()
        if closing is not None:
            for part in closing[2]:
                part.detach()


def assemble(text: str, target: CodeTarget) -> bytes:
    """The object file (ELF) of a module. `InternalError`, with the IR attached, where LLVM refuses the text."""
    with _module(text, target) as (module, machine), _our_options():
        return bytes(machine.emit_object(module))


def assembly(text: str, target: CodeTarget) -> str:
    """The assembly text of a module, the same code as `assemble` makes."""
    with _module(text, target) as (module, machine), _our_options():
        return str(machine.emit_assembly(module))


@contextmanager
def no_borrowed_lines() -> Iterator[bool]:
    """While it is open an instruction without a line is said to be without one, where LLVM would let it stand under the
    line of the one before it. False where this LLVM is newer than those whose options are known."""
    if llvm.llvm_version_info[0] > OPTIONS_KNOWN_TO:
        yield False
        return
    with _llvm_library._lock._lock:
        llvm.set_option("convjit", "-use-unknown-locations=Enable")
        try:
            yield True
        finally:
            llvm.set_option("convjit", "-use-unknown-locations=Default")


def load(image: bytes, exports: Iterable[str], imports: Mapping[str, int] | None = None) -> Library:
    """Link an object into this process.

    `imports` are addresses of symbols that the object uses; what is not among them is looked up in the process. With
    CONVJIT_PERF_MAP=1 all functions of the object get their names in `perf`.
    `InternalError` where the object cannot be linked.
    """
    builder = llvm.JITLibraryBuilder().add_object_img(image).add_current_process()
    sizes = perf.functions(image) if settings.perf_map else {}
    names = list(dict.fromkeys((*exports, *sizes)))
    for name in names:
        builder.export_symbol(name)
    for name, address in (imports or {}).items():
        builder.import_symbol(name, address)
    jit = llvm.create_lljit_compiler(_machine(CodeTarget("x86-64")), use_jit_link=True)
    try:
        tracker = builder.link(jit, "convjit")
    except RuntimeError as error:
        raise InternalError(f"LLVM cannot link an object of {len(image)} bytes: {error}") from None
    library = Library(jit, tracker, {name: tracker[name] for name in names})
    if sizes:
        perf.write_map(library.symbols, sizes)
    return library


def _close(*parts: llvm.ObjectRef) -> None:
    for part in parts:
        part.close()


@lru_cache(maxsize=1)
def _triple() -> str:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return str(llvm.get_process_triple())


def _machine(target: CodeTarget) -> llvm.TargetMachine:
    return llvm.Target.from_triple(_triple()).create_target_machine(
        cpu=target.cpu, features=target.features, opt=3, reloc="pic", codemodel="small"
    )


@contextmanager
def _module(text: str, target: CodeTarget) -> Iterator[tuple[llvm.ModuleRef, llvm.TargetMachine]]:
    """The parsed and verified module, in a context of its own: nothing of it stays behind."""
    refuse_deadly(text, target)
    with llvm.create_context() as context, _parsed(text, context) as module, _machine(target) as machine:
        module.triple, module.data_layout = _triple(), str(machine.target_data)
        yield module, machine


def _parsed(text: str, context: llvm.ContextRef) -> llvm.ModuleRef:
    try:
        module = llvm.parse_assembly(text, context)
    except RuntimeError as error:
        raise _refused(str(error), text) from None
    try:
        module.verify()
    except RuntimeError as error:
        module.close()  # before its context is
        raise _refused(str(error), text) from None
    return module


@contextmanager
def _our_options() -> Iterator[None]:
    """`OPTIONS`, for our own code only.

    An option belongs to the whole process, and other libraries generate code through llvmlite too. Every call into
    llvmlite takes llvmlite's one lock, so while we hold it nobody else can generate code; before it is released the
    options are back at their defaults.
    """
    if llvm.llvm_version_info[0] > OPTIONS_KNOWN_TO:
        yield
        return
    with _llvm_library._lock._lock:
        for ours, _ in OPTIONS:
            llvm.set_option("convjit", ours)
        try:
            yield
        finally:
            for _, default in OPTIONS:
                llvm.set_option("convjit", default)


_INLINE_ASM = re.compile(r'^\s*module asm\b|\basm\s+(?:sideeffect|alignstack|inteldialect|unwind|")', re.MULTILINE)
_SUBTARGET = re.compile(r'"target-(?:cpu|features)"')
_MACHINE_INTRINSIC = re.compile(r"@llvm\.((?:x86|nvvm|aarch64|arm|amdgcn|ppc|wasm|riscv)\.[\w.]+)")
_NEEDS: tuple[tuple[str, tuple[frozenset[str], ...]], ...] = tuple(
    (prefix, tuple(frozenset(option.split()) for option in options))
    for prefix, options in (
        ("x86.avx512bf16.", ("avx512bf16 avx512vl",)),
        ("x86.avx512.vpdp", ("avx512vnni avx512vl", "avxvnni")),
        ("x86.avx512.pmadd", ("avx512bw",)),
        ("x86.avx512.pack", ("avx512bw",)),
        ("x86.avx512.psad", ("avx512bw",)),
        ("x86.avx512.pshuf", ("avx512bw",)),
        ("x86.avx512.pmul.hr", ("avx512bw",)),
        ("x86.avx512.pmulhu", ("avx512bw",)),
        ("x86.avx512.", ("avx512f",)),
        ("x86.avx2.", ("avx2",)),
        ("x86.avx.", ("avx",)),
        ("x86.vcvtph2ps", ("f16c",)),
        ("x86.vcvtps2ph", ("f16c",)),
        ("x86.ssse3.", ("ssse3", "avx")),
        ("x86.sse41.", ("sse4.1", "avx")),
        ("x86.sse2.", ("",)),
        ("x86.sse.", ("",)),
    )
)


def refuse_deadly(text: str, target: CodeTarget) -> None:
    """`InternalError` for what would make LLVM end the process instead of reporting an error.

    These are machine intrinsics that the target lacks ("Cannot select"), inline assembly that does not assemble, and
    functions that name another processor. 512-bit forms need AVX-512 also where a 256-bit form is in AVX-VNNI.
    """
    if "asm" in text and _INLINE_ASM.search(text):  # looking for the word first takes a hundredth of the time
        raise _refused("inline assembly is not used on the CPU: a mistake in it ends the process", text)
    if _SUBTARGET.search(text):
        raise _refused("a function names its own processor; the target is given to 'assemble'", text)
    for name in sorted(set(_MACHINE_INTRINSIC.findall(text))):
        options = next((needs for prefix, needs in _NEEDS if name.startswith(prefix)), None)
        if options is None:
            raise _refused(f"'llvm.{name}' is not among the intrinsics that the CPU's code may use", text)
        usable = [o for o in options if o <= target.enabled and not (name.endswith("512") and "avxvnni" in o)]
        if not usable:
            wanted = " or ".join(" ".join(sorted(option)) for option in options)
            raise _refused(f"'llvm.{name}' needs {wanted}; the target has '{target.features}'", text)


def _refused(reason: str, text: str) -> InternalError:
    return InternalError(f"LLVM cannot take this module: {reason}\n--- the module ---\n{text}")
