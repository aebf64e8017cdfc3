"""A short way for PyTorch tensors and `ml_dtypes` arrays: as plain NumPy arrays over the same memory, to machine code.

Types that have no buffer format travel as integers of their size, after their own type was compared. Whatever is not
plainly right is left to `slow`, which finds out what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from convjit import dtypes
from convjit.kernel.program import Array
from convjit.runtime.arrays import torch_type
from convjit.runtime.native import native
from convjit.runtime.plan import FORMATS, OUT, Plan, Record
from convjit.runtime.vectorcall import MachineCallable, called_directly

_CARRIERS = {8: "i8", 16: "i16"}


@called_directly
class _Entry(MachineCallable):
    """Machine code over a record."""

    def __init__(self, record: Record) -> None:
        self.keep = record
        self._record = record.address
        self._entry = native().call


class Quick:
    """Calls a plan with tensors. The result is NotImplemented where this way does not lead there."""

    def __init__(self, plan: Plan, threads: int) -> None:
        arrays = (*plan.params, plan.program.output)
        self._dtypes = {a.name: a.dtype for a in plan.params} | {OUT: plan.program.output.dtype}
        self._names = tuple(a.name for a in plan.params)
        self._shape = plan.program.output.shape
        self._possible = all(a.dtype in FORMATS or dtypes.bits(a.dtype) in _CARRIERS for a in arrays)
        self.record = Record(_carried(plan), threads, _unfit) if self._possible else None
        self._call = _Entry(self.record) if self.record else None

    def __call__(self, args: Sequence[Any], named: dict[str, Any]) -> Any:
        """The output, or NotImplemented when nothing was done."""
        if self._call is None or not args or len(args) > len(self._names):
            return NotImplemented
        torch = sys.modules.get("torch")
        positional = [self._plain(a, name, torch) for a, name in zip(args, self._names, strict=False)]
        keywords = {name: self._plain(a, name, torch) for name, a in named.items()}
        if any(a is None for a in (*positional, *keywords.values())):
            return NotImplemented
        if OUT in named:
            done = self._call(*positional, **keywords)
            return done if done is NotImplemented else named[OUT]
        return self._with_new(args[0], torch, positional, keywords)

    def _with_new(self, first: Any, torch: Any, positional: list[Any], keywords: dict[str, Any]) -> Any:
        """The call into a new output of the first array's kind."""
        if any(isinstance(n, str) for n in self._shape) or self._call is None:
            return NotImplemented
        dtype = self._dtypes[OUT]
        output: Any
        if isinstance(first, np.ndarray):
            output = np.empty(self._shape, dtypes.get(dtype).numpy)
        else:
            output = torch.empty(self._shape, dtype=torch_type(torch, dtype))
        done = self._call(*positional, **keywords, out=self._plain(output, OUT, torch))
        return done if done is NotImplemented else output

    def _plain(self, array: Any, name: str, torch: Any) -> np.ndarray[Any, Any] | None:
        """The array as one that the machine code takes, without a copy; None for what is not plainly right."""
        dtype = self._dtypes.get(name)
        if dtype is None:
            return None
        carrier = None if dtype in FORMATS else dtypes.get(_CARRIERS[dtypes.bits(dtype)]).numpy
        if type(array) is np.ndarray:
            if carrier is None:
                return array
            return array.view(carrier) if array.dtype == dtypes.get(dtype).numpy and array.flags.c_contiguous else None
        if torch is None or type(array) is not torch.Tensor or array.dtype != torch_type(torch, dtype):
            return None
        try:
            return _of_torch(array, carrier, torch)
        except (RuntimeError, TypeError):  # another device, a gradient: `slow` has the sentence for it
            return None


def _of_torch(tensor: Any, carrier: np.dtype[Any] | None, torch: Any) -> np.ndarray[Any, Any]:
    if tensor.requires_grad and not torch.is_grad_enabled():
        tensor = tensor.detach()
    same: np.ndarray[Any, Any]
    same = tensor.numpy() if carrier is None else tensor.view(getattr(torch, carrier.name)).numpy()
    return same


def _carried(plan: Plan) -> Plan:
    """The plan with integers of the same size in place of types that have no buffer format."""
    program = plan.program
    inputs = tuple(_carry(a) for a in program.inputs)
    return replace(plan, program=replace(program, inputs=inputs, output=_carry(program.output)))


def _carry(array: Array) -> Array:
    if array.dtype in FORMATS:
        return array
    return replace(array, dtype=_CARRIERS.get(dtypes.bits(array.dtype), array.dtype))


def _unfit(*_arrays: Any, **_named: Any) -> Any:
    return NotImplemented
