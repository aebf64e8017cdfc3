"""The convolution before any schedule: axes, buffers, one update per point, and what becomes of the sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convjit.nest.affine import Affine, number, var
from convjit.nest.after import After
from convjit.nest.epilogue import epilogue, outside
from convjit.nest.ir import Buffer, Expr, Guard, Load, MulAdd, OpenSize
from convjit.nest.layout import Extent, Layout
from convjit.nest.vectors import vectors
from convjit.spec.conv import ConvSpec, Tensor


@dataclass(frozen=True)
class Domain:
    """`update` is run for every point of `axes` (name, size; axes of size 1 are left out, their index is 0).

    `epilogue` is what is stored, in terms of ACCUMULATOR. x, w, y are the names of the three tensors. `zero`: what
    the input's numbers are too large by; then `beyond` are the cases in which a tap lies outside the image, and
    `outside` the vector that holds what it is given back (`borders`).
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
    zero: int = 0
    beyond: tuple[tuple[Guard, ...], ...] = ()
    outside: str = ""

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


def loops(spec: ConvSpec) -> dict[str, Affine]:
    """The axes of the convolution and their sizes."""
    letters = [a.lower() for a in spec.spatial]
    return {
        "n": extent("N" if spec.batch is None else spec.batch),
        "g": number(spec.groups),
        "oc": number(spec.oc_per_group),
        **{f"o{l}": extent(f"O{l.upper()}" if s is None else s) for l, s in zip(letters, spec.out_size, strict=True)},
        **{f"k{l}": number(s) for l, s in zip(letters, spec.kernel_size, strict=True)},
        "c": number(spec.ic_per_group),
    }


@dataclass(frozen=True)
class Positions:
    """Where a tap reads along space, when that is inside the image, and the cases in which it is not."""

    rows: tuple[Affine, ...]
    inside: tuple[Guard, ...]
    beyond: tuple[tuple[Guard, ...], ...]


def positions(spec: ConvSpec, at: Callable[[str], Affine]) -> Positions:
    """`at` gives an axis in terms of loops."""
    inside: list[Guard] = []
    beyond: list[tuple[Guard, ...]] = []
    rows: list[Affine] = []
    for place, axis in enumerate(spec.spatial):
        l, (low, high) = axis.lower(), spec.pad[place]
        row = at(f"o{l}") * spec.stride[place] + at(f"k{l}") * spec.dilation[place] - low
        size = extent(size_of(spec.input, axis, spec))
        beyond += [(*inside, Guard(row * -1 - 1, number(low)))] if low else []
        beyond += [(*inside, Guard(row - size, number(high)))] if high else []
        inside += [Guard(row, size)] if low or high else []
        rows.append(row)
    return Positions(tuple(rows), tuple(inside), tuple(beyond))


def memories(spec: ConvSpec, zero: int) -> tuple[Buffer, ...]:
    """The tensors, and the vectors that are made of them."""
    letters = [a.lower() for a in spec.spatial]
    in_names = {"N": "n", **{l.upper(): l for l in letters}, "C": "c"}
    w_names = {"OC": "oc", **{f"K{l.upper()}": f"k{l}" for l in letters}, "IC": "c"}
    out_names = {"N": "n", **{f"O{l.upper()}": f"o{l}" for l in letters}, "OC": "oc"}
    extra = [*([spec.bias] if spec.bias else []), *spec.params, *spec.residuals]
    named = [(spec.input, in_names), (spec.weight, w_names), *((t, out_names) for t in (spec.output, *extra))]
    return (*(memory(t, spec, names) for t, names in named), *vectors(spec, zero))


def domain(spec: ConvSpec, zero: int | None = None) -> Domain:
    """The naive convolution over unpadded tensors, every access guarded. `zero`: what the numbers that are multiplied
    in place of the input's are too large by (default: its zero point)."""
    zero = int(spec.input.zero or 0) if zero is None else zero
    letters = [a.lower() for a in spec.spatial]
    sizes = loops(spec)

    def at(name: str) -> Affine:
        return var(name) if sizes[name] != number(1) else number(0)

    where = positions(spec, at)
    channel = at("g") * spec.oc_per_group + at("oc")
    x = Load(spec.input.name, (at("n"), *where.rows, at("g") * spec.ic_per_group + at("c")), where.inside)
    w = Load(spec.weight.name, (channel, *(at(f"k{l}") for l in letters), at("c")))
    y = Load(spec.output.name, (at("n"), *(at(f"o{l}") for l in letters), channel))
    axes = tuple((name, size) for name, size in sizes.items() if size != number(1))
    return Domain(
        spec.name, axes, memories(spec, zero), MulAdd(y, x, w), epilogue(After(spec, y.index, channel, zero)),
        spec.accumulator, x.buffer, w.buffer, y.buffer, open_sizes(spec), frozenset({"c", *(f"k{l}" for l in letters)}),
        zero, where.beyond if zero else (), outside(spec),
    )  # fmt: skip
