"""The driver behind its functions: what is found, and what its errors become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convjit
from convjit import machine
from convjit.errors import ConvError, InternalError, Unavailable
from convjit.runtime import cuda
from convjit.runtime.cuda_code import Code, check_runs, runs, version_of
from convjit.runtime.cuda_memory import Memory
from convjit.runtime.device_array import DeviceArray
from convjit.targets import machine_of
from tests.gpu import fake
from tests.gpu.fake import Driver
from tests.gpu.test_call import SMALL, arrays, compiled, on_device

INSTALL = "  hint: A machine with an NVIDIA GPU needs its driver and `pip install convjit[cuda]`."


def test_a_device_is_described(driver: Driver) -> None:
    driver.sms = (90, 75)
    first, second = cuda.devices()
    assert first == cuda.Gpu(0, "Fake 90", 90, 132, 1 << 30, 1980.0, 130)
    assert (second.number, second.sm) == (1, 75)
    assert cuda.current_device() == 0
    driver._stack().append(1001)
    assert cuda.current_device() == 1


@pytest.mark.parametrize(
    ("version", "ptx"), [(10020, 65), (11040, 74), (12040, 84), (12060, 85), (12080, 87), (13000, 90)]
)
def test_the_newest_ptx_that_a_driver_takes(driver: Driver, version: int, ptx: int) -> None:
    driver.version = version
    assert cuda.devices()[0].ptx == ptx


@pytest.mark.parametrize(("sm", "name"), [(75, "sm_75"), (80, "sm_80"), (86, "sm_80"), (89, "sm_80"), (90, "sm_90a")])
def test_the_target_cuda_is_the_newest_machine_that_runs(driver: Driver, sm: int, name: str) -> None:
    driver.sms = (sm,)
    assert machine_of("cuda").name == f"cuda:{name}"


def test_a_gpu_newer_than_any_known_is_told_so(driver: Driver) -> None:
    driver.sms = (120,)
    text = "^'Fake 120' is sm_120, newer than any GPU known here: it gets code for sm_80.$"
    with pytest.warns(UserWarning, match=text):
        assert machine_of("cuda").name == "cuda:sm_80"


def test_a_gpu_that_is_too_old(driver: Driver) -> None:
    driver.sms = (70,)
    with pytest.raises(Unavailable) as caught:
        machine_of("cuda")
    assert str(caught.value) == (
        "error: The GPU here is too old.\n  note: 'Fake 70' is sm_70; the oldest that code is made for is sm_75."
    )


def test_code_of_one_architecture_runs_nowhere_else() -> None:
    hopper, ampere = machine.get("cuda:sm_90a"), machine.get("cuda:sm_80")
    assert [runs(sm, hopper) for sm in (80, 90, 100)] == [False, True, False]
    assert [runs(sm, ampere) for sm in (75, 80, 90, 120)] == [False, True, True, True]


def test_a_kernel_for_another_gpu_compiles_and_is_refused_when_called(driver: Driver) -> None:
    driver.sms = (80,)
    kernel = compiled(driver, SMALL)
    assert ".target sm_90a" in kernel.dump("ptx")
    with pytest.raises(Unavailable) as caught:
        kernel(**on_device(driver, arrays(SMALL)))
    assert str(caught.value) == (
        "error: The GPU here cannot run cuda:sm_90a.\n"
        "  note: 'Fake 80' is sm_80; code for sm_90a runs on sm_90 only.\n"
        "  hint: Compile with target 'cuda', which takes what the GPU here can run."
    )
    gpu = cuda.devices()[0]
    with pytest.raises(Unavailable, match="code for sm_80 runs on sm_80 and newer"):
        check_runs(cuda.Gpu(0, "Old", 75, 1, 1, 1.0, gpu.cuda), machine.get("cuda:sm_80"))


def test_a_driver_that_is_too_old(driver: Driver) -> None:
    driver.version = 11040
    with pytest.raises(Unavailable) as caught:
        compiled(driver, SMALL)
    assert str(caught.value) == (
        "error: The driver of 'Fake 90' is too old for this code.\n  note: It knows PTX 7.4, the code needs 8.0.\n"
        "  hint: Install a newer driver."
    )
    assert version_of("no ptx") == 0


def test_without_a_gpu_code_is_made_and_calls_are_refused(driver: Driver) -> None:
    driver.sms = ()
    kernel = compiled(driver, SMALL)
    assert "fma.rn.f32" in kernel.dump("ptx")
    for call in (lambda: kernel(1, 2, 3), lambda: kernel.bind(1), lambda: convjit.compile(SMALL.text, target="cuda")):
        with pytest.raises(Unavailable) as caught:
            call()
        assert str(caught.value) == (
            "error: There is no GPU to be had here.\n"
            f"  note: The driver does not start: CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected).\n{INSTALL}"
        )


def no_package(name: str) -> Any:
    raise ImportError(f"No module named '{name}'")


class NoLibrary:
    """Bindings whose driver library is missing."""

    @staticmethod
    def cuInit(flags: int) -> Any:
        raise RuntimeError("libcuda.so.1 is not there\nand more")


def test_without_the_package_or_the_driver(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    for found, note in (
        (no_package, "The package cuda-bindings cannot be loaded: No module named 'cuda.bindings.driver'."),
        (lambda name: NoLibrary, "The driver cannot be loaded: libcuda.so.1 is not there"),
    ):
        fake.forget()
        monkeypatch.setattr(cuda, "import_module", found)
        with pytest.raises(Unavailable) as caught:
            cuda.devices()
        assert str(caught.value) == f"error: There is no GPU to be had here.\n  note: {note}\n{INSTALL}"


def test_no_memory(driver: Driver) -> None:
    driver.fail["cuMemAlloc"] = 2
    with pytest.raises(MemoryError, match=r"^The GPU has no memory for 4096 bytes\.$"):
        Memory(0, 4096)
    del driver.fail["cuMemAlloc"]
    kernel, device = compiled(driver, SMALL), on_device(driver, arrays(SMALL))
    driver.launches.clear()
    driver.fail["cuMemAllocFromPoolAsync"] = 2
    with pytest.raises(MemoryError, match=r"^The GPU has no memory for 512 bytes of temporaries\.$"):
        kernel(**device)
    assert driver.launches == []
    assert driver._stack() == []


def test_binding_inside_a_capture(driver: Driver) -> None:
    kernel, device = compiled(driver, SMALL), on_device(driver, arrays(SMALL))
    driver.fail["cuStreamSynchronize"] = 900
    with pytest.raises(ConvError) as caught:
        kernel.bind(device["w"])
    assert str(caught.value) == (
        "error: While a CUDA graph is captured, waiting for a stream cannot be done.\n"
        "  note: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (operation not permitted when stream is capturing)\n"
        "  hint: Compile and bind before the capture; call inside it."
    )


def test_a_forked_process(driver: Driver) -> None:
    kernel, device = compiled(driver, SMALL), on_device(driver, arrays(SMALL))
    driver.fail["cuCtxGetCurrent"] = 3
    with pytest.raises(Unavailable) as caught:
        kernel(**device)
    assert str(caught.value) == (
        "error: A forked process cannot use its parent's GPU.\n"
        "  note: CUDA_ERROR_NOT_INITIALIZED (initialization error)\n"
        "  hint: Use the start method 'spawn' where several processes use a GPU."
    )


def test_other_errors_are_ours(driver: Driver) -> None:
    kernel, device = compiled(driver, SMALL), on_device(driver, arrays(SMALL))
    driver.fail["cuLaunchKernel"] = 700
    text = (
        r"^the GPU's driver fails at starting a kernel \(or at earlier work that shows only now\): "
        r"CUDA_ERROR_ILLEGAL_ADDRESS \(an illegal memory access was encountered\)$"
    )
    with pytest.raises(InternalError, match=text):
        kernel(**device)
    driver.fail["cuLaunchKernel"] = 12345
    with pytest.raises(InternalError, match=r"status 12345 \(status 12345\)$"):
        kernel(**device)


def test_ptx_that_the_driver_refuses_is_shown(driver: Driver) -> None:
    steps = SMALL.on("cuda:sm_90a").program.steps
    with pytest.raises(InternalError) as caught:
        Code("rubbish", machine.get("cuda:sm_90a"), steps).on(0)
    assert str(caught.value) == (
        "the GPU's driver fails at compiling PTX (or at earlier work that shows only now): "
        "CUDA_ERROR_INVALID_PTX (a PTX JIT compilation failed)\nptxas fatal: no version\n--- PTX ---\nrubbish"
    )


def test_memory_is_freed_in_the_middle_of_a_capture(driver: Driver) -> None:
    """Only in the relaxed mode, which is put back at once."""
    memory = Memory(0, 64)
    driver.log.clear()
    del memory
    relaxed, before = "CU_STREAM_CAPTURE_MODE_RELAXED", "CU_STREAM_CAPTURE_MODE_GLOBAL"
    assert driver.log == [("mode", relaxed), ("free",), ("mode", before)]


def test_times_are_those_of_the_gpu(driver: Driver) -> None:
    calls: list[int] = []
    assert cuda.seconds(0, 0, lambda: calls.append(1), repeat=5) == pytest.approx(1e-3)
    assert len(calls) == 5


def test_arrays_to_the_gpu_and_back(driver: Driver) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    there = DeviceArray.of(array.T, stream=6)
    assert (there.shape, there.dtype, there.stream) == ((4, 3), "f32", 6)
    np.testing.assert_array_equal(there.numpy(), array.T)
    described = there.__cuda_array_interface__
    assert (described["typestr"], described["stream"], described["strides"]) == ("<f4", 6, None)
    assert DeviceArray((1,), "f32").__cuda_array_interface__["stream"] == 1
