"""A short way for PyTorch tensors on a GPU: a few comparisons, and the kernels are started.

Whatever is not plainly right is left to the long way, which finds out what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from convjit.kernel.program import Array
from convjit.runtime import cuda, geometry
from convjit.runtime.arrays import torch_type
from convjit.runtime.cuda_code import Code, Function
from convjit.runtime.plan import OUT, Plan


class Expected(NamedTuple):
    """What a tensor must be: shape, PyTorch's type, and what divides its address."""

    shape: tuple[int, ...]
    dtype: Any
    alignment: int


class Start(NamedTuple):
    """A kernel to start: its blocks, its arguments (0 for those of the call), and which of the call's arrays go where."""

    function: Function
    blocks: int
    words: tuple[int, ...]
    places: tuple[tuple[int, int], ...]


class QuickCuda:
    """Calls a plan whose sizes are known and that needs no temporaries. The result is NotImplemented where this way does
    not lead there; then nothing was done."""

    def __init__(self, plan: Plan, code: Code) -> None:
        used = {name for step in plan.steps for name in step.arrays}
        self.plan = plan
        self.code = code
        self.possible = not plan.program.sizes and not any(a.name in used for a in plan.temporaries)
        self.device = plan.like.device if plan.like else None
        self.fixed = [(r.begin, r.end) for r in plan.bound.values() if r.end > r.begin]
        self.expected: tuple[Expected, ...] = ()
        self.starts: dict[int, tuple[Start, ...]] = {}

    def __call__(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """The output, or NotImplemented."""
        torch = sys.modules.get("torch")
        if torch is None or not self.possible or not args or named.keys() - {OUT}:
            return NotImplemented
        expected = self.expected or self._expect(torch)
        if len(args) != len(expected) - 1 or type(args[0]) is not torch.Tensor:
            return NotImplemented
        device, out = device_of(args[0]), named.get(OUT)
        if device < 0 or self.device not in (None, device):
            return NotImplemented
        tensors = args if out is None else (*args, out)
        wanted = expected if out is not None else expected[:-1]
        if not all(fits(torch, t, e, device) for t, e in zip(tensors, wanted, strict=True)):
            return NotImplemented
        addresses = [t.data_ptr() for t in tensors]
        if out is None:
            out = torch.empty(expected[-1].shape, dtype=expected[-1].dtype, device=args[0].device)
            addresses.append(out.data_ptr())
        elif self._overlaps(tensors, addresses):
            return NotImplemented
        self._start(device, torch.cuda.current_stream(device).cuda_stream, addresses)
        return out

    def _expect(self, torch: Any) -> tuple[Expected, ...]:
        arrays = (*self.plan.params, self.plan.program.output)
        self.expected = tuple(Expected(_shape(a), torch_type(torch, a.dtype), self._alignment(a)) for a in arrays)
        return self.expected

    def _alignment(self, array: Array) -> int:
        return self.plan.alignment(array.name)

    def _overlaps(self, tensors: tuple[Any, ...], addresses: list[int]) -> bool:
        """Whether the last one shares bytes with another or with what is bound."""
        begin, end = addresses[-1], addresses[-1] + tensors[-1].nbytes
        inputs = [(a, a + t.nbytes) for a, t in zip(addresses[:-1], tensors, strict=False)]
        return any(begin < high and low < end for low, high in (*inputs, *self.fixed))

    def _start(self, device: int, stream: int, addresses: list[int]) -> None:
        starts = self.starts.get(device) or self._prepare(device)
        with cuda.on(device) as d:
            for start in starts:
                words = list(start.words)
                for place, array in start.places:
                    words[place] = addresses[array]
                start.function.start(d, start.blocks, stream, words)

    def _prepare(self, device: int) -> tuple[Start, ...]:
        """The kernels with the arguments that are known."""
        functions = self.code.on(device)
        given = {a.name: n for n, a in enumerate((*self.plan.params, self.plan.program.output))}
        starts = []
        for step in self.plan.steps:
            words = tuple(0 if name in given else self.plan.bound[name].begin for name in step.arrays)
            places = tuple((place, given[name]) for place, name in enumerate(step.arrays) if name in given)
            blocks = geometry.blocks(step, {})
            starts.append(Start(functions[step.symbol], blocks, words, places))
        self.starts[device] = tuple(starts)
        return self.starts[device]


def device_of(tensor: Any) -> int:
    """The number of its GPU, -1 for the processor."""
    number: int = tensor.get_device()
    return number


def fits(torch: Any, tensor: Any, expected: Expected, device: int) -> bool:
    """Whether a tensor is plainly what is expected."""
    return (
        type(tensor) is torch.Tensor
        and tensor.dtype is expected.dtype
        and tensor.shape == expected.shape
        and device_of(tensor) == device
        and tensor.layout is torch.strided
        and tensor.is_contiguous()
        and not (tensor.requires_grad or tensor.is_neg())
        and tensor.data_ptr() % expected.alignment == 0
    )


def _shape(array: Array) -> tuple[int, ...]:
    return tuple(int(n) for n in array.shape)
