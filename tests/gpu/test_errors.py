"""What does not fit a GPU's kernel is refused with a sentence, and nothing is started."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from convjit import machine
from convjit.errors import InternalError, Unavailable
from convjit.runtime import geometry
from convjit.runtime.compiled import CompiledConv
from convjit.runtime.cuda_code import Code
from tests.gpu.cases import Case, conv
from tests.gpu.fake import Driver, OnDevice
from tests.gpu.test_call import BY_NAME, SMALL, arrays, compiled, on_device

OTHER = "and this kernel runs on a GPU; copy it there:"
CPU = "or compile with target 'cpu'."


class Elsewhere:
    """An object with DLPack on some device."""

    def __init__(self, kind: int) -> None:
        self.kind = kind

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.kind, 0

    def __dlpack__(self, **_named: Any) -> Any:
        raise BufferError("not today")


@pytest.fixture
def small(driver: Driver) -> tuple[CompiledConv, dict[str, Any]]:
    kernel = compiled(driver, SMALL)
    driver.launches.clear()
    return kernel, dict(on_device(driver, arrays(SMALL)))


def floats(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros(shape, np.float32)


def refused(
    driver: Driver, small: tuple[CompiledConv, dict[str, Any]], kind: type[Exception], text: str, **other: Any
) -> None:
    kernel, given = small
    with pytest.raises(kind) as caught:
        kernel(**given | other)
    assert type(caught.value) is kind
    assert str(caught.value) == text
    assert driver.launches == []


def test_arrays_of_the_processor(driver: Driver, small: tuple[CompiledConv, dict[str, Any]]) -> None:
    text = f"x is a NumPy array in the processor's memory, {OTHER} cupy.asarray(x) or torch.from_numpy(x).cuda(), {CPU}"
    refused(driver, small, TypeError, text, x=floats(1, 3, 4, 2))
    text = f"out is a NumPy array in the processor's memory, {OTHER} cupy.asarray(out) or torch.from_numpy(out).cuda(), {CPU}"
    refused(driver, small, TypeError, text, out=floats(1, 3, 4, 4))
    text = f"x is not on a CUDA device, {OTHER} with its library, {CPU}"
    refused(driver, small, TypeError, text, x=Elsewhere(1))
    text = "x cannot be taken through DLPack: not today."
    refused(driver, small, ValueError, text, x=Elsewhere(2))
    text = (
        "x is a list, not an array on a GPU: pass one of PyTorch, CuPy, JAX or Numba, or any object with DLPack or a CUDA "
        "array interface."
    )
    refused(driver, small, TypeError, text, x=[1, 2])


def test_arrays_that_do_not_fit(driver: Driver, small: tuple[CompiledConv, dict[str, Any]]) -> None:
    def on(array: np.ndarray[Any, Any], **changes: Any) -> OnDevice:
        return OnDevice(driver, array, **changes)

    x = floats(1, 3, 4, 2)
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"x": on(x.astype(np.float64))}, TypeError,
         "x: expected f32[N=1, H=3, W=4, C=2], got f64[1, 3, 4, 2]. Convert it: x.astype(np.float32)."),
        ({"x": on(floats(1, 3, 4, 3))}, ValueError, "x: expected f32[N=1, H=3, W=4, C=2], got f32[1, 3, 4, 3]."),
        ({"x": on(floats(1, 3, 4, 4), shape=(1, 3, 4, 2), strides=(192, 64, 16, 4))}, ValueError,
         "x is not contiguous: its strides are [48, 16, 4, 1] elements for shape [1, 3, 4, 2]. "
         "Pass a dense copy."),
        ({"x": on(x, mask=x)}, TypeError, "x has a mask, which would be ignored; pass an array without one."),
        ({"out": on(floats(1, 3, 4, 4), data=(driver.keep(floats(48)), True))}, ValueError,
         "out is read-only; pass an array that may be written, or leave out away."),
        ({"out": on(floats(1, 3, 4, 5))}, ValueError, "out: expected f32[N=1, OH=3, OW=4, OC=4], got f32[1, 3, 4, 5]."),
        ({"x": on(x, device=1)}, ValueError, "w is on cuda:0, x is on cuda:1; put them together."),
    ]  # fmt: skip
    for other, kind, text in cases:
        refused(driver, small, kind, text, **other)


def test_an_output_that_overlaps(driver: Driver, small: tuple[CompiledConv, dict[str, Any]]) -> None:
    memory = floats(24 + 48)
    whole = driver.keep(memory)
    x = OnDevice(driver, memory[:24].reshape(1, 3, 4, 2))
    out = OnDevice(driver, memory[16:64].reshape(1, 3, 4, 4), data=(whole + 64, False))
    text = "out overlaps x in memory; pass a separate array, or leave out away."
    refused(driver, small, ValueError, text, x=x, out=out)


def test_wide_accesses_need_an_aligned_start(driver: Driver) -> None:
    case, driver.runs = BY_NAME["matrix_async"], False
    kernel, given = compiled(driver, case, "cuda:sm_80"), arrays(case)
    memory = np.zeros(given["x"].size + 8, np.float32)
    begin = driver.keep(memory)
    off = begin + (4 - begin % 16) % 16  # 4 bytes behind a multiple of 16
    x = OnDevice(driver, given["x"], data=(off, False))
    with pytest.raises(ValueError) as caught:
        kernel(x, OnDevice(driver, given["w"]))
    assert str(caught.value) == "x starts at an address that is not a multiple of 16; pass x.copy()."
    assert driver.launches == []


def test_names_and_numbers_of_arguments(driver: Driver, small: tuple[CompiledConv, dict[str, Any]]) -> None:
    kernel, given = small
    with pytest.raises(TypeError, match=r"^small\(x, w, b\): 'b' is missing\.$"):
        kernel(given["x"], given["w"])
    with pytest.raises(TypeError, match="has no array 'bias'"):
        kernel.bind(bias=given["b"])


def test_too_large_for_32_bits_is_refused_when_compiling(driver: Driver) -> None:
    case = Case("huge", conv(700, 896, 896, 1, 1), "n:block oh:block ow:block [y] kh kw c")
    with pytest.raises(Unavailable) as caught:
        compiled(driver, case)
    assert str(caught.value) == (
        "error: 'x' has 2247884800 bytes.\n  note: A GPU kernel addresses 2147483647 of an array.\n"
        "  hint: Split the batch."
    )


def test_too_large_for_32_bits_is_refused_at_the_call(driver: Driver) -> None:
    case, driver.runs = BY_NAME["open_batch"], False
    kernel, given = compiled(driver, case), arrays(case, N=1)
    x = OnDevice(driver, given["x"], shape=(400_000, 9, 9, 20))
    out = OnDevice(driver, given["x"].copy(), shape=(400_000, 9, 9, 20), data=(1 << 46, False))
    with pytest.raises(Unavailable, match=r"^error: 'x' has 2592000000 bytes\.\n  note: A GPU kernel addresses"):
        kernel(x, OnDevice(driver, given["w"]), out=out)
    assert driver.launches == []


def test_too_many_blocks(driver: Driver) -> None:
    c = BY_NAME["open_batch"].on("cuda:sm_90a")
    step = c.program.steps[-1]
    assert geometry.blocks(step, {"N": 2}) == 2 * 5 * 9
    with pytest.raises(Unavailable) as caught:
        geometry.blocks(step, {"N": 10**7})
    assert str(caught.value) == (
        "error: 'open_batch' would need 450000000 blocks of 20 threads.\n"
        "  note: A GPU kernel has 2147483647 threads at most.\n  hint: Split the batch."
    )


def test_a_step_without_a_launch_is_our_mistake(driver: Driver) -> None:
    kernel = compiled(driver, SMALL)
    step = replace(kernel._python.plan.steps[0], launch=None)
    with pytest.raises(InternalError, match=r"^'small\.pack' has no launch$"):
        geometry.blocks(step, {})
    with pytest.raises(InternalError, match=r"^'small\.pack' has no launch$"):
        Code(kernel.dump("ptx"), machine.get("cuda:sm_90a"), (step,)).on(0)


def test_a_tensor_on_the_processor(driver: Driver, small: Any) -> None:
    torch = pytest.importorskip("torch")
    text = f"x is on cpu, {OTHER} x.cuda(), {CPU}"
    refused(driver, small, TypeError, text, x=torch.zeros(1, 3, 4, 2))


class Spread:
    """As much of a JAX array as is asked for before it is refused."""

    places: ClassVar[list[Any]] = []

    def devices(self) -> list[Any]:
        return self.places


def test_arrays_of_jax_elsewhere(driver: Driver, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    jax = ModuleType("jax")
    jax.Array = Spread  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jax", jax)
    Spread.places = [SimpleNamespace(platform="gpu")] * 2
    text = "x is spread over 2 devices; pass an array that lies on one."
    refused(driver, small, TypeError, text, x=Spread())

    class Place(SimpleNamespace):
        def __str__(self) -> str:
            return "TFRT_CPU_0"

    Spread.places = [Place(platform="cpu")]
    text = f"x is on TFRT_CPU_0, {OTHER} jax.device_put(x, jax.devices('gpu')[0]), {CPU}"
    refused(driver, small, TypeError, text, x=Spread())
