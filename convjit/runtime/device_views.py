"""Arrays on a GPU without copies: those of PyTorch, CuPy, JAX and Numba, and whatever has DLPack or an array interface.

Each brings the stream that orders what is done with it: PyTorch's and CuPy's current one, or the one its interface names.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from convjit.runtime import cuda, dlpack
from convjit.runtime.arrays import NAMES, View, of_tensor, torch_type
from convjit.runtime.device_array import DeviceArray


def view(array: Any, name: str) -> View:
    """The view of an array named `name`. `TypeError` for what is no array, or not one on a CUDA device; `Unavailable`
    where there is no GPU."""
    cuda.driver()
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        return _of_torch(torch, array, name)
    cupy = sys.modules.get("cupy")
    if cupy is not None and isinstance(array, cupy.ndarray):
        stream = int(cupy.cuda.get_current_stream(array.device.id).ptr)
        return _of_interface(array, name, "cupy", array.device.id)._replace(stream=stream)
    jax = sys.modules.get("jax")
    if jax is not None and isinstance(array, jax.Array):
        return _of_jax(array, name)
    if isinstance(array, DeviceArray):
        return _of_interface(array, name, "cuda", array.device)
    if hasattr(array, "__cuda_array_interface__"):
        family = "numba" if type(array).__module__.startswith("numba.") else "cuda"
        return _of_interface(array, name, family)
    if isinstance(array, np.ndarray):
        way = f"cupy.asarray({name}) or torch.from_numpy({name}).cuda()"
        raise TypeError(_elsewhere(name, "a NumPy array in the processor's memory", way))
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        return _of_dlpack(array, name, "cuda")
    raise TypeError(
        f"{name} is a {type(array).__name__}, not an array on a GPU: pass one of PyTorch, CuPy, JAX or Numba, or any "
        "object with DLPack or a CUDA array interface."
    )


def _elsewhere(name: str, place: str, way: str) -> str:
    return f"{name} is {place}, and this kernel runs on a GPU; copy it there: {way}, or compile with target 'cpu'."


def _of_torch(torch: Any, tensor: Any, name: str) -> View:
    if tensor.device.type != "cuda":
        raise TypeError(_elsewhere(name, f"on {tensor.device}", f"{name}.cuda()"))
    stream = torch.cuda.current_stream(tensor.device).cuda_stream
    return of_tensor(torch, tensor, name)._replace(device=tensor.device.index, stream=stream)


def _of_jax(array: Any, name: str) -> View:
    """JAX has streams of its own that nobody sees: its work on the array is waited for."""
    places = array.devices()
    if len(places) > 1:
        raise TypeError(f"{name} is spread over {len(places)} devices; pass an array that lies on one.")
    if next(iter(places)).platform not in ("gpu", "cuda"):
        place = f"on {next(iter(places))}"
        raise TypeError(_elsewhere(name, place, f"jax.device_put({name}, jax.devices('gpu')[0])"))
    array.block_until_ready()
    return _of_dlpack(array, name, "jax")._replace(writable=False)


def _of_interface(array: Any, name: str, family: str, device: int | None = None) -> View:
    described = array.__cuda_array_interface__
    if described.get("mask") is not None:
        raise TypeError(f"{name} has a mask, which would be ignored; pass an array without one.")
    kind = np.dtype(described["typestr"])
    address, read_only = described["data"]
    shape = tuple(described["shape"])
    strides = described.get("strides")
    return View(
        address=address,
        dtype=NAMES.get(kind, str(kind)),
        shape=shape,
        strides=tuple(strides) if strides is not None else _dense(shape, kind.itemsize),
        item_bytes=kind.itemsize,
        writable=not read_only,
        family=family,
        owner=array,
        device=_device_of(address) if device is None else device,
        stream=_number(described.get("stream")),
    )


def _of_dlpack(array: Any, name: str, family: str) -> View:
    kind, device = array.__dlpack_device__()
    if kind not in dlpack.CUDA_KINDS:
        raise TypeError(_elsewhere(name, "not on a CUDA device", "with its library"))
    try:
        capsule = array.__dlpack__(stream=1)  # the default stream: work on the array comes before what is started there
    except (BufferError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be taken through DLPack: {error}.") from None
    found = dlpack.describe(capsule)
    item = max(1, found.bits // 8)
    return View(
        address=found.address,
        dtype=found.dtype,
        shape=found.shape,
        strides=tuple(s * item for s in found.strides),
        item_bytes=item,
        writable=True,
        family=family,
        owner=(array, capsule),
        device=device,
    )


def _number(stream: int | None) -> int:
    """A stream as the driver knows it: 1 is the default one, None says that nothing is under way."""
    return 0 if stream in (None, 1) else int(stream or 0)


def _dense(shape: tuple[int, ...], item: int) -> tuple[int, ...]:
    strides = []
    for extent in reversed(shape):
        strides.append(item)
        item *= extent
    return tuple(reversed(strides))


def _device_of(address: int) -> int:
    """The device that a pointer belongs to; 0 for that of an empty array."""
    if not address:
        return 0
    d = cuda.driver()
    attribute = d.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    return int(cuda.check(d.cuPointerGetAttribute(attribute, address), "asking for a pointer's device"))


def new_output(like: View | None, dtype: str, shape: tuple[int, ...]) -> Any:
    """An uninitialised array beside `like`; `finish` makes it the caller's kind of array."""
    family, device = (like.family, like.device) if like else ("cuda", cuda.current_device())
    if family == "torch":
        torch = sys.modules["torch"]
        return torch.empty(shape, dtype=torch_type(torch, dtype), device=f"cuda:{device}")
    if family == "cupy":
        cupy = sys.modules["cupy"]
        with cupy.cuda.Device(device):
            return cupy.empty(shape, _cupy_type(dtype))
    return DeviceArray(shape, dtype, device, like.stream if like else 0)


def _cupy_type(dtype: str) -> np.dtype[Any]:
    return next(kind for kind, name in NAMES.items() if name == dtype)


def finish(like: View | None, output: Any) -> Any:
    """The output as an array of the kind of `like`."""
    family = like.family if like else "cuda"
    if family == "jax":
        return sys.modules["jax"].dlpack.from_dlpack(output)
    if family == "numba":
        return sys.modules["numba.cuda"].as_cuda_array(output)
    return output
