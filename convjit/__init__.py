"""convjit: a small language for convolution, compiled to AVX and PTX code, with every stage readable.

The front (language, meaning, schedules, the form of a nest) is loaded with the package, what makes code of it by the
first `compile`: neither the import nor the first kernel of a process is a long wait (bench/import_time.py and
bench/compile_time.py measure both).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from convjit.dsl.ast import Program as Program
from convjit.dsl.parse import parse as _parse  # noqa: F401  (the front, see above)
from convjit.errors import ConvError as ConvError
from convjit.errors import InternalError as InternalError
from convjit.errors import Unavailable as Unavailable
from convjit.nest.ir import Nest as _Nest  # noqa: F401
from convjit.schedule.choose import choose as _choose  # noqa: F401
from convjit.spec.build import Conv as Conv
from convjit.spec.conv import ConvSpec as ConvSpec

if TYPE_CHECKING:
    from convjit.api import compile as compile
    from convjit.api import reference as reference
    from convjit.calibration import calibrate as calibrate

__version__ = "0.1.0"

__all__ = [
    "Conv", "ConvError", "ConvSpec", "InternalError", "Program", "Unavailable", "__version__", "calibrate", "compile",
    "reference",
]  # fmt: skip


LATER = {"calibrate": "convjit.calibration", "compile": "convjit.api", "reference": "convjit.api"}
"""Loaded from these modules when they are first asked for."""


def __getattr__(name: str) -> object:
    if name not in LATER:
        raise AttributeError(f"module 'convjit' has no attribute '{name}'")
    value = getattr(import_module(LATER[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
