"""The two packages that this front door needs, found when they are first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from convjit.errors import Unavailable


def onnx(part: str = "") -> Any:
    """The package `onnx`, or a module of it (`helper`). `Unavailable` where it is not installed."""
    return _package("onnx", part)


def onnxruntime() -> Any:
    """The package `onnxruntime`. `Unavailable` where it is not installed."""
    return _package("onnxruntime", "")


def _package(name: str, part: str) -> Any:
    try:
        return import_module(f"{name}.{part}" if part else name)
    except ImportError:
        hint = "pip install 'convjit[onnx]' brings onnx and onnxruntime."
        raise Unavailable.of(f"'{name}' is not installed, and models in ONNX need it.", hint=hint) from None
