"""Names of loaded kernels for Linux `perf`, and the function symbols of an object file."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

_SYMTAB = 2
_FUNCTION = 2
_GLOBAL = 1


def functions(image: bytes) -> dict[str, int]:
    """Global functions that an ELF64 object defines, and their bytes.

    Section and symbol layouts: System V ABI, "Object Files".
    """
    (table,) = struct.unpack_from("<Q", image, 0x28)
    entry_bytes, count = struct.unpack_from("<HH", image, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, table + i * entry_bytes) for i in range(count)]
    found = {}
    for _, kind, _, _, offset, size, link, *_ in sections:
        if kind != _SYMTAB:
            continue
        names = sections[link][4]
        for at in range(offset, offset + size, 24):
            name, info, _, section, _, code_bytes = struct.unpack_from("<IBBHQQ", image, at)
            if info == _GLOBAL << 4 | _FUNCTION and section != 0:
                end = image.index(b"\0", names + name)
                found[image[names + name : end].decode()] = code_bytes
    return found


def write_map(addresses: Mapping[str, int], sizes: Mapping[str, int], folder: Path = Path("/tmp")) -> None:
    """Append lines to perf-PID.map, where `perf report` looks for the names of generated code."""
    lines = [f"{addresses[name]:x} {size:x} {name}\n" for name, size in sizes.items() if name in addresses]
    path = folder / f"perf-{os.getpid()}.map"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w") as file:
        file.writelines(lines)
