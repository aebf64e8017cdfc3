"""What is known of each convolution of a model: who runs it, in which arithmetic, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convjit.errors import ConvError, did_you_mean
from convjit.front.arithmetic import Scales, known
from convjit.front.layer import ConvLayer
from convjit.front.onnx.convs import Left, Node
from convjit.front.onnx.graph import Graph

OTHERS = "*"
"""In a mapping of arithmetics: every node that it does not name."""
RUNTIME = "onnxruntime"
"""Instead of an arithmetic: the node is left to ONNX Runtime."""


@dataclass(frozen=True)
class Layer:
    """A convolution of a model. `ran_by` is convjit or onnxruntime, `why` says why it is not what was asked for (empty where it
    is). `spec` is the program that was compiled, empty before the first call.

    Measured by `Model.compare`, None otherwise: `nrmse` against ONNX Runtime's own f32 convolution of the same input, the error that
    this layer adds; `accumulated` against that convolution in a run that is f32 from the start; `seconds` and `f32_seconds` of one
    call, ours and ONNX Runtime's.
    """

    name: str
    kind: str
    ran_by: str
    arithmetic: str
    why: str = ""
    scales: Scales | None = None
    spec: str = ""
    nrmse: float | None = None
    accumulated: float | None = None
    seconds: float | None = None
    f32_seconds: float | None = None


def wanted(arithmetic: str | Mapping[str, str], graph: Graph) -> dict[str, str]:
    """The arithmetic asked for, for each convolution that can be ours. `ConvError` for unknown arithmetics and nodes."""
    table = {OTHERS: arithmetic} if isinstance(arithmetic, str) else dict(arithmetic)
    for word in table.values():
        if word != RUNTIME:
            known(word)
    names = [conv.name for conv in graph.convs]
    strange = [name for name in table if name not in (*names, OTHERS)]
    if strange:
        hint = did_you_mean(strange[0], names) or f"'{OTHERS}' stands for every other; the names are those of Model.layers."
        raise ConvError.of(f"The model has no convolution '{strange[0]}' that an arithmetic could be chosen for.", hint=hint)
    return {name: table.get(name, table.get(OTHERS, "f32")) for name in names}


def possible(node: Node, arithmetic: str) -> tuple[str, str]:
    """The arithmetic that a node gets, and why it is not the one asked for: `compute` is for tensors of f32."""
    if arithmetic == RUNTIME:
        return arithmetic, "as asked for"
    if arithmetic == "f32" or node.w.dtype == np.float32:
        return arithmetic, ""
    return "f32", f"its tensors are {node.w.dtype}: they are multiplied as they are, '{arithmetic}' is for float32"


def described(left: Left) -> Layer:
    """The row of a node that ONNX Runtime runs."""
    return Layer(left.name, left.kind, RUNTIME, "", left.why)


def row(node: Node, layer: ConvLayer | None, why: str) -> Layer:
    """The row of a node of the model's own graph, without measurements."""
    if layer is None:
        return Layer(node.name, "Conv", RUNTIME, "", why)
    arithmetic = layer.arithmetic if node.w.dtype == np.float32 else layer.dtype
    return Layer(node.name, "Conv", "convjit", arithmetic, why, layer.scales, layer.text)
