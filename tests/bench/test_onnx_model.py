"""The ONNX file that is written without the package, read back by the package."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from convjit.bench import quantised_onnxruntime, quantised_openvino
from convjit.bench.onnx_model import convolution, message
from convjit.bench.quantised import quantised
from tests.bench.test_candidates import spec_of
from tests.bench.test_quantised import PLAIN, arrays

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


@pytest.mark.parametrize("unsigned", [False, True])
def test_the_8_bit_model(unsigned: bool) -> None:
    onnx = pytest.importorskip("onnx")
    q = quantised(spec_of(PLAIN), given := arrays(PLAIN))
    model = onnx.load_from_string(quantised_onnxruntime.model(q, q.x.shape, q.y_shape, False, unsigned))
    onnx.checker.check_model(model, full_check=True)
    (node,) = model.graph.node
    held = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    assert (node.op_type, list(node.input)) == ("QLinearConv", ["x", *held])
    assert (held["x_scale"], held["x_zero"], held["y_scale"], held["y_zero"]) == (np.float32(0.02), 7, np.float32(0.15), 120)
    assert held["w"].dtype == (np.uint8 if unsigned else np.int8)
    real = held["w"].astype(int) - held["w_zero"].astype(int)[:, None, None, None]
    np.testing.assert_array_equal(real, given["w"].transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(held["b"], given["b"])


def test_its_variant_on_channels_last_is_of_another_domain() -> None:
    onnx = pytest.importorskip("onnx")
    q = quantised(spec_of(PLAIN), arrays(PLAIN))
    model = onnx.load_from_string(quantised_onnxruntime.model(q, (1, 6, 9, 16), (1, 6, 9, 24), True, False))
    (node,) = model.graph.node
    assert (node.domain, onnx.helper.get_attribute_value(node.attribute[-1])) == ("com.microsoft", 1)
    assert {s.domain: s.version for s in model.opset_import} == {"": 17, "com.microsoft": 1}


def test_the_model_that_says_what_integers_mean() -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(quantised_openvino.model(quantised(spec_of(PLAIN), arrays(PLAIN))))
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == [*["DequantizeLinear"] * 3, "Conv", "QuantizeLinear"]
