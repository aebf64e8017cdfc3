"""On a real GPU: results against float64, arrays of every library in place, and what is refused."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import convjit
from bench.gpu_shapes import SHAPES, Shape
from convjit import machine
from convjit.errors import InternalError
from convjit.runtime import cuda
from convjit.runtime.compiled import CompiledConv
from convjit.runtime.cuda_code import Code
from convjit.runtime.device_array import DeviceArray
from tests.gpu.cases import CASES, Case
from tests.gpu.device import compiled, tensors, wanted
from tests.gpu.test_call import SMALL, arrays

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX would take most of the memory


# --- results


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_kind_of_kernel_is_exact(torch: Any, case: Case) -> None:
    for name in ("cuda:sm_75", "cuda:sm_80"):  # older code runs on newer GPUs
        if machine.get(name).sm >= case.least:
            kernel = convjit.compile(case.text, target=name)
            assert isinstance(kernel, CompiledConv)
            result = kernel(**tensors(torch, case, N=3))
            np.testing.assert_array_equal(result.cpu().numpy(), wanted(kernel, case, N=3))


def check_shape(torch: Any, shape: Shape, n: int) -> None:
    """NRMSE against PyTorch in float64, below 1e-6."""
    torch.manual_seed(ord(shape.name))
    x = torch.randn(n, shape.size, shape.size, shape.c, device="cuda")
    w = torch.randn(shape.k, shape.k, shape.oc, shape.c // shape.groups, device="cuda")
    result = compiled(shape.text(n)).bind(w)(x)
    want = torch.nn.functional.conv2d(
        x.permute(0, 3, 1, 2).double(), w.permute(2, 3, 0, 1).double(), None,
        shape.stride, shape.pad, shape.dilation, shape.groups,
    ).permute(0, 2, 3, 1)  # fmt: skip
    error = (result.double() - want).square().mean().sqrt() / (want.max() - want.min())
    assert float(error) < 1e-6
    assert not torch.isnan(result).any()


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.name in "abdeim"], ids=lambda s: s.name)
def test_against_float64(torch: Any, shape: Shape) -> None:
    check_shape(torch, shape, 1)


@pytest.mark.sweep
@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_all_shapes_against_float64(torch: Any, shape: Shape, n: int) -> None:
    check_shape(torch, shape, n)


# --- arrays of other libraries


def test_torch_in_torch_out(torch: Any) -> None:
    kernel, given = compiled(SMALL.text), tensors(torch)
    want = wanted(kernel)
    for result in (kernel(*given.values()), kernel.bind(given["w"], given["b"])(given["x"]), kernel(**given)):
        assert type(result) is torch.Tensor and result.device == given["x"].device
        np.testing.assert_array_equal(result.cpu().numpy(), want)
    out = torch.full(want.shape, 7.0, device="cuda")
    assert kernel(**given, out=out) is out
    np.testing.assert_array_equal(out.cpu().numpy(), want)


def test_cupy_in_cupy_out(cupy: Any) -> None:
    kernel = compiled(SMALL.text)
    given = {name: cupy.asarray(array) for name, array in arrays(SMALL).items()}
    result = kernel(**given)
    assert type(result) is cupy.ndarray
    np.testing.assert_array_equal(cupy.asnumpy(result), wanted(kernel))
    out = cupy.zeros_like(result)
    assert kernel.bind(given["w"], given["b"])(given["x"], out=out) is out
    np.testing.assert_array_equal(cupy.asnumpy(out), wanted(kernel))


def test_jax_in_jax_out() -> None:
    jax = pytest.importorskip("jax")
    if not any(device.platform == "gpu" for device in jax.devices()):
        pytest.skip("JAX sees no GPU")
    kernel = compiled(SMALL.text)
    given = {name: jax.device_put(array) for name, array in arrays(SMALL).items()}
    result = kernel(**given)
    assert isinstance(result, jax.Array)
    np.testing.assert_array_equal(np.asarray(result), wanted(kernel))
    with pytest.raises(ValueError, match="^out is read-only"):
        kernel(**given, out=result)


def test_numba_in_numba_out() -> None:
    numba_cuda = pytest.importorskip("numba.cuda")
    kernel = compiled(SMALL.text)
    given = {name: numba_cuda.to_device(array) for name, array in arrays(SMALL).items()}
    np.testing.assert_array_equal(kernel(**given).copy_to_host(), wanted(kernel))


def test_libraries_may_be_mixed(torch: Any, cupy: Any) -> None:
    kernel, given = compiled(SMALL.text), arrays(SMALL)
    x, w = torch.from_numpy(given["x"]).cuda(), cupy.asarray(given["w"])
    result = kernel(x, w, DeviceArray.of(given["b"]))
    assert type(result) is torch.Tensor
    np.testing.assert_array_equal(result.cpu().numpy(), wanted(kernel))


def test_arrays_of_ours(torch: Any) -> None:
    kernel = compiled(SMALL.text)
    result = kernel(**{name: DeviceArray.of(array) for name, array in arrays(SMALL).items()})
    np.testing.assert_array_equal(result.numpy(), wanted(kernel))
    np.testing.assert_array_equal(torch.from_dlpack(result).cpu().numpy(), wanted(kernel))
    np.testing.assert_array_equal(torch.as_tensor(result, device="cuda").cpu().numpy(), wanted(kernel))


# --- what does not fit


def test_what_does_not_fit_is_refused(torch: Any) -> None:
    kernel, given = compiled(SMALL.text), tensors(torch)
    memory = torch.full((72,), 7.0, device="cuda")
    x, w, b = given.values()
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"x": x.cpu()}, TypeError, "^x is on cpu, and this kernel runs on a GPU; copy it there: x.cuda()"),
        ({"x": x.cpu().numpy()}, TypeError, "^x is a NumPy array in the processor's memory"),
        ({"x": x.double()}, TypeError, r"got f64\[1, 3, 4, 2\]. Convert it: x.to\(torch.float32\)"),
        ({"x": x.transpose(1, 2)}, ValueError, r"^x: expected f32\[N=1, H=3, W=4, C=2\]"),
        ({"x": x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)}, ValueError, "^x is not contiguous"),
        ({"x": x.clone().requires_grad_()}, ValueError, "^x requires a gradient"),
        ({"x": memory[:24].view(1, 3, 4, 2), "out": memory[16:64].view(1, 3, 4, 4)}, ValueError, "^out overlaps x"),
        ({"w": w[:2]}, ValueError, r"^w: expected f32\[KH=3, KW=3, OC=4, IC=2\], got f32\[2, 3, 4, 2\]"),
    ]  # fmt: skip
    for other, kind, text in cases:
        with pytest.raises(kind, match=text):
            kernel(**{**given, **other})
    assert (memory == 7).all()
    cpu = convjit.compile(SMALL.text[: SMALL.text.index("dataflow")] + "}", target="cpu:scalar")
    assert isinstance(cpu, CompiledConv)
    with pytest.raises(TypeError, match=r"^x is on cuda:0, and this kernel runs on the CPU; copy it there: x.cpu\(\)"):
        cpu(**given)


def test_a_start_that_is_not_aligned(torch: Any) -> None:
    case = next(c for c in CASES if c.name == "matrix_async")
    kernel, given = compiled(case.text), tensors(torch, case)
    moved = torch.empty(given["x"].numel() + 1, device="cuda")[1:].view(given["x"].shape)
    with pytest.raises(ValueError, match=r"^x starts at an address that is not a multiple of 16; pass x.clone\(\)\."):
        kernel(moved, given["w"])


def test_the_drivers_compiler_says_what_is_wrong() -> None:
    kernel = compiled(SMALL.text)
    text = kernel.dump("ptx").replace("fma.rn.f32", "fma.zz.f32")
    steps = kernel._python.plan.program.steps
    with pytest.raises(InternalError, match=r"CUDA_ERROR_INVALID_PTX[\s\S]*\.zz[\s\S]*--- PTX ---"):
        Code(text, machine.get("cuda:sm_80"), steps).on(0)


def test_the_device_is_described() -> None:
    gpu = cuda.devices()[0]
    assert gpu.sm >= 75 and gpu.multiprocessors > 0 and gpu.memory > 1 << 30 and gpu.ptx >= 63


def test_a_kernel_runs_without_spills(torch: Any) -> None:
    for case in CASES:
        code = compiled(case.text)._python.code  # type: ignore[attr-defined]
        for function in code.on(0).values():
            assert function.local == 0 and function.blocks >= 1
