"""An 8-bit convolution in OpenVINO: a model that says what the integers mean, for its own low-precision passes to find."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from convjit.bench import onnx_model
from convjit.bench.candidate import Arrays, Builder, library
from convjit.bench.quantised import Quantised, quantised
from convjit.bench.with_openvino import compiled
from convjit.spec.conv import ConvSpec


def builders(spec: ConvSpec, given: Arrays, threads: int) -> dict[str, Builder]:
    """Both orders of a user's arrays. Whether it multiplies integers is the plugin's choice."""
    openvino = library("openvino")
    q = quantised(spec, given)
    return {
        "openvino": partial(_candidate, openvino, q, threads, False),
        "openvino nhwc": partial(_candidate, openvino, q, threads, True),
    }


def _candidate(openvino: Any, q: Quantised, threads: int, last: bool) -> Any:
    return compiled(openvino, openvino.Core().read_model(model(q)), q.x, q.y_shape, threads, last)


def model(q: Quantised) -> bytes:
    """The integers made real, convolved, and made integers again, as exporters of quantised models write it."""
    zeros = np.zeros(len(q.w_scales), np.int8)
    constants = {
        "x_scale": np.float32(q.x_scale), "x_zero": np.uint8(q.x_zero),
        "w": q.w, "w_scale": q.w_scales, "w_zero": zeros,
        "b": q.bias, "b_scale": q.bias_scales, "b_zero": zeros.astype(np.int32),
        "y_scale": np.float32(q.y_scale), "y_zero": np.uint8(q.y_zero),
    }  # fmt: skip
    node, window = onnx_model.node, onnx_model.window(q.stride, q.dilation, q.pad, q.groups)
    nodes = [
        node("DequantizeLinear", ["x", "x_scale", "x_zero"], "real_x", {}),
        node("DequantizeLinear", ["w", "w_scale", "w_zero"], "real_w", {"axis": 0}),
        node("DequantizeLinear", ["b", "b_scale", "b_zero"], "real_b", {"axis": 0}),
        node("Conv", ["real_x", "real_w", "real_b"], "real_y", window),
        node("QuantizeLinear", ["real_y", "y_scale", "y_zero"], "y", {}),
    ]
    held = {name: np.asarray(value) for name, value in constants.items()}
    return onnx_model.model(nodes, ("x", q.x.shape, np.uint8), ("y", q.y_shape, np.uint8), held)
