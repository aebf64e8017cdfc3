"""A convolution in OpenVINO's CPU plugin, on NCHW and on NHWC arrays."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

from convjit.bench.candidate import Array, Arrays, Builder, Candidate, channels_first, library, output_shape
from convjit.runtime.placement import aligned, empty
from convjit.spec.conv import ConvSpec

OPTIONS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
"""Whoever calls decides about cores: the process is pinned as a whole."""


def versions() -> str:
    """OpenVINO's version."""
    return str(library("openvino").get_version())


def builders(spec: ConvSpec, given: Arrays, threads: int) -> dict[str, Builder]:
    """Both orders of a user's arrays; inside, the plugin takes what it likes best."""
    openvino = library("openvino")
    arrays = channels_first(spec, given)
    made: dict[str, Builder] = {"openvino": partial(_candidate, openvino, spec, arrays, threads, False)}
    if len(spec.spatial) == 2:
        made["openvino nhwc"] = partial(_candidate, openvino, spec, arrays, threads, True)
    return made


def _candidate(
    openvino: Any, spec: ConvSpec, arrays: tuple[Array, Array, Array | None], threads: int, last: bool
) -> Candidate:
    return compiled(openvino, _model(openvino, spec, arrays), arrays[0], output_shape(spec), threads, last)


def compiled(openvino: Any, model: Any, x: Array, shape: tuple[int, ...], threads: int, last: bool) -> Candidate:
    """A model of one convolution on an NCHW array and with an output of that shape and type; or with both as NHWC."""
    out = empty(shape, x.dtype)
    if last:
        model = _channels_last(openvino, model)
        x, out = (aligned(np.moveaxis(a, 1, -1)) for a in (x, out))
    options = {**OPTIONS, "INFERENCE_NUM_THREADS": threads}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(out, shared_memory=True))

    def result() -> Array:
        request.infer()
        return np.moveaxis(out, -1, 1) if last else out

    filling = np.nan if out.dtype.kind == "f" else np.iinfo(out.dtype).max
    return Candidate(partial(_infer, request, x), result, lambda: out.fill(filling))


def _infer(request: Any, _x: Array) -> None:
    request.infer()


def _model(openvino: Any, spec: ConvSpec, arrays: tuple[Array, Array, Array | None]) -> Any:
    ops = import_module("openvino.opset13")
    x, w, bias = arrays
    window = (spec.stride, [p[0] for p in spec.pad], [p[1] for p in spec.pad], spec.dilation)
    parameter = ops.parameter(x.shape, np.float32)
    if spec.groups > 1:
        weight = ops.constant(w.reshape(spec.groups, spec.oc_per_group, *w.shape[1:]))
        node = ops.group_convolution(parameter, weight, *window)
    else:
        node = ops.convolution(parameter, ops.constant(w), *window)
    if bias is not None:
        node = ops.add(node, ops.constant(bias.reshape(1, -1, *[1] * len(spec.spatial))))
    return openvino.Model([ops.relu(node) if spec.then else node], [parameter])


def _channels_last(openvino: Any, model: Any) -> Any:
    """The same model with NHWC at both ends; the plugin takes it as a matter of strides where it can."""
    preprocess = import_module("openvino.preprocess")
    first, last = openvino.Layout("NCHW"), openvino.Layout("NHWC")
    steps = preprocess.PrePostProcessor(model)
    steps.input().tensor().set_layout(last)
    steps.input().model().set_layout(first)
    steps.output().model().set_layout(first)
    steps.output().tensor().set_layout(last)
    return steps.build()
