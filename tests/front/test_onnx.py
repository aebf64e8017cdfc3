"""Models in ONNX: convolutions on our kernels, equal to ONNX's own reference in f32 and to our reference in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convjit
from convjit.front import onnx as front
from convjit.front.arithmetic import ARITHMETICS
from convjit.front.difference import nrmse
from convjit.front.layer import ConvLayer, Window

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from tests.front.models import model, one_conv, small_network, values  # noqa: E402

BOUND = 2e-6
"""On the NRMSE of a convolution in f32."""

CONVOLUTIONS: dict[str, tuple[list[int | str], list[int], dict[str, Any]]] = {
    "defaults": ([1, 3, 7, 6], [5, 3, 3, 3], {}),
    "kernel_shape": ([1, 3, 7, 6], [5, 3, 2, 3], {"kernel_shape": [2, 3]}),
    "no bias": ([1, 3, 7, 6], [5, 3, 3, 3], {"bias": False}),
    "pads": ([1, 3, 7, 6], [5, 3, 3, 3], {"pads": [1, 0, 2, 3]}),
    "strides": ([1, 3, 9, 10], [5, 3, 3, 3], {"strides": [2, 3], "pads": [1, 1, 1, 1]}),
    "dilations": ([1, 3, 9, 10], [5, 3, 3, 3], {"dilations": [2, 3]}),
    "strides and dilations": ([1, 3, 12, 11], [5, 3, 3, 2], {"dilations": [2, 1], "strides": [1, 2]}),
    "group": ([2, 6, 7, 6], [9, 2, 3, 3], {"group": 3}),
    "depthwise": ([1, 8, 7, 9], [8, 1, 3, 3], {"group": 8, "pads": [1, 1, 1, 1]}),
    "depthwise, multiplier 2": ([1, 8, 7, 9], [16, 1, 3, 3], {"group": 8}),
    "notset": ([1, 3, 7, 6], [5, 3, 3, 3], {"auto_pad": "NOTSET", "pads": [1, 1, 0, 0]}),
    "valid": ([1, 3, 7, 6], [5, 3, 3, 3], {"auto_pad": "VALID"}),
    "same upper": ([1, 3, 7, 6], [5, 3, 2, 4], {"auto_pad": "SAME_UPPER"}),
    "same lower": ([1, 3, 7, 6], [5, 3, 2, 4], {"auto_pad": "SAME_LOWER"}),
    "same upper, strides": ([1, 3, 8, 9], [5, 3, 3, 3], {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    "same lower, strides": ([1, 3, 8, 9], [5, 3, 3, 3], {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    "1-D": ([2, 4, 17], [6, 4, 5], {"pads": [2, 2], "strides": [2]}),
    "1-D, same": ([2, 4, 17], [6, 4, 4], {"auto_pad": "SAME_UPPER"}),
    "3-D": ([1, 2, 5, 6, 7], [3, 2, 3, 2, 3], {"pads": [1, 0, 1, 0, 1, 1]}),
    "3-D, group": ([1, 4, 4, 5, 6], [4, 2, 2, 2, 2], {"group": 2, "strides": [1, 2, 1]}),
    "open batch": (["N", 3, 7, 6], [5, 3, 3, 3], {}),
    "1x1": ([1, 16, 5, 4], [24, 16, 1, 1], {}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_f32_is_what_onnx_says(name: str) -> None:
    shape, w, attributes = CONVOLUTIONS[name]
    made = one_conv(shape, w, **attributes)
    x = values(0, *(3 if size == "N" else int(size) for size in shape))
    loaded = front.load(made)
    (layer,) = loaded.layers
    assert (layer.name, layer.kind, layer.ran_by, layer.arithmetic, layer.why) == ("c", "Conv", "convjit", "f32", "")
    y = loaded.run(x)["y"]
    (wanted,) = ReferenceEvaluator(made).run(None, {"x": x})
    assert y.shape == wanted.shape and y.dtype == np.float32
    assert nrmse(y, wanted) < BOUND


@pytest.mark.parametrize("arithmetic", ["i8", "i16", "i32", "i8_per_channel", "bf16"])
@pytest.mark.parametrize("name", ["pads", "depthwise", "same upper, strides", "1-D", "3-D, group"])
def test_the_program_of_a_layer_is_what_ran(name: str, arithmetic: str) -> None:
    """Integers have the bits of `convjit.reference` of the spec that the layer shows."""
    shape, w, attributes = CONVOLUTIONS[name]
    x = values(0, *map(int, shape))
    loaded = front.load(one_conv(shape, w, **attributes), arithmetic, [x])
    y = loaded.run(x)["y"]
    (layer,) = loaded.layers
    assert layer.arithmetic == arithmetic
    weights, bias = values(1, *w), values(2, w[0])
    if arithmetic == "i8_per_channel":
        assert layer.scales is not None
        step = np.float32(1 / layer.scales.x)
        x = np.clip(np.rint(x / step) + layer.scales.zero, 0, 255).astype(np.uint8)
        factors = np.array(layer.scales.w, np.float32)
        weights = np.rint(weights * factors.reshape(-1, *[1] * (weights.ndim - 1))).astype(np.int8)
        wanted = convjit.reference(layer.spec, x, weights, bias, np.array([1 / f for f in layer.scales.w], np.float32))
    else:
        wanted = convjit.reference(layer.spec, x, weights, bias)
    if arithmetic == "bf16":
        assert nrmse(y, wanted) < BOUND
    else:
        assert np.array_equal(y, wanted)


def test_four_bits_are_emulated_by_the_formula_of_compute() -> None:
    x, w, b = values(0, 2, 5, 4, 3), values(1, 7, 5, 1, 1), values(2, 7)
    loaded = front.load(one_conv([2, 5, 4, 3], [7, 5, 1, 1]), "i4", [x])
    y = loaded.run(x)["y"]
    (layer,) = loaded.layers
    assert layer.scales is not None and "i8 in -8..7" in layer.spec
    sx, sw = np.float32(layer.scales.x), np.float32(layer.scales.w[0])
    xq, wq = (np.clip(np.rint(v * s), -8, 7).astype(np.int64) for v, s in ((x, sx), (w, sw)))
    sums = np.einsum("nchw,oc->nohw", xq, wq[:, :, 0, 0])
    assert np.array_equal(y, sums.astype(np.float32) / (sx * sw) + b.reshape(-1, 1, 1))
    assert len(np.unique(wq)) > 8


def test_a_network_in_every_arithmetic() -> None:
    """The more bits, the nearer to ONNX Runtime; in f32 as near as f32 is."""
    x, seen = values(0, 2, 3, 15, 18), values(5, 4, 3, 15, 18)
    errors = {}
    for arithmetic in ARITHMETICS:
        compared = front.load(small_network(), arithmetic, [seen, seen[:1]]).compare(x)
        assert compared.outputs["y"].shape == (2, 10)
        assert [layer.arithmetic for layer in compared.layers] == [arithmetic] * 2
        errors[arithmetic] = compared.nrmse["y"]
    assert errors["f32"] < 1e-6 > errors["i32"]
    assert errors["f32"] < errors["f16"] < errors["bf16"]
    assert errors["i32"] < errors["i16"] < errors["i8_per_channel"] < errors["i4"]
    assert 1e-4 < errors["i8"] < 0.1


def test_onnx_s_reference_agrees_on_a_network() -> None:
    made, x = small_network(), values(0, 2, 3, 15, 18)
    (wanted,) = ReferenceEvaluator(made).run(None, {"x": x})
    loaded = front.load(made)
    assert nrmse(loaded.run(x)["y"], wanted) < BOUND
    assert nrmse(loaded.run_f32(x)["y"], wanted) < BOUND


def test_errors_of_a_layer_and_of_all_before_it() -> None:
    """The first layer has the same input as in f32; a later one adds its own error to what came before."""
    made, x = small_network(), values(0, 1, 3, 15, 18)
    only_first = front.load(made, {"first": "i8", "*": "f32"}, [x]).compare(x)
    first, second = only_first.layers
    assert first.nrmse == first.accumulated and first.nrmse is not None and first.nrmse > 1e-4
    assert second.nrmse is not None and second.nrmse < 1e-6
    assert second.accumulated is not None and second.accumulated > 1e-4
    assert first.seconds and first.f32_seconds and "compute i8" in first.spec
    lines = only_first.table().splitlines()
    assert lines[1].startswith("first ") and lines[-1].startswith("y: NRMSE ")


def test_other_sizes_run_on_one_kernel_with_open_sizes() -> None:
    made = small_network()
    loaded = front.load(made, "i8", [values(0, 1, 3, 15, 18)])
    again = front.load(made, "i8", [values(0, 1, 3, 15, 18)])
    for shape in [(1, 3, 15, 18), (2, 3, 9, 30), (3, 3, 21, 11), (1, 3, 15, 18)]:
        x = values(7, *shape)
        y = loaded.run(x)["y"]
        assert y.shape == (shape[0], 10)
        assert nrmse(y, loaded.run_f32(x)["y"]) < 0.1
    assert np.array_equal(loaded.run(values(7, 2, 3, 9, 30))["y"], again.run(values(7, 2, 3, 9, 30))["y"])
    kernels = loaded._own["first"]._kernels
    assert list(kernels) == [(1, 3, 15, 18), (None, 3, None, None)]


def test_padding_that_depends_on_the_size_has_a_kernel_for_each() -> None:
    loaded = front.load(one_conv(["N", 3, "H", "W"], [5, 3, 3, 3], auto_pad="SAME_UPPER", strides=[2, 2]))
    for shape in [(1, 3, 8, 9), (1, 3, 7, 9), (1, 3, 8, 8)]:
        x = values(0, *shape)
        assert nrmse(loaded.run(x)["y"], loaded.run_f32(x)["y"]) < BOUND
    assert len(loaded._own["c"]._kernels) == 3


def test_no_images() -> None:
    loaded = front.load(one_conv(["N", 3, 7, 6], [5, 3, 3, 3], strides=[2, 1]))
    assert loaded.run(np.zeros((0, 3, 7, 6), np.float32))["y"].shape == (0, 5, 3, 4)
    assert ConvLayer(values(0, 4, 3, 2), None, front_window(1))(np.zeros((0, 3, 5), np.float32)).shape == (0, 4, 4)


def front_window(rank: int) -> Any:
    """A window without anything."""
    return Window((1,) * rank, (1,) * rank, ((0, 0),) * rank)


def test_tensors_of_float16_are_multiplied_as_they_are() -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="c")]
    w, x = values(1, 4, 3, 2, 2).astype(np.float16), values(0, 1, 3, 5, 5).astype(np.float16)
    made = model(nodes, {"x": [1, 3, 5, 5]}, {"y": 4}, {"w": w}, TensorProto.FLOAT16)
    loaded = front.load(made, "i8", [x])
    (layer,) = loaded.layers
    assert (layer.arithmetic, layer.ran_by) == ("f16", "convjit")
    assert layer.why == "its tensors are float16: they are multiplied as they are, 'i8' is for float32"
    y = loaded.run(x)["y"]
    wanted = convjit.reference(loaded.layers[0].spec, x, w)
    assert y.dtype == np.float16 and nrmse(y, wanted) < 1e-3


# --- what is not replaced is said


def body(kind: str) -> Any:
    """A branch of `If` with a convolution of the value x of outside."""
    nodes = [helper.make_node("Conv", ["x", "w"], [f"{kind}_y"], name=f"{kind}_conv")]
    return helper.make_graph(nodes, kind, [], [helper.make_tensor_value_info(f"{kind}_y", TensorProto.FLOAT, [None] * 4)])


def test_what_is_left_is_listed_with_its_reason() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="ours", pads=[1, 1, 1, 1]),
        helper.make_node("ConvTranspose", ["a", "w"], ["b"], name="up", pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["v", "v"], ["vv"]),
        helper.make_node("Conv", ["b", "vv"], ["y"], name="dynamic"),
        helper.make_node("ReduceMax", ["x"], ["m"], keepdims=0),
        helper.make_node("Greater", ["m", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["z"], name="branch", then_branch=body("yes"), else_branch=body("no")),
    ]
    inputs: dict[str, Any] = {"x": [1, 3, 6, 6], "v": [3, 3, 1, 1]}
    made = model(nodes, inputs, {"y": 4, "z": 4}, {"w": values(1, 3, 3, 3, 3), "zero": np.float32(0)})
    loaded = front.load(made, "i16", [[values(0, 1, 3, 6, 6), values(2, 3, 3, 1, 1)]])
    assert [(layer.name, layer.kind, layer.ran_by, layer.why) for layer in loaded.layers] == [
        ("ours", "Conv", "convjit", ""),
        ("up", "ConvTranspose", "onnxruntime", "only Conv is replaced, not ConvTranspose"),
        ("dynamic", "Conv", "onnxruntime", "its weight or bias is computed by the model"),
        ("branch/no_conv", "Conv", "onnxruntime", "it stands in the body of If 'branch'"),
        ("branch/yes_conv", "Conv", "onnxruntime", "it stands in the body of If 'branch'"),
    ]
    compared = loaded.compare({"v": values(2, 3, 3, 1, 1), "x": values(0, 1, 3, 6, 6)})
    assert compared.nrmse["z"] == 0 and compared.nrmse["y"] < 1e-3
    assert "onnxruntime: only Conv is replaced, not ConvTranspose" in compared.table()


def test_four_axes_of_space_are_left() -> None:
    made = one_conv([1, 2, 3, 3, 3, 3], [2, 2, 1, 1, 1, 1])
    assert [layer.why for layer in front.load(made).layers] == ["it has 4 axes of space; convjit has 1 to 3"]


def test_a_node_may_be_left_to_onnx_runtime() -> None:
    x = values(0, 1, 3, 15, 18)
    loaded = front.load(small_network(), {"first": "onnxruntime", "*": "i16"}, [x])
    first, second = loaded.layers
    assert (first.ran_by, first.why, second.ran_by, second.arithmetic) == ("onnxruntime", "as asked for", "convjit", "i16")
    assert nrmse(loaded.run(x)["y"], loaded.run_f32(x)["y"]) < 1e-3
    assert loaded.compare(x).layers[0].nrmse == 0


# --- shapes of models


def test_weights_in_constant_nodes_and_computed_from_constants() -> None:
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(values(1, 4, 3, 3, 3))),
        helper.make_node("Constant", [], ["half"], value_float=0.5),
        helper.make_node("Constant", [], ["axes"], value_ints=[0]),
        helper.make_node("Mul", ["w", "half"], ["v"]),
        helper.make_node("ReduceSum", ["bias", "axes"], ["b"], keepdims=0),
        helper.make_node("Conv", ["x", "v", "b"], ["y"]),
    ]
    made = model(nodes, {"x": [1, 3, 5, 5]}, {"y": 4, "half": 0}, {"bias": values(2, 2, 4)})
    loaded = front.load(made)
    x = values(0, 1, 3, 5, 5)
    (layer,) = loaded.layers
    assert (layer.name, layer.ran_by) == ("y", "convjit")
    outputs = loaded.run(x)
    assert nrmse(outputs["y"], loaded.run_f32(x)["y"]) < BOUND
    assert outputs["half"] == 0.5


def test_random_weights_are_no_constants() -> None:
    nodes = [
        helper.make_node("RandomNormal", [], ["w"], shape=[4, 3, 3, 3]),
        helper.make_node("Conv", ["x", "w"], ["y"]),
    ]
    (layer,) = front.load(model(nodes, {"x": [1, 3, 5, 5]}, {"y": 4})).layers
    assert layer.why == "its weight or bias is computed by the model"


def test_a_convolution_of_a_constant_and_an_input_that_is_an_output() -> None:
    nodes = [helper.make_node("Conv", ["k", "w"], ["y"]), helper.make_node("Conv", ["y", "v"], ["z"])]
    constants = {"k": values(0, 1, 3, 5, 5), "w": values(1, 4, 3, 3, 3), "v": values(2, 2, 4, 1, 1)}
    made = model(nodes, {"x": [2]}, {"z": 4, "x": 1, "k": 4}, constants)
    x = values(3, 2)
    loaded = front.load(made)
    outputs = loaded.run(x)
    assert nrmse(outputs["z"], loaded.run_f32(x)["z"]) < BOUND
    assert np.array_equal(outputs["x"], x) and np.array_equal(outputs["k"], constants["k"])


def test_sequences_and_outputs_left_out_between_convolutions() -> None:
    nodes = [
        helper.make_node("SplitToSequence", ["x"], ["parts"], axis=2),
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("ReduceSum", ["a"], ["s"], keepdims=0),
        helper.make_node("Cast", ["s"], ["i"], to=TensorProto.INT64),
        helper.make_node("Mul", ["i", "none"], ["zero"]),
        helper.make_node("SequenceAt", ["parts", "zero"], ["y"]),
        helper.make_node("LSTM", ["y3", "lw", "lr"], ["", "z"], hidden_size=2),
        helper.make_node("Squeeze", ["y", "two"], ["y2"]),
        helper.make_node("Concat", ["y2"], ["y3"], axis=0),
    ]
    order = [*nodes[:6], nodes[7], nodes[8], nodes[6]]
    constants = {
        "w": values(1, 4, 3, 3, 3), "none": np.int64(0), "two": np.array([2]), "lw": values(1, 1, 8, 5), "lr": values(2, 1, 8, 2),
    }  # fmt: skip
    made = model(order, {"x": [1, 3, 5, 5]}, {"y": 4, "z": 3}, constants)
    loaded, x = front.load(made), values(0, 1, 3, 5, 5)
    outputs, wanted = loaded.run(x), loaded.run_f32(x)
    assert np.array_equal(outputs["y"], x[:, :, :1]) and nrmse(outputs["z"], wanted["z"]) < BOUND


def test_functions_of_a_model_are_opened() -> None:
    inner = [helper.make_node("Conv", ["a", "k"], ["c"]), helper.make_node("Relu", ["c"], ["r"])]
    function = helper.make_function("own", "Block", ["a", "k"], ["r"], inner, [helper.make_opsetid("", 17)])
    nodes = [helper.make_node("Block", ["x", "w"], ["y"], domain="own")]
    made = model(nodes, {"x": [1, 3, 5, 5]}, {"y": 4}, {"w": values(1, 4, 3, 3, 3)}, functions=[function])
    loaded, x = front.load(made), values(0, 1, 3, 5, 5)
    assert [layer.ran_by for layer in loaded.layers] == ["convjit"]
    assert nrmse(loaded.run(x)["y"], loaded.run_f32(x)["y"]) < BOUND


def test_a_name_that_is_another_node_s_output_is_not_used() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="y"),
        helper.make_node("Conv", ["a", "v"], ["y"]),
    ]
    made = model(nodes, {"x": [1, 3, 5, 5]}, {"y": 4}, {"w": values(1, 4, 3, 3, 3), "v": values(2, 2, 4, 1, 1)})
    assert [layer.name for layer in front.load(made).layers] == ["a", "y"]


def test_a_model_from_bytes_a_file_and_weights_beside_it(tmp_path: Any) -> None:
    made, x = small_network(), values(0, 1, 3, 15, 18)
    wanted = front.load(made).run(x)["y"]
    assert np.array_equal(front.load(made.SerializeToString()).run([x])["y"], wanted)
    path = tmp_path / "net.onnx"
    onnx.save(made, str(path), save_as_external_data=True, location="weights", size_threshold=0)
    loaded = front.load(path)
    (tmp_path / "weights").unlink()
    assert np.array_equal(loaded.run({"x": x})["y"], wanted)
    assert (loaded.inputs, loaded.outputs) == (("x",), ("y",))
