"""Small models in ONNX, built node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Sequence[int | str] | None],
    outputs: Mapping[str, int],
    constants: Mapping[str, Any] | None = None,
    kind: int = TensorProto.FLOAT,
    functions: Sequence[Any] = (),
) -> Any:
    """A checked model; `outputs` have a number of axes each, whose sizes are left open."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, kind, [None] * rank) for name, rank in outputs.items()],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in (constants or {}).items()],
    )
    imports = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(f.domain, 1) for f in functions[:1])]
    made = helper.make_model(graph, opset_imports=imports, ir_version=8, functions=functions)
    onnx.checker.check_model(made)
    return made


def values(seed: int, *shape: int) -> Any:
    """Random numbers of float32."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def one_conv(x: Sequence[int | str], w: Sequence[int], bias: bool = True, **attributes: Any) -> Any:
    """A model that is one convolution."""
    names = ["x", "w", "b"] if bias else ["x", "w"]
    constants = {"w": values(1, *w)} | ({"b": values(2, w[0])} if bias else {})
    return model([helper.make_node("Conv", names, ["y"], name="c", **attributes)], {"x": x}, {"y": len(x)}, constants)


def small_network() -> Any:
    """Two convolutions, one depthwise, with what usually stands between them, and a branch around the second."""
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["a"], name="first", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("HardSwish", ["a"], ["h"]),
        helper.make_node("Conv", ["h", "w1"], ["d"], name="depthwise", pads=[2, 2, 2, 2], group=8),
        helper.make_node("Add", ["d", "h"], ["s"]),
        helper.make_node("Relu", ["s"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "w2"], ["y"]),
    ]
    constants = {"w0": values(1, 8, 3, 3, 3), "b0": values(2, 8), "w1": values(3, 8, 1, 5, 5) / 5, "w2": values(4, 8, 10)}
    return model(nodes, {"x": ["N", 3, "H", "W"]}, {"y": 2}, constants)
