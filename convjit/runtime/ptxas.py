"""PTX to a cubin without a GPU or driver, by nvJitLink, and the resources that it reports.

Needs the packages `cuda-bindings` and `nvidia-nvjitlink`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from convjit.errors import InternalError, Unavailable

_FUNCTION = re.compile(r"Compiling entry function '([^']+)'(.*?)(?=Compiling entry function|\Z)", re.DOTALL)
_FIGURES = {
    "registers": re.compile(r"Used (\d+) registers"),
    "stack": re.compile(r"(\d+) bytes stack frame"),
    "spill_stores": re.compile(r"(\d+) bytes spill stores"),
    "spill_loads": re.compile(r"(\d+) bytes spill loads"),
    "shared": re.compile(r"(\d+) bytes smem"),
}


@dataclass(frozen=True)
class Usage:
    """What one thread of a kernel needs: registers, bytes of stack and of spills; and the block's static shared bytes
    (what is asked for at the launch is not among them)."""

    name: str
    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int


@dataclass(frozen=True)
class Cubin:
    """Code for one architecture, the usage of each kernel in it, and the assembler's own words."""

    image: bytes
    kernels: tuple[Usage, ...]
    log: str


def assemble_ptx(ptx: str, architecture: str, lines: bool = False) -> Cubin:
    """The cubin of PTX text for an architecture such as "sm_90a"; with `lines` it keeps the table of lines that the text has.

    `Unavailable` where the packages are missing, `InternalError` with the assembler's message where it refuses.
    """
    nvjitlink = _nvjitlink()
    options = ["-lineinfo"] if lines else []
    handle = nvjitlink.create(2 + len(options), [f"-arch={architecture}", "-verbose", *options])
    try:
        data = ptx.encode() + b"\0"
        try:
            nvjitlink.add_data(handle, nvjitlink.InputType.PTX, data, len(data), "convjit")
            nvjitlink.complete(handle)
        except nvjitlink.nvJitLinkError as error:
            message = _log(nvjitlink.get_error_log_size, nvjitlink.get_error_log, handle) or str(error)
            raise InternalError(f"PTX does not assemble for {architecture}: {message}\n--- PTX ---\n{ptx}") from None
        log = _log(nvjitlink.get_info_log_size, nvjitlink.get_info_log, handle)
        image = bytearray(nvjitlink.get_linked_cubin_size(handle))
        nvjitlink.get_linked_cubin(handle, image)
    finally:
        nvjitlink.destroy(handle)
    return Cubin(bytes(image), usages(log), log)


def usages(log: str) -> tuple[Usage, ...]:
    """The figures in the assembler's words, kernel by kernel; what it doesn't mention is 0."""
    return tuple(Usage(name, **_figures(words)) for name, words in _FUNCTION.findall(log))


def _figures(words: str) -> dict[str, int]:
    found = {key: pattern.search(words) for key, pattern in _FIGURES.items()}
    return {key: int(match[1]) if match else 0 for key, match in found.items()}


def _nvjitlink() -> ModuleType:
    try:
        nvjitlink = import_module("cuda.bindings.nvjitlink")
        nvjitlink.version()  # loads the library
    except (ImportError, OSError, RuntimeError) as error:
        raise Unavailable.of(
            "Assembling PTX without a GPU is not to be had here.",
            note=f"nvJitLink could not be loaded: {error}",
            hint="Run `pip install cuda-bindings nvidia-nvjitlink`.",
        ) from None
    return nvjitlink


def _log(size: Callable[[int], int], read: Callable[[int, bytearray], None], handle: int) -> str:
    text = bytearray(size(handle))
    read(handle, text)
    return text.rstrip(b"\0 \n").decode(errors="replace")
