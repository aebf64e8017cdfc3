"""`compile(…, check=True)`: what tensors promise of their numbers (`x : u8 in 0..127`) is verified in every call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convjit.errors import ConvError
from convjit.runtime.compiled import BoundConv, CompiledConv
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Tensor


class Checked:
    """A convolution whose arrays are looked at before each call. Everything else is the convolution's own.

    Raises ConvError, naming the tensor and the number, for one that lies outside its range; the output is not written.
    """

    def __init__(self, inner: CompiledConv | BoundConv, spec: ConvSpec, names: tuple[str, ...]) -> None:
        self._inner, self._spec, self._names = inner, spec, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """As the convolution's own call."""
        verify(self._spec, {**dict(zip(self._names, arrays, strict=False)), **named})
        return self._inner(*arrays, **named)

    def bind(self, *arrays: Any, **named: Any) -> Checked:
        """As `CompiledConv.bind`; the arrays are looked at once."""
        if not isinstance(self._inner, CompiledConv):
            raise AttributeError("A bound convolution has no 'bind'.")
        constants = [t.name for t in self._spec.arguments if t.role in ("weight", "bias", "param") and not t.values]
        given = {**dict(zip(constants, arrays, strict=False)), **named}
        verify(self._spec, given)
        return Checked(self._inner.bind(*arrays, **named), self._spec, tuple(n for n in self._names if n not in given))


def checked(kernel: CompiledConv) -> CompiledConv:
    """The kernel, or if its tensors promise something, one that verifies it."""
    spec: ConvSpec = kernel.spec
    if not any(t.in_range for t in spec.arguments):
        return kernel
    made: Any = Checked(kernel, spec, tuple(t.name for t in spec.arguments if not t.values))
    found: CompiledConv = made
    return found


def verify(spec: ConvSpec, given: Mapping[str, Any]) -> None:
    """Whether arrays keep to the ranges of their tensors; what is no array is left to the call itself."""
    for tensor in spec.arguments:
        array = given.get(tensor.name)
        if tensor.in_range and hasattr(array, "min") and hasattr(array, "max"):
            within(tensor, array)


def within(tensor: Tensor, array: Any) -> None:
    """One array: of NumPy, PyTorch, CuPy or JAX."""
    assert tensor.in_range
    low, high = tensor.in_range
    if not all(array.shape):
        return
    for value in (int(array.min()), int(array.max())):
        if not low <= value <= high:
            text = f"The array '{tensor.name}' holds {value}, outside the range {low}..{high} that it promises."
            hint = "Give numbers of that range, or declare the one they have."
            raise ConvError.of(text, tensor.span, hint=hint)
