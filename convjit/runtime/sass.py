"""A cubin as the instructions that a GPU runs, by NVIDIA's disassembler."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from convjit.errors import InternalError, Unavailable

TOOLS = (("nvdisasm", "--print-code"), ("cuobjdump", "--dump-sass"))
"""Programs that can do it, and the option that makes them."""
TOOLKIT = Path("/usr/local/cuda/bin")


def disassemble(cubin: bytes, lines: bool = False) -> str:
    """The text; with `lines` what a cubin with a table of lines says of them, which nvdisasm alone shows. `Unavailable`
    where none of the programs is installed."""
    command = [*_command()]
    command += ["--print-line-info"] if lines and "--print-code" in command else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kernel.cubin")
        path.write_bytes(cubin)
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InternalError(f"`{shlex.join([*command, str(path)])}` failed:\n{done.stderr}")
    return done.stdout


def _command() -> tuple[str, str]:
    for name, option in TOOLS:
        found = next((place for place in _places(name) if Path(place).is_file()), None)
        if found:
            return found, option
    raise Unavailable.of(
        "The GPU's instructions cannot be shown here.",
        note="Neither nvdisasm nor cuobjdump is installed.",
        hint="Run `pip install nvidia-cuda-nvdisasm`.",
    )


def _places(name: str) -> Iterator[str]:
    """On the path, in the Python packages of the CUDA toolkit, and where the toolkit installs itself."""
    yield shutil.which(name) or ""
    packages = find_spec("nvidia")
    for folder in (packages.submodule_search_locations or ()) if packages else ():
        yield from map(str, sorted(Path(folder).glob(f"*/bin/{name}")))
    yield str(TOOLKIT / name)
