"""An 8-bit convolution in ONNX Runtime: QLinearConv on NCHW arrays, and its own variant on NHWC arrays."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from convjit.bench import onnx_model
from convjit.bench.candidate import Arrays, Builder, Candidate, library
from convjit.bench.quantised import Quantised, quantised
from convjit.bench.with_onnxruntime import bound, session
from convjit.runtime.placement import aligned
from convjit.spec.conv import ConvSpec

MICROSOFT = "com.microsoft"
"""The domain of the runtime's own operators."""


def builders(spec: ConvSpec, given: Arrays, threads: int) -> dict[str, Builder]:
    """Both orders, with weights as they are, and as u8 with the zero point 128: the same numbers, in products for which the
    runtime has an instruction that does not saturate on every processor."""
    runtime = library("onnxruntime")
    q = quantised(spec, given)
    return {
        f"onnxruntime{order}{kind}": partial(_candidate, runtime, q, threads, bool(order), bool(kind))
        for kind in ("", " u8u8")
        for order in ("", " nhwc")
    }


def _candidate(runtime: Any, q: Quantised, threads: int, last: bool, unsigned: bool) -> Candidate:
    x = aligned(np.moveaxis(q.x, 1, -1)) if last else q.x
    shape = (q.y_shape[0], *q.y_shape[2:], q.y_shape[1]) if last else q.y_shape
    level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    call, out = bound(session(runtime, model(q, x.shape, shape, last, unsigned), threads, level), x, shape, np.uint8)

    def result() -> Any:
        call()
        return np.moveaxis(out, -1, 1) if last else out

    return Candidate(call, result, lambda: out.fill(255))


def model(q: Quantised, x: tuple[int, ...], y: tuple[int, ...], last: bool, unsigned: bool) -> bytes:
    """QLinearConv between an input x and an output y of these shapes; weights are OIHW in either order of the others."""
    w, zero = (q.w.astype(np.int16) + 128).astype(np.uint8) if unsigned else q.w, 128 if unsigned else 0
    constants = {
        "x_scale": np.float32(q.x_scale), "x_zero": np.uint8(q.x_zero),
        "w": w, "w_scale": q.w_scales, "w_zero": np.full(len(q.w_scales), zero, w.dtype),
        "y_scale": np.float32(q.y_scale), "y_zero": np.uint8(q.y_zero), "b": q.bias,
    }  # fmt: skip
    attributes = onnx_model.window(q.stride, q.dilation, q.pad, q.groups) | ({"channels_last": 1} if last else {})
    node = onnx_model.node("QLinearConv", ["x", *constants], "y", attributes, MICROSOFT if last else "")
    held = {name: np.asarray(value) for name, value in constants.items()}
    return onnx_model.model([node], ("x", x, np.uint8), ("y", y, np.uint8), held, [MICROSOFT] if last else [])
