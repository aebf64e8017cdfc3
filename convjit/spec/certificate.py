"""The overflow certificate: what the sums of a convolution can be, proved for the weights at hand.

`docs/certificate.md` says what the figures mean. A certificate is plain data; `verify` checks it by another road than
`certify` finds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from math import prod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.errors import ConvError
from convjit.spec import intervals
from convjit.spec.conv import ConvSpec
from convjit.spec.figures import Figures, measure
from convjit.spec.tensor import Tensor
from convjit.spec.verify import verify

__all__ = ["Certificate", "Figures", "certify", "verify"]


@dataclass(frozen=True)
class Certificate:
    """What is proved of a spec and its weight, for every input whose values are in `in_range`.

    `weight`, `zero` and `bias` are the SHA-256 of these arrays' bytes in their declared order, None for what took no
    part. `accumulator` is the type of the sums; `channels` times `taps` products make one.
    """

    spec: str
    weight: str
    zero: str | None
    bias: str | None
    in_range: tuple[int, int]
    accumulator: str
    channels: int
    taps: int
    views: tuple[Figures, ...]

    def view(self, name: str) -> Figures | None:
        """The figures of `plain`, `centred` or `shifted` factors; without zero points the plain ones are centred."""
        found = {figures.view: figures for figures in self.views}
        return found.get(name, found["plain"] if name == "centred" else None)

    @property
    def sums(self) -> Figures:
        """The figures of the sums that the language defines: both factors less their zero points."""
        return self.view("centred") or self.views[0]

    @property
    def bytes(self) -> Figures | None:
        """The view for `vpmaddubsw` with the fewest unsafe pairs; None where the factors are no bytes."""
        found = [figures for figures in self.views if figures.unsafe is not None]
        return min(found, key=lambda figures: sum(figures.unsafe or ()), default=None)

    @property
    def words(self) -> Figures | None:
        """The view for `vpmaddwd`, centred rather than plain; None where the factors are wider than 16 bits."""
        return next((figures for figures in (self.sums, *self.views) if figures.chunk32 is not None), None)

    def __str__(self) -> str:
        """One line: "0 of 9216 pairs unsafe, sum below 2^23.4 of 2^31"."""
        width = dtypes.bits(self.accumulator) - 1
        parts = [_pairs(self.bytes)] if self.bytes else []
        parts.append(f"sum below 2^{self.sums.bits} of 2^{width}")
        parts += [] if self.sums.fits(self.accumulator) else ["may wrap"]
        if width > 31 and self.words:
            parts.append(self._chunks("32-bit", self.words.taps32, self.words.chunk32))
        elif width > 31 and self.sums.chunk54:
            parts.append(self._chunks("f64", self.sums.taps54, self.sums.chunk54))
        return ", ".join(parts)

    def _chunks(self, kind: str, taps: int | None, steps: int | None) -> str:
        if taps == self.taps:
            return f"{kind} sums suffice"
        if taps:
            return f"{kind} chunks of {taps} tap{'s' if taps > 1 else ''}"
        return f"{kind} chunks of {2 * steps} channels" if steps else f"no {kind} chunks"

    def to_dict(self) -> dict[str, Any]:
        """JSON data that `from_dict` reads and `verify` checks."""
        own = {field.name: getattr(self, field.name) for field in fields(self)}
        return own | {"in_range": list(self.in_range), "views": [figures.to_dict() for figures in self.views]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """A certificate from its data, unchecked; `ConvError` where something is missing."""
        try:
            own = {field.name: data[field.name] for field in fields(cls)}
            views = tuple(Figures.from_dict(view) for view in data["views"])
            return cls(**own | {"in_range": tuple(data["in_range"]), "views": views})
        except (KeyError, TypeError) as error:
            raise ConvError.of(f"This is not the data of a certificate: {type(error).__name__} {error}.") from None


def certify(spec: ConvSpec, weight: Any, *, zero: Any = None, bias: Any = None) -> Certificate:
    """The certificate of a convolution of integers with this weight, an array in its declared order of axes.

    `zero` is the weight's vector of zero points (OC), needed where the spec names one; `bias` the vector (OC) that
    joins the sums. Without it the sums are those before the bias, as they are with a bias of f32. Raises `ConvError`
    for floats, and for an array of another type or shape than declared. Takes time and memory linear in the weight.
    """
    if dtypes.is_float(spec.input.dtype):
        raise ConvError.of(
            f"Only sums of integers have a certificate; the input '{spec.input.name}' is {spec.input.dtype}.",
            spec.place(f"type {spec.input.name}") or spec.input.span,
        )
    named = spec.weight.zero
    w = _array(spec.weight, weight)
    z = _optional(spec, spec.tensor(named) if isinstance(named, str) else None, zero, "zero points by output channel")
    b = _optional(spec, spec.bias, bias, "bias")
    if isinstance(named, str) and z is None:
        raise ConvError.of(f"A certificate needs the zero points '{named}' of the weight.", spec.tensor(named).span)
    if b is not None and b.dtype.kind == "f":
        b = None
    addends = [0] * spec.out_channels if b is None else b.tolist()
    return Certificate(
        str(spec), _hash(w), None if z is None else _hash(z), None if b is None else _hash(b), intervals.declared(spec),
        spec.accumulator, spec.ic_per_group, prod(spec.kernel_size),
        tuple(measure(view, addends) for view in intervals.views(spec, w, z)),
    )  # fmt: skip


def _pairs(figures: Figures) -> str:
    kind = "" if figures.view == "plain" else f"{figures.view} "
    return f"{sum(figures.unsafe or ())} of {figures.pairs} {kind}pairs unsafe"


def _optional(spec: ConvSpec, tensor: Tensor | None, given: Any, what: str) -> NDArray[Any] | None:
    if given is not None and tensor is None:
        raise ConvError.of(f"The convolution '{spec.name}' has no {what}.", spec.place("conv"))
    return None if given is None or tensor is None else _array(tensor, given)


def _array(tensor: Tensor, given: Any) -> NDArray[Any]:
    """The array of a tensor, in its type and shape."""
    array = np.asarray(given)
    if array.dtype != dtypes.get(tensor.dtype).numpy or array.shape != tensor.sizes:
        wanted = ", ".join(f"{axis}={size}" for axis, size in zip(tensor.axes, tensor.sizes, strict=True))
        found = f"{array.dtype}[{', '.join(map(str, array.shape))}]"
        raise ConvError.of(f"The array '{tensor.name}' is {found}; wanted is {tensor.dtype}[{wanted}].", tensor.span)
    return array


def _hash(array: NDArray[Any]) -> str:
    return sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
