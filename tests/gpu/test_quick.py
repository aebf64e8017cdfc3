"""The short way for PyTorch tensors: the same results and refusals as the long one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from convjit.runtime import cuda_call, cuda_quick, device_views
from convjit.runtime.arrays import View, of_tensor
from convjit.spec.reference import reference
from tests.gpu.fake import Driver
from tests.gpu.test_call import SMALL, arrays, compiled


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """PyTorch, whose tensors pass for a GPU's."""
    module = pytest.importorskip("torch")

    def of_torch(torch: Any, tensor: Any, name: str) -> View:
        return of_tensor(torch, tensor, name)._replace(device=0, stream=9)

    monkeypatch.setattr(device_views, "_of_torch", of_torch)
    monkeypatch.setattr(cuda_quick, "device_of", lambda tensor: 0)
    monkeypatch.setattr(module.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=9))
    return module


def given(driver: Driver, torch: Any) -> dict[str, Any]:
    found = {name: torch.from_numpy(array) for name, array in arrays(SMALL).items()}
    for tensor in found.values():
        driver.keep(tensor.numpy())
    return found


def test_it_leads_there_and_gives_the_same(driver: Driver, torch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, tensors = compiled(driver, SMALL), given(driver, torch)
    bound = kernel.bind(tensors["w"], tensors["b"])
    want = reference(kernel.spec, *arrays(SMALL).values())
    out = torch.full(want.shape, 7.0)
    driver.keep(out.numpy())

    def no_view(array: Any, name: str) -> View:
        raise AssertionError("the long way was taken")

    monkeypatch.setattr(device_views, "view", no_view)
    driver.launches.clear()
    assert bound(tensors["x"], out=out) is out
    np.testing.assert_array_equal(out.numpy(), want)
    (launch,) = driver.launches
    assert (launch.name, launch.stream, launch.blocks) == ("small", 9, 12)
    assert launch.words[0] == tensors["x"].data_ptr() and out.data_ptr() in launch.words
    driver.runs = False
    assert bound(tensors["x"]).shape == want.shape


def test_what_is_not_plainly_right_goes_the_long_way(driver: Driver, torch: Any) -> None:
    kernel, tensors = compiled(driver, SMALL), given(driver, torch)
    bound, x = kernel.bind(tensors["w"], tensors["b"]), tensors["x"]
    quick = bound._python
    assert isinstance(quick, cuda_call.CudaCall)
    memory = torch.zeros(72)
    driver.keep(memory.numpy())
    overlapping = memory[:24].view(1, 3, 4, 2), memory[16:64].view(1, 3, 4, 4)
    wrong = (
        x.double(), x[:, :2], x.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1), x.clone().requires_grad_(),
        x.to_sparse(), torch.nn.Parameter(x, requires_grad=False), torch.complex(x, x).conj().imag, x.numpy(),
    )  # fmt: skip
    for array in wrong:
        assert quick.quick((array,), {}) is NotImplemented
    assert quick.quick((overlapping[0],), {"out": overlapping[1]}) is NotImplemented
    assert quick.quick((x,), {"out": x}) is NotImplemented
    assert quick.quick((x, x), {}) is NotImplemented
    assert quick.quick((), {"x": x}) is NotImplemented
    driver.launches.clear()
    with pytest.raises(ValueError, match="^out overlaps x"):
        bound(overlapping[0], out=overlapping[1])
    with pytest.raises(ValueError, match="^x requires a gradient"):
        bound(x.clone().requires_grad_())
    assert driver.launches == []
    np.testing.assert_array_equal((memory != 0).sum(), 0)


def test_temporaries_and_other_devices_go_the_long_way(
    driver: Driver, torch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, tensors = compiled(driver, SMALL), given(driver, torch)
    unbound = kernel._python
    assert isinstance(unbound, cuda_call.CudaCall) and not unbound.quick.possible
    bound = kernel.bind(tensors["w"], tensors["b"])._python
    assert isinstance(bound, cuda_call.CudaCall) and bound.quick.possible
    for device in (-1, 1):
        monkeypatch.setattr(cuda_quick, "device_of", lambda tensor, device=device: device)
        assert bound.quick((tensors["x"],), {}) is NotImplemented
