"""Where a step after the sum stands, and what it reads there: shared by the `then` clauses and by `requantize`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convjit.dtypes import fitting
from convjit.nest.affine import Affine
from convjit.nest.ir import Apply, Expr, Load, Number
from convjit.spec.conv import ConvSpec, Tensor

ACCUMULATOR = Load("accumulator", ())
"""The sum, in an epilogue."""


@dataclass(frozen=True)
class After:
    """Where a step after the sum stands: an output element, and its channel. `zero` is what the input's numbers are still
    too large by; then what this adds to a sum, and an integer bias, stand in a vector that is made once (`prepare`)."""

    spec: ConvSpec
    y: tuple[Affine, ...]
    channel: Affine
    zero: int = 0

    @property
    def real(self) -> bool:
        """Whether sums are integers that stand for real numbers."""
        return self.spec.restored

    @property
    def dtype(self) -> str:
        """The type that steps compute in."""
        return "f32" if self.real else self.spec.accumulator

    def number(self, value: float | str) -> Number:
        """A constant; an end beyond an integer type is the type's end."""
        return Number(float(fitting(float(value), self.dtype)), self.dtype)

    def vector(self, name: str) -> Load:
        """A number of the output channel."""
        return Load(name, (self.channel,))

    def read(self, name: float | str) -> Expr:
        """The element of a bias, param or residual that belongs here, in the type that steps compute in."""
        tensor = self.spec.tensor(str(name))
        load = Load(tensor.name, self.y if tensor.role == "residual" else (self.channel,))
        if tensor.quantised:
            return self.dequantised(tensor, load)
        return self.convert(load, tensor.dtype, self.dtype)

    def dequantised(self, tensor: Tensor, load: Load) -> Expr:
        """f32(value - zero) * scale."""
        e = self.convert(load, tensor.dtype, "i32")
        if tensor.zero:
            e = Apply("sub", (e, Number(float(tensor.zero), "i32")), "i32")
        assert isinstance(tensor.scale, float)
        return self.apply("mul", self.convert(e, "i32", "f32"), Number(float(np.float32(tensor.scale)), "f32"))

    def apply(self, op: str, *args: Expr) -> Apply:
        """An operation in the type of the steps."""
        return Apply(op, args, self.dtype)

    @staticmethod
    def convert(e: Expr, given: str, wanted: str) -> Expr:
        """The number in another type."""
        return e if given == wanted else Apply("convert", (e,), wanted)
