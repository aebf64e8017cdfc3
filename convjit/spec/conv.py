"""ConvSpec: one convolution with every size, type and default filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import prod

from convjit import dtypes
from convjit.dsl.ast import ScheduleBlock
from convjit.dsl.format import format
from convjit.errors import InternalError
from convjit.source import Span
from convjit.spec import geometry, layout, text
from convjit.spec.tensor import Compute, Tensor, Then

__all__ = ["Compute", "ConvSpec", "Size", "Tensor", "Then"]

Size = int | None
"""A size, or None while it is open (given by the arrays of a call)."""


@dataclass(frozen=True)
class ConvSpec:
    """y[n, o, oc] = sum over ic, k of x[n, o stride + k dilation - pad, g IC + ic] w[oc, k, ic], then what follows.

    Tuples along space have one entry for each of `spatial`, outermost first. Tensors stand in order of declaration.
    A transposed convolution scatters instead: y[n, i stride + k dilation - pad, oc] += x[n, i, g IC + ic] w[oc, k, ic].
    """

    name: str
    tensors: tuple[Tensor, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[tuple[int, int], ...]
    groups: int = 1
    then: tuple[Then, ...] = ()
    dataflow: str | tuple[ScheduleBlock, ...] = "auto"
    algorithm: str = "auto"
    error: float | None = None
    compute: Compute | None = None
    requantize: str | None = None
    target: str | None = None
    threads: int | None = None
    transposed: bool = False
    places: tuple[tuple[str, Span], ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        wanted, given = self._follows(), self.out_size
        if any(a is not None and not self._fits(a, b, s) for a, b, s in zip(wanted, given, self.stride, strict=True)):
            raise InternalError(f"spec {self.name}: sizes give the output {wanted}, the output tensor says {given}")
        if self.in_channels != self.groups * self.ic_per_group or self.out_channels % self.groups:
            raise InternalError(
                f"spec {self.name}: {self.in_channels} input channels, {self.groups} groups of {self.ic_per_group}, "
                f"{self.out_channels} output channels do not go together"
            )

    def __str__(self) -> str:
        head = f"conv {self.name} transposed {{" if self.transposed else f"conv {self.name} {{"
        return "\n".join([head, *("    " + line for line in self._clauses()), "}"]) + "\n"

    def _clauses(self) -> list[str]:
        lines = [text.tensor(t) for t in self.tensors]
        lines += text.sizes("stride", self.stride) + text.sizes("dilation", self.dilation) + text.pad(self.pad)
        lines += [f"groups {self.groups}"] if self.groups > 1 else []
        lines += [text.compute(self.compute, (self.input.name, self.weight.name))] if self.compute else []
        lines += [text.then(step) for step in self.then]
        words = {"algorithm": self.algorithm, "requantize": self.requantize, "target": self.target}
        lines += [f"{clause} {word}" for clause, word in words.items() if word not in (None, "auto")]
        lines += [f"error {text.number(self.error)}"] if self.error is not None else []
        lines += [f"threads {self.threads}"] if self.threads is not None else []
        if isinstance(self.dataflow, str):
            return lines + ([f"dataflow {self.dataflow}"] if self.dataflow != "auto" else [])
        return lines + [line for block in self.dataflow for line in format(block).split("\n")]

    # --- tensors

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name."""
        return next(t for t in self.tensors if t.name == name)

    def _role(self, role: str) -> tuple[Tensor, ...]:
        return tuple(t for t in self.tensors if t.role == role)

    @cached_property
    def input(self) -> Tensor:
        """The tensor that is convolved."""
        return self._role("input")[0]

    @cached_property
    def weight(self) -> Tensor:
        """The kernel's numbers."""
        return self._role("weight")[0]

    @cached_property
    def bias(self) -> Tensor | None:
        """The numbers added to each output channel, if any."""
        return next(iter(self._role("bias")), None)

    @cached_property
    def output(self) -> Tensor:
        """The result."""
        return self._role("output")[0]

    @cached_property
    def residuals(self) -> tuple[Tensor, ...]:
        """Tensors of the output's shape that `then` clauses read."""
        return self._role("residual")

    @cached_property
    def params(self) -> tuple[Tensor, ...]:
        """Vectors over the output channels: scales and zero points."""
        return self._role("param")

    @cached_property
    def arguments(self) -> tuple[Tensor, ...]:
        """What a call is given, in order of declaration: every tensor but the output."""
        return tuple(t for t in self.tensors if t.role != "output")

    # --- sizes

    @cached_property
    def spatial(self) -> tuple[str, ...]:
        """("W",), ("H", "W") or ("D", "H", "W")."""
        return layout.SPATIAL[len(self.stride) - 1]

    @property
    def batch(self) -> Size:
        """Number of images."""
        return self.input.size("N")

    @property
    def in_channels(self) -> int:
        """Input channels of all groups."""
        return _known(self.input.size("C"))

    @property
    def out_channels(self) -> int:
        """Output channels of all groups."""
        return _known(self.weight.size("OC"))

    @property
    def ic_per_group(self) -> int:
        """Input channels that one output channel reads."""
        return _known(self.weight.size("IC"))

    @property
    def oc_per_group(self) -> int:
        """Output channels of a group."""
        return self.out_channels // self.groups

    @cached_property
    def in_size(self) -> tuple[Size, ...]:
        """Input size along space."""
        return tuple(self.input.size(a) for a in self.spatial)

    @cached_property
    def kernel_size(self) -> tuple[int, ...]:
        """Kernel size along space."""
        return tuple(_known(self.weight.size(a)) for a in layout.kernel_axes(self.spatial))

    @cached_property
    def out_size(self) -> tuple[Size, ...]:
        """Output size along space."""
        return tuple(self.output.size(a) for a in layout.output_axes(self.spatial))

    @cached_property
    def open_sizes(self) -> tuple[str, ...]:
        """The axes whose size is known only at the call, such as ("N", "H")."""
        return tuple(a for a, size in zip(self.input.axes, self.input.sizes, strict=True) if size is None)

    @property
    def operations(self) -> int | None:
        """Multiplications and additions, 2 for each tap of each output (padding counts too); None while a size is open."""
        positions = self.input.elements if self.transposed else self.output.elements
        if positions is None:
            return None
        channels = self.oc_per_group if self.transposed else self.ic_per_group
        return 2 * positions * channels * prod(self.kernel_size)

    # --- types

    @property
    def accumulator(self) -> str:
        """The type that sums are held in."""
        if self.computes_integers:
            few = prod(self.kernel_size) * self.ic_per_group < 2**17  # products of i8, 2^14 at most
            return "i32" if self.compute is not None and self.compute.dtype == "i8" and few else "i64"
        if dtypes.is_float(self.input.dtype):
            return "f64" if self.input.dtype == "f64" else "f32"
        if self.output.dtype in ("i32", "i64") and not self.output.quantised:
            return self.output.dtype
        return "i32" if dtypes.bits(self.input.dtype) <= 8 else "i64"

    @property
    def restored(self) -> bool:
        """Whether sums are integers that stand for real numbers: of quantised tensors, or of `compute` in integers."""
        return self.input.quantised or self.computes_integers

    @property
    def computes_integers(self) -> bool:
        """Whether `compute` makes integers of floats."""
        return self.compute is not None and self.compute.scales is not None

    @property
    def types(self) -> tuple[str, str, str]:
        """Of input, weight and sum: by these an instruction is found."""
        return self.input.dtype, self.weight.dtype, self.accumulator

    def place(self, what: str) -> Span | None:
        """Where the program says it: a clause's word ("stride", "dataflow", "then 0") or a tensor's name."""
        return dict(self.places).get(what)

    # --- checks

    def _follows(self) -> tuple[Size, ...]:
        size_of = geometry.transposed_out_size if self.transposed else geometry.out_size
        axes = zip(self.in_size, self.kernel_size, self.stride, self.dilation, self.pad, strict=True)
        return tuple(None if i is None else size_of(i, k, s, d, p) for i, k, s, d, p in axes)

    def _fits(self, follows: int, given: Size, stride: int) -> bool:
        """A transposed output may be up to stride - 1 larger: positions that several sizes map back to."""
        return given is not None and 0 <= given - follows < (stride if self.transposed else 1)


def _known(size: Size) -> int:
    if size is None:
        raise InternalError("a channel or kernel size is open")
    return size
