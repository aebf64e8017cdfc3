"""An 8-bit convolution in PyTorch: its quantised operator with two engines, and what compiled models call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from convjit.bench.candidate import Array, Arrays, Builder, Candidate, library
from convjit.bench.quantised import Quantised, quantised
from convjit.spec.conv import ConvSpec

ENGINES = {"torch": "onednn", "torch x86": "x86"}
"""By candidate. "x86" chooses between oneDNN and FBGEMM."""


def builders(spec: ConvSpec, given: Arrays, threads: int) -> dict[str, Builder]:
    """Channels-last tensors, weights packed beforehand, all 8 bits of the input used (no `reduce_range`)."""
    torch = library("torch")
    torch.set_num_threads(threads)
    q = quantised(spec, given)
    made: dict[str, Builder] = {name: partial(_operator, torch, q, engine) for name, engine in ENGINES.items()}
    return made | {"torch packed": partial(_packed, torch, q)}


def _channels_last(torch: Any, q: Quantised) -> Any:
    return torch.from_numpy(q.x).contiguous(memory_format=torch.channels_last)


def _clear(torch: Any, q: Quantised) -> None:
    """PyTorch makes a new tensor in every call; what its memory last held is overwritten as far as that goes."""
    torch.full(q.y_shape, 255, dtype=torch.uint8)


def _candidate(torch: Any, q: Quantised, compute: Callable[[], Any], bytes_: Callable[[Any], Any]) -> Candidate:
    def call() -> Any:
        with torch.inference_mode():
            return compute()

    def result() -> Array:
        found: Array = bytes_(call()).numpy()
        return found

    return Candidate(call, result, partial(_clear, torch, q))


def _operator(torch: Any, q: Quantised, engine: str) -> Candidate:
    """`torch.ops.quantized.conv2d`. The engine is a matter of packing: what is packed knows its own."""
    torch.backends.quantized.engine = engine
    zeros = torch.zeros(len(q.w_scales), dtype=torch.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that tensors of this kind will go one day
        x = torch._make_per_tensor_quantized_tensor(_channels_last(torch, q), q.x_scale, q.x_zero)
        scales = torch.from_numpy(q.w_scales).double()
        w = torch._make_per_channel_quantized_tensor(torch.from_numpy(q.w), scales, zeros, 0)
    rest = (list(q.stride), q.low, list(q.dilation), q.groups)
    packed = torch.ops.quantized.conv2d_prepack(w, torch.from_numpy(q.real_bias), *rest)
    convolve = torch.ops.quantized.conv2d
    return _candidate(torch, q, lambda: convolve(x, packed, q.y_scale, q.y_zero), lambda y: y.int_repr())


def _packed(torch: Any, q: Quantised) -> Candidate:
    """What `torch.compile` calls for a model that was quantised by way of an export."""
    x, scales = _channels_last(torch, q), torch.from_numpy(q.w_scales)
    zeros = torch.zeros(len(q.w_scales), dtype=torch.int64)
    bias, rest = torch.from_numpy(q.real_bias), (list(q.stride), q.low, list(q.dilation), q.groups)
    entry = (q.x_scale, q.x_zero)
    w = torch.ops.onednn.qconv_prepack(torch.from_numpy(q.w), scales, *entry, *rest, list(x.shape))
    stored, no_step = (q.y_scale, q.y_zero, torch.uint8), ("none", (), "")
    convolve = torch.ops.onednn.qconv_pointwise
    return _candidate(torch, q, lambda: convolve(x, *entry, w, scales, zeros, bias, *rest, *stored, *no_step), lambda y: y)
