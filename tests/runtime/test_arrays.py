"""Arrays of all kinds: what is taken without a copy, and the sentence for what is not."""

from __future__ import annotations

import array
from typing import Any, ClassVar

import ml_dtypes
import numpy as np
import pytest

from convjit.errors import InternalError
from convjit.kernel.program import Array, Program, Step
from convjit.nest.ir import OpenSize
from convjit.runtime.native_conv import NativeConv
from tests.runtime import kernels

X = np.arange(8, dtype=np.float32).reshape(1, 8)
W = np.array([3], np.float32)


class Interface:
    """An object with nothing but an array interface."""

    def __init__(self, data: np.ndarray[Any, Any]) -> None:
        self.data = data

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return dict(self.data.__array_interface__)


class Capsule:
    """An object with nothing but DLPack, on a device of that number."""

    def __init__(self, data: np.ndarray[Any, Any], device: int = 1) -> None:
        self.data, self.device = data, device

    def __dlpack__(self, **named: Any) -> Any:
        return self.data.__dlpack__(**named)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0


class OnCuda:
    """An object with a CUDA array interface, as CuPy's are."""

    __cuda_array_interface__: ClassVar[dict[str, Any]] = {
        "shape": (1, 8),
        "typestr": "<f4",
        "data": (0, False),
        "version": 3,
    }


class NoCapsule(Capsule):
    def __dlpack__(self, **named: Any) -> Any:
        raise BufferError("not today")


def unaligned() -> np.ndarray[Any, Any]:
    raw = np.zeros(33, np.uint8)[1:]
    return raw.view(np.float32).reshape(1, 8)


def frozen() -> np.ndarray[Any, Any]:
    y = np.zeros((1, 8), np.float32)
    y.flags.writeable = False
    return y


@pytest.mark.parametrize(
    "x",
    [Interface(X), Capsule(X), memoryview(X.data), X.view(np.memmap), X.copy()],
    ids=["interface", "dlpack", "buffer", "subclass", "ndarray"],
)
def test_every_protocol_is_read_in_place(x: Any) -> None:
    kernel = kernels.scale()
    result = kernel(x, W)
    assert type(result) is np.ndarray
    np.testing.assert_array_equal(result, X * 3)
    np.testing.assert_array_equal(kernel.bind(Interface(W))(x), X * 3)


def test_a_buffer_of_bytes_is_an_array_of_u8() -> None:
    program = kernels.grid_program(2, 3)
    program = Program(
        "grid", (Array("like", "u8", ("columns",)),), program.output, (), program.steps, program.sizes
    )
    kernel = NativeConv(program, kernels.library(kernels.GRID, program), threads=1)
    out = np.zeros((2, 3), np.int32)
    kernel(b"abc", out=out)
    kernel(array.array("B", [1, 2, 3]), out=out)
    assert (out == 2).all()


def test_out_through_an_interface_is_written_in_place() -> None:
    y = np.zeros((1, 8), np.float32)
    out = Interface(y)
    assert kernels.scale()(X, W, out=out) is out
    np.testing.assert_array_equal(y, X * 3)


EXPECTED_X = "x: expected f32[N=1, C=8], got "
TYPE, VALUE = TypeError, ValueError


@pytest.mark.parametrize(
    ("args", "named", "kind", "text"),
    [
        ((), {}, TYPE, "scale(x, w): 'x', 'w' are missing."),
        ((X,), {}, TYPE, "scale(x, w): 'w' is missing."),
        ((X, W, X), {}, TYPE, "scale(x, w) takes 2 arrays, 3 were given."),
        ((X, W), {"x": X}, TYPE, "scale(x, w) got 'x' twice, by position and by name."),
        ((X,), {"W": W}, TYPE, "scale(x, w) has no array 'W'; it takes x, w. Did you mean 'w'?"),
        ((X, W), {"bias": W}, TYPE, "scale(x, w) has no array 'bias'; it takes x, w."),
        (
            ([1.0], W),
            {},
            TYPE,
            (
                "x is a list, not an array: pass a NumPy, PyTorch or JAX array, or any object with DLPack, an array "
                "interface or a buffer."
            ),
        ),
        (
            (np.ma.masked_array(X), W),
            {},
            TYPE,
            "x is a masked array, and its mask would be ignored; pass x.filled(0).",
        ),
        ((X.astype(float), W), {}, TYPE, EXPECTED_X + "f64[1, 8]. Convert it: x.astype(np.float32)."),
        ((X.astype(">f4"), W), {}, TYPE, EXPECTED_X + ">f4[1, 8]. Convert it: x.astype(np.float32)."),
        ((X > 0, W), {}, TYPE, EXPECTED_X + "bool[1, 8]. Convert it: x.astype(np.float32)."),
        ((X[0], W), {}, VALUE, EXPECTED_X + "f32[8]."),
        ((np.zeros((1, 9), np.float32), W), {}, VALUE, EXPECTED_X + "f32[1, 9]."),
        ((X, np.zeros((1, 1), np.float32)), {}, VALUE, "w: expected f32[OC=1], got f32[1, 1]."),
        (
            (np.zeros((1, 16), np.float32)[:, ::2], W),
            {},
            VALUE,
            "x is not contiguous: its strides are [16, 2] elements for shape [1, 8]. Pass np.ascontiguousarray(x).",
        ),
        (
            (X[:, ::-1], W),
            {},
            VALUE,
            (
                "x is not contiguous: its strides are [8, -1] elements for shape [1, 8]. "
                "Pass np.ascontiguousarray(x)."
            ),
        ),
        ((unaligned(), W), {}, VALUE, "x starts at an address that is not a multiple of 4; pass x.copy()."),
        (
            (X, W),
            {"out": frozen()},
            VALUE,
            "out is read-only; pass an array that may be written, or leave out away.",
        ),
        ((X, W), {"out": X}, VALUE, "out overlaps x in memory; pass a separate array, or leave out away."),
        (
            (X, W),
            {"out": np.zeros((1, 7), np.float32)},
            VALUE,
            "out: expected f32[N=1, OC=8], got f32[1, 7].",
        ),
        (
            (X, W),
            {"out": np.zeros((1, 8), np.int32)},
            TYPE,
            "out: expected f32[N=1, OC=8], got i32[1, 8]. Convert it: out.astype(np.float32).",
        ),
        (
            (OnCuda(), W),
            {},
            TYPE,
            (
                "x is on a CUDA device, and this kernel runs on the CPU; copy it there: cupy.asnumpy(x), or compile for "
                "that device."
            ),
        ),
        (
            (Capsule(X, 10), W),
            {},
            TYPE,
            "x is on rocm:0, and this kernel runs on the CPU; copy it there, or compile for that device.",
        ),
        (
            (Capsule(X, 99), W),
            {},
            TYPE,
            "x is on DLPack device 99:0, and this kernel runs on the CPU; copy it there, or compile for that device.",
        ),
        ((NoCapsule(X), W), {}, VALUE, "x cannot be taken through DLPack: not today."),
    ],
)
def test_the_sentence_for_what_does_not_fit(
    args: tuple[Any, ...], named: dict[str, Any], kind: type[Exception], text: str
) -> None:
    kernel = kernels.scale()
    for call in (kernel, kernel.function):
        with pytest.raises(kind) as caught:
            call(*args, **named)
        assert str(caught.value) == text
        assert type(caught.value) is kind


def test_nothing_is_written_where_a_call_is_refused() -> None:
    kernel = kernels.scale()
    memory = np.full(12, 7, np.float32)
    x, y = memory[:8].reshape(1, 8), memory[4:].reshape(1, 8)
    with pytest.raises(ValueError, match="out overlaps x in memory"):
        kernel(x, W, out=y)
    with pytest.raises(TypeError, match="w: expected"):
        kernel(x, W.astype(int), out=np.zeros((1, 8), np.float32))
    assert (memory == 7).all()


def test_out_must_not_overlap_a_bound_array() -> None:
    memory = np.full(8, 7, np.float32)
    bound = kernels.scale().bind(memory[:1])
    for x in (X, Interface(X)):
        with pytest.raises(
            ValueError, match=r"^out overlaps w in memory; pass a separate array, or leave out away\.$"
        ):
            bound(x, out=memory.reshape(1, 8))
    assert (memory == 7).all()


def test_arrays_side_by_side_do_not_overlap() -> None:
    memory = np.arange(16, dtype=np.float32)
    x, y = memory[:8].reshape(1, 8), memory[8:].reshape(1, 8)
    kernels.scale()(x, W, out=y)
    np.testing.assert_array_equal(y, x * 3)


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        (((5,), (4, 2)), "r: expected f32[H=5, 2], got f32[4, 2]."),
        (((5,), (5, 3)), "r: expected f32[H=5, 2], got f32[5, 3]."),
        (((5, 1), (5, 2)), "x: expected f32[H=?], got f32[5, 1]."),
        (((0,), (0, 2)), "H=0 is too small: OH = (H-1) // 1 + 1 would be 0. H must be at least 1."),
    ],
)
def test_open_sizes_must_agree(shapes: tuple[tuple[int, ...], ...], text: str) -> None:
    x, r = (np.zeros(shape, np.float32) for shape in shapes)
    with pytest.raises(ValueError) as caught:
        kernels.opened()(x, W, r)
    assert str(caught.value) == text


def test_an_output_of_unknown_size_is_our_mistake() -> None:
    step = Step("scale", ("x", "x", "y"), ("y",), ())
    output = Array("y", "f32", ("M",))
    program = Program("lost", (Array("x", "f32", (1,)),), output, (), (step,), (OpenSize("M"),))
    library = kernels.library("define void @scale(ptr %x, ptr %w, ptr %y) {\n  ret void\n}\n", program)
    with pytest.raises(InternalError, match="the size M of the output follows from no argument"):
        NativeConv(program, library, threads=1)(W)


def test_bind_names_its_own_arguments() -> None:
    kernel = kernels.scale()
    for args, named, text in (
        ((W, X), {}, "scale.bind(w) takes 1 array, 2 were given."),
        ((W,), {"w": W}, "scale.bind(w, x) got 'w' twice, by position and by name."),
        ((), {"b": W}, "scale.bind(w, x) has no array 'b'; it takes w, x."),
        ((W.astype(int),), {}, "w: expected f32[OC=1], got i64[1]. Convert it: w.astype(np.float32)."),
    ):
        with pytest.raises(TypeError) as caught:
            kernel.bind(*args, **named)
        assert str(caught.value) == text


@pytest.mark.parametrize("name", ["f16", "bf16", "i16"])
def test_sixteen_bit_types(name: str) -> None:
    kernel = kernels.copy16(name)
    dtype = {"f16": np.dtype(np.float16), "bf16": np.dtype(ml_dtypes.bfloat16), "i16": np.dtype(np.int16)}[
        name
    ]
    x, y = np.array([5], dtype), np.zeros(1, dtype)
    assert kernel(x).dtype == dtype
    assert kernel(x, out=y) is y
    assert kernel(x=x)[0] == y[0] == 5
    for other in (np.uint16, np.float16 if name != "f16" else np.int16):
        with pytest.raises(
            TypeError, match=rf"^x: expected {name}\[1\], got \w+\[1\]\. Convert it: x\.astype\("
        ):
            kernel(np.zeros(1, other))
    assert kernel(x=Interface(x) if name != "bf16" else x.view(np.memmap))[0] == 5


def test_the_way_out_for_bf16_names_ml_dtypes() -> None:
    with pytest.raises(TypeError) as caught:
        kernels.copy16("bf16")(np.zeros(1, np.uint16))
    assert (
        str(caught.value) == "x: expected bf16[1], got uint16[1]. Convert it: x.astype(ml_dtypes.bfloat16)."
    )
