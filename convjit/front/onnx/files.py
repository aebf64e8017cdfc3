"""From a file, its bytes or a ModelProto to a model that `onnx` finds sound."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from convjit.errors import ConvError
from convjit.front.onnx.packages import onnx

Given = str | os.PathLike[str] | bytes | Any


def read(given: Given) -> Any:
    """A ModelProto of its own, checked, with its functions put in place of their calls and its weights in memory.

    `given`: the path of a file, its bytes, or a ModelProto. Raises `ConvError` for anything else, for what cannot be read, and for
    a model that breaks the rules of ONNX.
    """
    if isinstance(given, onnx().ModelProto):
        model = onnx().ModelProto()
        model.CopyFrom(given)
        return _checked(model, "The model")
    if isinstance(given, bytes):
        return _checked(_parsed(given, "The bytes given"), "The model")
    if not isinstance(given, (str, os.PathLike)):
        text = f"A model is a path, bytes or an onnx.ModelProto, not {type(given).__name__}."
        raise ConvError.of(text, hint="For example: load('net.onnx')")
    return _from_file(Path(given))


def _from_file(path: Path) -> Any:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConvError.of(f"The model '{path}' cannot be read: {error.strerror}.") from None
    model = _parsed(data, f"'{path}'")
    try:
        onnx("external_data_helper").load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # noqa: BLE001 (a file that is not there, a path that leads outside, sizes that do not fit)
        raise ConvError.of(f"The weights that '{path}' keeps in other files cannot be read.", note=_first(error)) from None
    return _checked(model, f"'{path}'")


def _parsed(data: bytes, what: str) -> Any:
    try:
        return onnx().load_model_from_string(data)
    except Exception:  # noqa: BLE001 (the decoder's own class belongs to protobuf, another package)
        raise ConvError.of(f"{what}: this is not a model in ONNX's format.", hint=_HINT) from None


_HINT = "The file may have been cut off, or be of another format."


def _checked(model: Any, what: str) -> Any:
    try:
        onnx("checker").check_model(model)
    except Exception as error:  # noqa: BLE001 (the checker raises several classes)
        raise ConvError.of(f"{what} breaks a rule of ONNX.", note=_first(error)) from None
    return onnx("inliner").inline_local_functions(model) if model.functions else model


def _first(error: Exception) -> str:
    """The first line of what another library says."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
