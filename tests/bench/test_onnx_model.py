"""The ONNX file that is written without the package, read back by the package."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from convjit.bench.onnx_model import convolution, message

W = np.arange(18, dtype=np.float32).reshape(2, 3, 1, 3)
BIAS = np.array([-1, 0.5], np.float32)
ATTRIBUTES: dict[str, int | Sequence[int]] = {
    "strides": [2, 1],
    "dilations": [1, 300],
    "group": 1,
    "pads": [1, 0, 0, 3],
}


def test_fields_are_those_of_a_protocol_buffer() -> None:
    assert message([(1, 150)]) == b"\x08\x96\x01"  # the example of the format's own documentation
    assert message([(2, "testing")]) == b"\x12\x07testing"
    assert message([(3, message([(1, 150)]))]) == b"\x1a\x03\x08\x96\x01"
    assert message([(20, 7)]) == b"\xa0\x01\x07"


@pytest.mark.parametrize("relu", [False, True])
def test_it_is_a_valid_model(relu: bool) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(convolution((1, 3, 9, 700), (1, 2, 5, 103), {"w": W, "b": BIAS}, ATTRIBUTES, relu))
    onnx.checker.check_model(model, full_check=True)
    (node, *rest) = model.graph.node
    assert (node.op_type, list(node.input), [n.op_type for n in rest]) == ("Conv", ["x", "w", "b"], ["Relu"] * relu)
    read = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert read == ATTRIBUTES
    held = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    np.testing.assert_array_equal(held["w"], W)
    np.testing.assert_array_equal(held["b"], BIAS)
    sizes = [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim]
    assert (model.graph.output[0].name, sizes) == ("y", [1, 2, 5, 103])
