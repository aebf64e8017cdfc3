"""convjit: a small language for convolution, compiled to AVX and PTX code, with every stage readable.

The names below are loaded when they are first used, so that `import convjit` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convjit.api import compile as compile
    from convjit.api import reference as reference
    from convjit.dsl.ast import Program as Program
    from convjit.errors import ConvError as ConvError
    from convjit.errors import InternalError as InternalError
    from convjit.errors import Unavailable as Unavailable
    from convjit.spec.build import Conv as Conv
    from convjit.spec.conv import ConvSpec as ConvSpec

__version__ = "0.1.0"

_HOMES = {
    "compile": "convjit.api",
    "reference": "convjit.api",
    "Conv": "convjit.spec.build",
    "ConvSpec": "convjit.spec.conv",
    "Program": "convjit.dsl.ast",
    "ConvError": "convjit.errors",
    "Unavailable": "convjit.errors",
    "InternalError": "convjit.errors",
}

__all__ = [
    "Conv", "ConvError", "ConvSpec", "InternalError", "Program", "Unavailable", "__version__", "compile", "reference",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'convjit' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
