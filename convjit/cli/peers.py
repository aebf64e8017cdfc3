"""The same convolution in other libraries, for `convjit bench`. All of them are optional.

Each gets its data in the order of axes that it likes best, prepared before anything is timed: PyTorch channels last (and
a second time with weights packed by oneDNN), ONNX Runtime and OpenVINO channels first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from convjit.cli.stored import Array
from convjit.errors import ConvError, Unavailable, did_you_mean
from convjit.spec import layout
from convjit.spec.conv import ConvSpec

Call = Callable[[], Any]
Peer = Callable[[ConvSpec, Mapping[str, Array], int], dict[str, Call]]


def calls(peer: str, spec: ConvSpec, given: Mapping[str, Array], threads: int) -> dict[str, Call]:
    """Calls by name, each giving the output in the order N, OC, space. `Unavailable` for what the peer cannot do."""
    if peer not in PEERS:
        note = f"The peers are {', '.join(PEERS)}."
        raise ConvError.of(f"There is no peer '{peer}'.", note=note, hint=did_you_mean(peer, PEERS))
    odd = [step.op for step in spec.then if step.op != "relu"]
    if odd or spec.input.dtype != "f32" or spec.transposed:
        what = f"'then {odd[0]}'" if odd else "anything but plain f32 convolutions"
        raise Unavailable.of(f"The comparison with {peer} does not know {what}.")
    try:
        return PEERS[peer](spec, given, threads)
    except (RuntimeError, TypeError, AttributeError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Unavailable.of(f"{peer} cannot run '{spec.name}' here: {reason[:200]}") from None


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        hint = f"pip install {name}, or leave it out of --against."
        raise Unavailable.of(f"'{name}' is not installed.", hint=hint) from None


def _channels_first(spec: ConvSpec, given: Mapping[str, Array]) -> tuple[Array, Array, Array | None]:
    """Input, weight and bias, as nearly everybody else has them: NCHW and OIHW."""
    x = given[spec.input.name].transpose(layout.permutation(spec.input.axes, ("N", "C", *spec.spatial)))
    order = ("OC", "IC", *layout.kernel_axes(spec.spatial))
    w = given[spec.weight.name].transpose(layout.permutation(spec.weight.axes, order))
    return np.ascontiguousarray(x), np.ascontiguousarray(w), given[spec.bias.name] if spec.bias else None


def _torch(spec: ConvSpec, given: Mapping[str, Array], threads: int) -> dict[str, Call]:
    torch = _library("torch")
    torch.set_num_threads(threads)
    arrays = _channels_first(spec, given)
    x, w = torch.from_numpy(arrays[0]), torch.from_numpy(arrays[1])
    bias = None if arrays[2] is None else torch.from_numpy(arrays[2])
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    if last is not None:
        x, w = x.to(memory_format=last), w.to(memory_format=last)
    convolve = getattr(torch.nn.functional, f"conv{len(spec.spatial)}d")
    low, high = [p[0] for p in spec.pad], [p[1] for p in spec.pad]
    sides = [side for pair in reversed(spec.pad) for side in pair]
    relu = any(step.op == "relu" for step in spec.then)

    def call() -> Any:
        with torch.inference_mode():
            inside = x if low == high else torch.nn.functional.pad(x, sides)
            y = convolve(inside, w, bias, spec.stride, low if low == high else 0, spec.dilation, spec.groups)
            return torch.relu_(y) if relu else y

    found = {"torch": call}
    if len(spec.spatial) == 2 and low == high and hasattr(torch.ops, "mkldnn"):
        packed = torch.ops.mkldnn._reorder_convolution_weight(
            w.contiguous(), low, spec.stride, spec.dilation, spec.groups, list(x.shape)
        )
        word = "relu" if relu else "none"
        rest: tuple[Any, ...] = (low, spec.stride, spec.dilation, spec.groups, word, [], "")
        pointwise = torch.ops.mkldnn._convolution_pointwise

        def call_packed() -> Any:
            with torch.inference_mode():
                return pointwise(x, packed, bias, *rest)

        found["torch packed"] = call_packed
    return found


def _onnxruntime(spec: ConvSpec, given: Mapping[str, Array], threads: int) -> dict[str, Call]:
    runtime, onnx = _library("onnxruntime"), _library("onnx")
    x, w, bias = _channels_first(spec, given)
    attributes = {
        "strides": spec.stride, "dilations": spec.dilation, "group": spec.groups,
        "pads": [p[0] for p in spec.pad] + [p[1] for p in spec.pad],
    }  # fmt: skip
    constants = {"w": w, "b": bias} if bias is not None else {"w": w}
    nodes = [onnx.helper.make_node("Conv", ["x", *constants], ["y"], **attributes)]
    nodes += [onnx.helper.make_node("Relu", ["y"], ["z"])] if spec.then else []
    values = [
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in ("x", "z" if spec.then else "y")
    ]
    held = [onnx.numpy_helper.from_array(a, name) for name, a in constants.items()]
    graph = onnx.helper.make_graph(nodes, "conv", values[:1], values[1:], held)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return {"onnxruntime": lambda: session.run(None, {"x": x})[0]}


def _openvino(spec: ConvSpec, given: Mapping[str, Array], threads: int) -> dict[str, Call]:
    openvino = _library("openvino")
    ops = import_module("openvino.opset13")
    x, w, bias = _channels_first(spec, given)
    window = (spec.stride, [p[0] for p in spec.pad], [p[1] for p in spec.pad], spec.dilation)
    parameter = ops.parameter(x.shape, np.float32)
    if spec.groups > 1:
        weight = ops.constant(w.reshape(spec.groups, spec.oc_per_group, *w.shape[1:]))
        node = ops.group_convolution(parameter, weight, *window)
    else:
        node = ops.convolution(parameter, ops.constant(w), *window)
    if bias is not None:
        node = ops.add(node, ops.constant(bias.reshape(1, -1, *[1] * len(spec.spatial))))
    node = ops.relu(node) if spec.then else node
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.Core().compile_model(openvino.Model([node], [parameter]), "CPU", options).create_infer_request()

    def call() -> Any:
        request.infer([x], share_inputs=True)
        return request.get_output_tensor().data

    return {"openvino": call}


PEERS: dict[str, Peer] = {"torch": _torch, "onnxruntime": _onnxruntime, "openvino": _openvino}
