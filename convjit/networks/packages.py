"""Packages that the networks need, found when they are first used."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from convjit.errors import Unavailable


def package(module: str, name: str) -> Any:
    """A module of the package that pip knows as `name`. `Unavailable` where it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        raise _missing(name) from None


def folder(module: str, name: str) -> Path:
    """The folder of a package, which is not imported: what it needs itself is not needed for its files."""
    found = find_spec(module)
    if found is None or found.origin is None:
        raise _missing(name)
    return Path(found.origin).parent


def _missing(name: str) -> Unavailable:
    hint = f"pip install 'convjit[cnn]' brings it, or pip install {name}."
    return Unavailable.of(f"'{name}' is not installed, and this network needs it.", hint=hint)
