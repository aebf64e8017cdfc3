"""The libraries that can be measured, and how each prepares a convolution."""

from __future__ import annotations

from typing import Any

from convjit.bench import (
    ours,
    quantised_onnxruntime,
    quantised_openvino,
    quantised_torch,
    with_onnxruntime,
    with_openvino,
    with_torch,
)
from convjit.spec.conv import ConvSpec

OURS = "convjit"

LIBRARIES: dict[str, Any] = {
    OURS: ours,
    "torch": with_torch,
    "onnxruntime": with_onnxruntime,
    "openvino": with_openvino,
}
"""Each module has `versions()` and `builders(spec, arrays, threads)`; ours takes variants instead of threads."""

QUANTISED: dict[str, Any] = {
    OURS: ours,
    "torch": quantised_torch,
    "onnxruntime": quantised_onnxruntime,
    "openvino": quantised_openvino,
}
"""The same for 8-bit tensors with scales; these have `builders` only."""

PEERS = tuple(name for name in LIBRARIES if name != OURS)


def preparing(library: str, spec: ConvSpec) -> Any:
    """The module whose `builders` prepare that convolution."""
    return (QUANTISED if spec.output.quantised else LIBRARIES)[library]
