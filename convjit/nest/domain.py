"""The convolution before any schedule: axes, buffers, one update per point, and what becomes of the sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convjit.dtypes import fitting
from convjit.nest.affine import Affine, number, var
from convjit.nest.ir import Apply, Buffer, Expr, Guard, Load, MulAdd, Number, OpenSize
from convjit.nest.layout import Extent, Layout
from convjit.spec.conv import ConvSpec, Tensor, Then

ACCUMULATOR = Load("accumulator", ())
"""The sum, in an epilogue."""


@dataclass(frozen=True)
class Domain:
    """`update` is run for every point of `axes` (name, size; axes of size 1 are left out, their index is 0).

    `epilogue` is what is stored, in terms of ACCUMULATOR. x, w, y are the names of the three tensors.
    """

    name: str
    axes: tuple[tuple[str, Affine], ...]
    buffers: tuple[Buffer, ...]
    update: MulAdd
    epilogue: Expr
    accumulator: str
    x: str
    w: str
    y: str
    sizes: tuple[OpenSize, ...]
    reductions: frozenset[str]

    def size(self, axis: str) -> Affine:
        """The size of an axis."""
        return dict(self.axes).get(axis, number(1))

    def buffer(self, name: str) -> Buffer:
        """The buffer of that name."""
        return next(b for b in self.buffers if b.name == name)

    @property
    def original(self) -> dict[str, Load]:
        """The access of each of the three tensors."""
        a, b = self.update.a, self.update.b
        assert isinstance(a, Load) and isinstance(b, Load)
        return {self.x: a, self.w: b, self.y: self.update.target}


def extent(size: Extent) -> Affine:
    """A size, open or not, as an expression."""
    return var(size) if isinstance(size, str) else number(size)


def size_of(tensor: Tensor, axis: str, spec: ConvSpec) -> Extent:
    """The size of a tensor's axis; its capital letter where it is open."""
    size = tensor.sizes[tensor.axes.index(axis)]
    return axis if size is None else size


def memory(tensor: Tensor, spec: ConvSpec, names: dict[str, str]) -> Buffer:
    """A tensor as the user lays it out; `names` gives the dimension of each of its axes."""
    parts = tuple((names[a], 1) for a in tensor.axes)
    sizes = tuple((names[a], size_of(tensor, a, spec)) for a in tensor.axes)
    dims = tuple(d for d in names.values() if d in dict(sizes))
    return Buffer(tensor.name, dims, tensor.dtype, "memory", Layout(parts, sizes))


def open_sizes(spec: ConvSpec) -> tuple[OpenSize, ...]:
    """The sizes known only at the call: those written as `?`, then the output sizes that follow."""
    found = [OpenSize(name) for name in spec.open_sizes]
    for at, axis in enumerate(spec.spatial):
        if spec.in_size[at] is None:
            low, high = spec.pad[at]
            span = spec.dilation[at] * (spec.kernel_size[at] - 1) + 1
            found.append(OpenSize(f"O{axis}", axis, low + high - span, spec.stride[at]))
    return tuple(found)


def domain(spec: ConvSpec) -> Domain:
    """The naive convolution over unpadded tensors, every access guarded."""
    letters = [a.lower() for a in spec.spatial]
    sizes: dict[str, Affine] = {
        "n": extent("N" if spec.batch is None else spec.batch),
        "g": number(spec.groups),
        "oc": number(spec.oc_per_group),
        **{f"o{l}": extent(f"O{l.upper()}" if s is None else s) for l, s in zip(letters, spec.out_size, strict=True)},
        **{f"k{l}": number(s) for l, s in zip(letters, spec.kernel_size, strict=True)},
        "c": number(spec.ic_per_group),
    }
    axes = tuple((name, size) for name, size in sizes.items() if size != number(1))

    def at(name: str) -> Affine:
        return var(name) if sizes[name] != number(1) else number(0)

    inside: list[Guard] = []
    rows: list[Affine] = []
    for place, l in enumerate(letters):
        low, high = spec.pad[place]
        row = at(f"o{l}") * spec.stride[place] + at(f"k{l}") * spec.dilation[place] - low
        rows.append(row)
        if low or high:
            inside.append(Guard(row, extent(size_of(spec.input, l.upper(), spec))))
    channel = at("g") * spec.oc_per_group + at("oc")
    x = Load(spec.input.name, (at("n"), *rows, at("g") * spec.ic_per_group + at("c")), tuple(inside))
    w = Load(spec.weight.name, (channel, *(at(f"k{l}") for l in letters), at("c")))
    y_index = (at("n"), *(at(f"o{l}") for l in letters), channel)
    y = Load(spec.output.name, y_index)
    in_names = {"N": "n", **{l.upper(): l for l in letters}, "C": "c"}
    w_names = {"OC": "oc", **{f"K{l.upper()}": f"k{l}" for l in letters}, "IC": "c"}
    out_names = {"N": "n", **{f"O{l.upper()}": f"o{l}" for l in letters}, "OC": "oc"}
    buffers = [memory(spec.input, spec, in_names), memory(spec.weight, spec, w_names)]
    buffers.append(memory(spec.output, spec, out_names))
    extra = [*([spec.bias] if spec.bias else []), *spec.params, *spec.residuals]
    buffers += [memory(t, spec, out_names) for t in extra]
    return Domain(
        spec.name, axes, tuple(buffers), MulAdd(y, x, w), epilogue(spec, y_index, channel), spec.accumulator,
        x.buffer, w.buffer, y.buffer, open_sizes(spec), frozenset({"c", *(f"k{l}" for l in letters)}),
    )  # fmt: skip


@dataclass(frozen=True)
class After:
    """Where a step after the sum stands: an output element, and its channel."""

    spec: ConvSpec
    y: tuple[Affine, ...]
    channel: Affine

    @property
    def dtype(self) -> str:
        """The type that steps compute in."""
        return self.spec.accumulator

    def number(self, value: float | str) -> Number:
        """A constant; an end beyond an integer type is the type's end."""
        return Number(float(fitting(float(value), self.dtype)), self.dtype)

    def read(self, name: float | str) -> Expr:
        """The element of a bias, param or residual that belongs here, in the type that steps compute in."""
        tensor = self.spec.tensor(str(name))
        load = Load(tensor.name, self.y if tensor.role == "residual" else (self.channel,))
        return load if tensor.dtype == self.dtype else Apply("convert", (load,), self.dtype)

    def apply(self, op: str, *args: Expr) -> Apply:
        """An operation."""
        return Apply(op, args, self.dtype)


def epilogue(spec: ConvSpec, y: tuple[Affine, ...], channel: Affine) -> Expr:
    """Bias, then the `then` clauses in the order written."""
    e: Expr = ACCUMULATOR
    after = After(spec, y, channel)
    if spec.bias:
        e = after.apply("add", e, after.read(spec.bias.name))
    for then in spec.then:
        e = FUNCTIONS[then.op](e, then, after)
    return e


Function = Callable[[Expr, Then, After], Expr]


def clip(low: float | None, high: float | None) -> Function:
    """Between two numbers; None: those of the clause."""

    def build(e: Expr, then: Then, after: After) -> Expr:
        e = after.apply("max", e, after.number(then.args[0] if low is None else low))
        if high is None and low is not None:
            return e
        return after.apply("min", e, after.number(then.args[1] if high is None else high))

    return build


def named(op: str) -> Function:
    """A function of one value, and of the numbers of the clause, that `functions` writes out for the kernel."""
    return lambda e, then, after: after.apply(op, e, *map(after.number, then.args))


def with_tensor(op: str) -> Function:
    """With a number of each output channel, or with another tensor of the output's shape."""
    return lambda e, then, after: after.apply(op, e, after.read(then.args[0]))


FUNCTIONS: dict[str, Function] = {
    "relu": clip(0.0, None),
    "relu6": clip(0.0, 6.0),
    "clip": clip(None, None),
    "leaky_relu": named("leaky_relu"),
    "hardswish": named("hardswish"),
    "sigmoid": named("sigmoid"),
    "tanh": named("tanh"),
    "silu": named("silu"),
    "gelu": named("gelu"),
    "scale": with_tensor("mul"),
    "add": with_tensor("add"),
    "mul": with_tensor("mul"),
}
