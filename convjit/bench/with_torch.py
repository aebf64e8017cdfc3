"""A convolution in PyTorch: eager on channels-last tensors, with weights packed by oneDNN, and in oneDNN's own order."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from convjit.bench.candidate import BLOCKED, Array, Arrays, Builder, Candidate, channels_first, library, output_shape
from convjit.spec.conv import ConvSpec


def versions() -> str:
    """PyTorch's version, that of its oneDNN, and the instructions that its own kernels use."""
    torch = library("torch")
    return f"{torch.__version__}, kernels of its own for {torch.backends.cpu.get_cpu_capability()}"


def builders(spec: ConvSpec, given: Arrays, threads: int) -> dict[str, Builder]:
    """What PyTorch offers for this convolution."""
    torch = library("torch")
    torch.set_num_threads(threads)
    arrays = channels_first(spec, given)
    made: dict[str, Builder] = {"torch": partial(_eager, torch, spec, arrays)}
    if len(spec.spatial) == 2 and all(low == high for low, high in spec.pad):
        made["torch packed"] = partial(_packed, torch, spec, arrays)
        if not spec.then:
            made[f"torch{BLOCKED}"] = partial(_blocked, torch, spec, arrays)
    return made


def _tensors(torch: Any, arrays: tuple[Array, Array, Array | None]) -> tuple[Any, Any, Any]:
    """Channels last, where there is such an order."""
    x, w = torch.from_numpy(arrays[0]), torch.from_numpy(arrays[1])
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim())
    if last is not None:
        x, w = x.to(memory_format=last), w.to(memory_format=last)
    return x, w, None if arrays[2] is None else torch.from_numpy(arrays[2])


def _candidate(torch: Any, spec: ConvSpec, compute: Any, blocked: bool = False) -> Candidate:
    """PyTorch makes a new tensor in every call; what its memory last held is overwritten by `clear` as far as that goes."""

    def call() -> Any:
        with torch.inference_mode():
            return compute()

    def result() -> Array:
        y = call()
        return np.ascontiguousarray((y.to_dense() if blocked else y).numpy())

    return Candidate(call, result, lambda: torch.full(output_shape(spec), float("nan")), blocked)


def _eager(torch: Any, spec: ConvSpec, arrays: tuple[Array, Array, Array | None]) -> Candidate:
    x, w, bias = _tensors(torch, arrays)
    convolve = getattr(torch.nn.functional, f"conv{len(spec.spatial)}d")
    low, high = [p[0] for p in spec.pad], [p[1] for p in spec.pad]
    sides = [side for pair in reversed(spec.pad) for side in pair]
    relu = any(step.op == "relu" for step in spec.then)

    def compute() -> Any:
        inside = x if low == high else torch.nn.functional.pad(x, sides)
        y = convolve(inside, w, bias, spec.stride, low if low == high else 0, spec.dilation, spec.groups)
        return torch.relu_(y) if relu else y

    return _candidate(torch, spec, compute)


def _packed(torch: Any, spec: ConvSpec, arrays: tuple[Array, Array, Array | None]) -> Candidate:
    """What `torch.compile` calls with frozen weights."""
    x, w, bias = _tensors(torch, arrays)
    rest = ([p[0] for p in spec.pad], spec.stride, spec.dilation, spec.groups)
    packed = torch.ops.mkldnn._reorder_convolution_weight(w.contiguous(), *rest, list(x.shape))
    word = "relu" if spec.then else "none"
    pointwise = torch.ops.mkldnn._convolution_pointwise
    return _candidate(torch, spec, lambda: pointwise(x, packed, bias, *rest, word, [], ""))


def _blocked(torch: Any, spec: ConvSpec, arrays: tuple[Array, Array, Array | None]) -> Candidate:
    """On a tensor in oneDNN's own order, as the convolution before would leave it: the identity of 1x1 is put first."""
    x, w = torch.from_numpy(arrays[0]).to_mkldnn(), torch.from_numpy(arrays[1]).to_mkldnn()
    bias = None if arrays[2] is None else torch.from_numpy(arrays[2]).to_mkldnn()
    rest = ([p[0] for p in spec.pad], list(spec.stride), list(spec.dilation), spec.groups)
    reorder, convolve = torch._C._nn.mkldnn_reorder_conv2d_weight, torch.mkldnn_convolution
    channels = int(spec.in_channels)
    same = torch.eye(channels).reshape(channels, channels, 1, 1).to_mkldnn()
    with torch.inference_mode():
        before = convolve(x, same, None, [0, 0], [1, 1], [1, 1], 1)
        packed = reorder(w, *rest, list(x.shape))
    return _candidate(torch, spec, lambda: convolve(before, packed, bias, *rest), blocked=True)
