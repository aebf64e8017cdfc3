"""What the front door for ONNX says to those who give it something else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convjit.errors import ConvError, Unavailable
from convjit.front import onnx as front
from convjit.front.layer import ConvLayer, Window
from convjit.front.scales import scales

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import helper  # noqa: E402

from tests.front.models import model, one_conv, small_network, values  # noqa: E402

SHAPE = (1, 3, 15, 18)


def said(error: pytest.ExceptionInfo[ConvError]) -> str:
    return str(error.value)


def refused(given: Any, *more: Any, **named: Any) -> str:
    """What `load` says."""
    with pytest.raises(ConvError) as error:
        front.load(given, *more, **named)
    return said(error)


def test_no_such_file(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    assert refused(path) == f"error: The model '{path}' cannot be read: No such file or directory."
    assert refused(str(tmp_path)) == f"error: The model '{tmp_path}' cannot be read: Is a directory."


def test_not_a_model(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_text("conv a { }")
    hint = "  hint: The file may have been cut off, or be of another format."
    assert refused(path) == f"error: '{path}': this is not a model in ONNX's format.\n{hint}"
    assert refused(b"\xff\xff") == f"error: The bytes given: this is not a model in ONNX's format.\n{hint}"
    path.write_bytes(b"")
    assert refused(path).startswith(f"error: '{path}' breaks a rule of ONNX.\n  note: ")
    assert refused(7) == (
        "error: A model is a path, bytes or an onnx.ModelProto, not int.\n  hint: For example: load('net.onnx')"
    )


def test_a_model_that_was_cut_off(tmp_path: Path) -> None:
    path, data = tmp_path / "net.onnx", small_network().SerializeToString()
    path.write_bytes(data[: len(data) // 2])
    assert refused(path).startswith(f"error: '{path}': this is not a model in ONNX's format.")


def test_a_model_that_breaks_a_rule() -> None:
    broken = small_network()
    broken.graph.node[0].input[0] = "nowhere"
    assert refused(broken).startswith("error: The model breaks a rule of ONNX.\n  note: Nodes in a graph must be topologically sorted")


def test_weights_beside_the_model_that_are_not_there(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(small_network(), str(path), save_as_external_data=True, location="weights", size_threshold=0)
    (tmp_path / "weights").unlink()
    assert refused(path).startswith(f"error: The weights that '{path}' keeps in other files cannot be read.\n  note: ")


def test_what_onnx_runtime_does_not_know() -> None:
    made = one_conv([1, 3, 5, 5], [4, 3, 3, 3])
    made.graph.node[0].domain = "elsewhere"
    made.opset_import.append(helper.make_opsetid("elsewhere", 1))
    with pytest.raises(Unavailable) as error:
        front.load(made)
    assert said(error).startswith("error: ONNX Runtime cannot run this model.\n  note: ")
    assert "elsewhere" in said(error)


def test_unknown_words() -> None:
    assert refused(small_network(), "i8_per_chanel") == (
        "error: Unknown arithmetic 'i8_per_chanel'.\n  hint: Did you mean 'i8_per_channel'?"
    )
    assert refused(small_network(), "int") == (
        "error: Unknown arithmetic 'int'.\n  hint: There are f32, bf16, f16, i32, i16, i8, i4, i8_per_channel."
    )
    assert refused(small_network(), {"frist": "i8"}) == (
        "error: The model has no convolution 'frist' that an arithmetic could be chosen for.\n  hint: Did you mean 'first'?"
    )
    assert refused(small_network(), {"x": "i8"}) == (
        "error: The model has no convolution 'x' that an arithmetic could be chosen for.\n"
        "  hint: '*' stands for every other; the names are those of Model.layers."
    )
    assert refused(small_network(), method="min_max") == (
        "error: Unknown method of calibration 'min_max'.\n  hint: Did you mean 'minmax'?"
    )
    assert refused(small_network(), method="?") == (
        "error: Unknown method of calibration '?'.\n  hint: There are mse, minmax, percentile."
    )


def test_integers_need_calibration() -> None:
    wanted = (
        "error: 'i8' needs calibration: a list of inputs, from which scales are chosen.\n"
        "  hint: For example: load(model, arithmetic='i8', calibration=[x])"
    )
    assert refused(small_network(), "i8") == wanted
    assert refused(small_network(), "i8", {"x": values(0, *SHAPE)}) == wanted


def test_wrong_inputs() -> None:
    loaded = front.load(small_network())

    def wrong(inputs: Any) -> str:
        with pytest.raises(ConvError) as error:
            loaded.run(inputs)
        return said(error)

    x = values(0, *SHAPE)
    note = "\n  note: The inputs are x."
    assert wrong([x, x]) == f"error: The model has 1 inputs, 2 were given.{note}"
    assert wrong({"xx": x}) == f"error: The model has no input 'xx'.{note}\n  hint: Did you mean 'x'?"
    assert wrong({}) == f"error: The model's input 'x' is not given.{note}"
    assert wrong(x.astype(np.float64)) == (
        "error: The model's input 'x' is float32, the array given float64.\n  hint: x.astype('float32') converts it."
    )
    assert wrong(x[0]) == "error: The model's input 'x' is [N, 3, H, W], the array given [3, 15, 18]."
    assert wrong(x[:, :2]) == "error: The model's input 'x' is [N, 3, H, W], the array given [1, 2, 15, 18]."


def test_a_model_without_inputs() -> None:
    constants = {"k": values(0, 1, 3, 5, 5), "w": values(1, 4, 3, 3, 3)}
    loaded = front.load(model([helper.make_node("Conv", ["k", "w"], ["y"])], {}, {"y": 4}, constants))
    assert loaded.run({})["y"].shape == (1, 4, 3, 3)
    with pytest.raises(ConvError) as error:
        loaded.run({"x": values(0, 1)})
    assert said(error) == "error: The model has no input 'x'.\n  note: The model has no inputs."


def test_inputs_that_a_layer_or_the_runtime_cannot_work_on() -> None:
    loaded = front.load(one_conv(["N", 3, "H", "W"], [4, 3, 3, 3]))
    with pytest.raises(ConvError) as error:
        loaded.run(values(0, 1, 3, 2, 9))
    assert said(error).startswith("error: The convolution 'c' cannot run on an input of [1, 3, 2, 9].\n  note: ")
    nodes = [helper.make_node("Reshape", ["x", "s"], ["y"])]
    loaded = front.load(model(nodes, {"x": ["N"]}, {"y": 2}, {"s": np.array([2, 3])}))
    with pytest.raises(ConvError) as error:
        loaded.run(values(0, 7))
    assert said(error).startswith("error: ONNX Runtime cannot run the model on these inputs.\n  note: ")


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    hint = "  hint: pip install 'convjit[onnx]' brings onnx and onnxruntime."
    for name in ("onnx", "onnxruntime"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(Unavailable) as error:
                front.load(small_network())
        assert said(error) == f"error: '{name}' is not installed, and models in ONNX need it.\n{hint}"


def test_a_layer_of_integers() -> None:
    window = Window((1,), (1,), ((0, 0),))
    with pytest.raises(ConvError) as error:
        ConvLayer(np.ones((2, 2, 3), np.int8), None, window)
    assert said(error) == (
        "error: A layer of int8 is none of real numbers.\n  hint: Its types are f32, f16, bf16 and f64."
    )
    with pytest.raises(ConvError) as error:
        ConvLayer(values(0, 2, 2, 3), None, window, "i7")
    assert said(error).startswith("error: Unknown arithmetic 'i7'.\n  hint: There are f32, ")


def test_scales_by_an_unknown_method() -> None:
    w = values(0, 2, 2, 3)
    plain = ConvLayer(w, None, Window((1,), (1,), ((0, 0),))).plain((1, 2, 9))
    with pytest.raises(ConvError, match="Unknown method of calibration 'best'"):
        scales(plain, [values(1, 1, 2, 9)], w, "i8", "best")
