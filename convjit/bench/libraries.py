"""The libraries that can be measured, and how each prepares a convolution."""

from __future__ import annotations

from typing import Any

from convjit.bench import ours, with_onnxruntime, with_openvino, with_torch

OURS = "convjit"

LIBRARIES: dict[str, Any] = {
    OURS: ours,
    "torch": with_torch,
    "onnxruntime": with_onnxruntime,
    "openvino": with_openvino,
}
"""Each module has `versions()` and `builders(spec, arrays, threads)`; ours takes variants instead of threads."""

PEERS = tuple(name for name in LIBRARIES if name != OURS)
