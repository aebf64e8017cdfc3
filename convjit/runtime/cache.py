"""Objects on disk, so that a kernel is compiled once per machine and not once per process.

An entry is machine code that will be executed: it is read only from a folder that belongs to the user and that nobody
else may write, and only where its checksum holds. Anything else is a miss. Entries are published by renaming, so that
a reader never sees half of one. A cache that cannot be used (a full disk, a read-only home) is no error.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from convjit.fingerprint import fingerprint
from convjit.runtime.assemble import VERSIONS
from convjit.settings import settings

FORMAT = 1
_MAGIC = b"convjit object 1\n"
_SUFFIX = ".obj"


@dataclass(frozen=True)
class CacheInfo:
    """What `convjit cache` shows. `problem` says why the folder is not used, and is empty where it is."""

    folder: Path
    entries: int
    bytes: int
    problem: str


def folder() -> Path:
    """The folder of the cache: CONVJIT_CACHE_DIR, or the user's cache folder of this system."""
    return Path(settings.cache_dir or platformdirs.user_cache_dir("convjit", appauthor=False))


def key(*values: object) -> str:
    """The name of an entry: what the code was made from, and by which versions of the tools."""
    return fingerprint(FORMAT, VERSIONS, *values)


def cached(name: str, make: Callable[[], bytes]) -> bytes:
    """The entry of that name (from `key`), made and stored where there is none."""
    data = get(name)
    if data is None:
        data = make()
        put(name, data)
    return data


def get(name: str) -> bytes | None:
    """The bytes of an entry, or None where there is none that can be trusted."""
    if _problem(folder()):
        return None
    try:
        content = _path(name).read_bytes()
    except OSError:
        return None
    head, data = content[: len(_MAGIC) + 32], content[len(_MAGIC) + 32 :]
    return data if head == _MAGIC + hashlib.sha256(name.encode() + data).digest() else None


def put(name: str, data: bytes) -> bool:
    """Store an entry; whether that was possible."""
    where = folder()
    if not settings.cache:
        return False
    try:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        if _problem(where):
            return False
        _publish(where, _path(name), _MAGIC + hashlib.sha256(name.encode() + data).digest() + data)
    except OSError:
        return False
    return True


def info() -> CacheInfo:
    """The folder, and how much is in it."""
    where = folder()
    sizes = [path.stat().st_size for path in _entries(where)]
    return CacheInfo(where, len(sizes), sum(sizes), _problem(where))


def clear() -> int:
    """Remove all entries, and nothing else in the folder; how many there were."""
    removed = 0
    for path in _entries(folder()):
        with contextlib.suppress(OSError):
            path.unlink()
            removed += 1
    return removed


def _path(name: str) -> Path:
    return folder() / f"{name}{_SUFFIX}"


def _entries(where: Path) -> Iterator[Path]:
    if where.is_dir():
        yield from sorted(path for path in where.glob(f"*{_SUFFIX}") if path.is_file())


def _publish(where: Path, path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=where, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _problem(where: Path) -> str:
    """Why code in this folder is not used, or nothing."""
    if not settings.cache:
        return "The cache is turned off (CONVJIT_CACHE=0)."
    try:
        status = where.stat()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"The folder {where} cannot be read: {error.strerror}."
    if not stat.S_ISDIR(status.st_mode):
        return f"{where} is not a folder."
    if status.st_uid != os.geteuid():
        return f"The folder {where} belongs to another user, and code from it is not run."
    if status.st_mode & stat.S_IWOTH:
        return f"Everybody may write into {where}, and code from it is not run: chmod o-w {where}"
    return ""
