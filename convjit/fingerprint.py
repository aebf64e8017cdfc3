"""A hash of contents that is the same in every process and on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from convjit.errors import InternalError


def fingerprint(*values: object) -> str:
    """SHA-256 (64 hexadecimal digits) over plain values, tuples and frozen dataclasses of such.

    Fields that do not take part in comparison (source spans) do not take part here either. Every piece carries its
    type and length, so that different values cannot run together into the same bytes.
    """
    digest = hashlib.sha256()
    for piece in _pieces(values):
        digest.update(piece)
    return digest.hexdigest()


def _pieces(value: object) -> Iterator[bytes]:
    if value is None or isinstance(value, (bool, int, str, bytes)):
        yield _tagged(type(value).__name__, value if isinstance(value, bytes) else str(value).encode())
    elif isinstance(value, float):
        yield _tagged("float", value.hex().encode())
    elif isinstance(value, (tuple, list)):
        yield _tagged("tuple", str(len(value)).encode())
        for item in value:
            yield from _pieces(item)
    elif isinstance(value, (frozenset, set)):
        yield _tagged("set", b"".join(sorted(fingerprint(item).encode() for item in value)))
    elif isinstance(value, dict):
        yield from _pieces(sorted((fingerprint(key), fingerprint(item)) for key, item in value.items()))
    elif is_dataclass(value) and not isinstance(value, type):
        compared = [f.name for f in fields(value) if f.compare]
        yield _tagged("class", type(value).__qualname__.encode())
        yield from _pieces([(name, getattr(value, name)) for name in compared])
    else:
        raise InternalError(f"no fingerprint for a {type(value).__name__}: {value!r}")


def _tagged(tag: str, content: bytes) -> bytes:
    return f"{tag} {len(content)}:".encode() + content
