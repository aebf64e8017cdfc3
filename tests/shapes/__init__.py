"""Shapes that other people test: 505 convolutions of oneDNN's own tester (benchdnn), as facts.

`cases.txt` holds all of them, `sample.txt` the 60 that every test run goes through: one to three dimensions,
tails, strides, dilation, depthwise, groups, uneven and large padding, tiny images. Layouts are drawn, each case's
own.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.spec import layout
from convjit.spec.conv import ConvSpec
from convjit.spec.geometry import out_size
from convjit.spec.tensor import Tensor

Array = NDArray[Any]
Types = tuple[str, str, str]
"""Of input, weight and output."""
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """A shape: `size`, `kernel`, … hold a number for each spatial axis, outermost first."""

    name: str
    batch: int
    groups: int
    channels: int
    out_channels: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    low: tuple[int, ...]
    high: tuple[int, ...]

    @property
    def spatial(self) -> tuple[str, ...]:
        return ("D", "H", "W")[3 - len(self.size) :]

    @property
    def pad(self) -> tuple[tuple[int, int], ...]:
        return tuple(zip(self.low, self.high, strict=True))

    @property
    def out(self) -> tuple[int, ...]:
        window = zip(self.size, self.kernel, self.stride, self.dilation, self.pad, strict=True)
        return tuple(out_size(*axis) for axis in window)

    @property
    def sizes(self) -> dict[str, int]:
        """By axis."""
        sizes = {"N": self.batch, "C": self.channels, "OC": self.out_channels}
        sizes |= {"IC": self.channels // self.groups}
        sizes |= dict(zip(self.spatial, self.size, strict=True))
        sizes |= dict(zip(layout.kernel_axes(self.spatial), self.kernel, strict=True))
        return sizes | dict(zip(layout.output_axes(self.spatial), self.out, strict=True))

    @property
    def products(self) -> int:
        """Multiplications, those by padding included."""
        return self.batch * self.out_channels * self.sizes["IC"] * prod(self.out) * prod(self.kernel)


def read(file: str) -> tuple[Case, ...]:
    """The cases of a file; the name of one says in which line of `cases.txt` it stands."""
    places: dict[str, int] = {}
    for at, line in enumerate((FOLDER / "cases.txt").read_text().splitlines()):
        places.setdefault(line, at)
    lines = (FOLDER / file).read_text().splitlines()
    return tuple(_case(line, places[line]) for line in lines if not line.startswith("#"))


def _case(line: str, place: int) -> Case:
    source, name, n, g, c, oc, *window = line.split()
    axes = [tuple(int(number) for number in word.split("x")) for word in window]
    return Case(f"{place}:{source}:{name}", int(n), int(g), int(c), int(oc), *axes)


CASES = read("cases.txt")
SAMPLE = read("sample.txt")


def layouts(case: Case) -> tuple[tuple[str, ...], ...]:
    """Orders of axes of input, weight and output: often channels last or first, else any."""
    r = random.Random(case.name)
    space, kernel, out = case.spatial, layout.kernel_axes(case.spatial), layout.output_axes(case.spatial)
    image, made = _image(r, "N", "C", space), _image(r, "N", "OC", out)
    usual = [("OC", "IC", *kernel), (*kernel, "IC", "OC"), ("OC", *kernel, "IC")]
    weight = r.choice([*usual, _shuffled(r, ("OC", "IC", *kernel))])
    return image, weight, made


def _image(r: random.Random, n: str, c: str, space: tuple[str, ...]) -> tuple[str, ...]:
    return r.choice([(n, *space, c), (n, *space, c), (n, c, *space), _shuffled(r, (n, c, *space))])


def _shuffled(r: random.Random, axes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(r.sample(axes, len(axes)))


def spec_of(case: Case, dtype: str = "f32", axes: tuple[tuple[str, ...], ...] = (), dataflow: str = "auto") -> ConvSpec:
    """The convolution, in the case's layouts or in those given for input, weight and output."""
    roles = ("x", "input"), ("w", "weight"), ("y", "output")
    tensors = tuple(
        Tensor(name, role, dtype, order, tuple(case.sizes[axis] for axis in order))
        for (name, role), order in zip(roles, axes or layouts(case), strict=True)
    )
    return ConvSpec("conv", tensors, case.stride, case.dilation, case.pad, case.groups, dataflow=dataflow)


def arrays(spec: ConvSpec, seed: int = 0) -> tuple[Array, ...]:
    """Whole numbers from -4 to 4 for all arguments: sums of f32 are exact."""
    rng = np.random.default_rng(seed)
    return tuple(
        rng.integers(-4, 5, tuple(size or 1 for size in t.sizes)).astype(dtypes.get(t.dtype).numpy)
        for t in spec.arguments
    )


def typed(case: Case, types: Types, dataflow: str = "auto") -> ConvSpec:
    """The case with these types of input, weight and output."""
    spec = spec_of(case, dataflow=dataflow)
    tensors = tuple(replace(t, dtype=d) for t, d in zip(spec.tensors, types, strict=True))
    return replace(spec, tensors=tensors)


def full_range(spec: ConvSpec, seed: int = 0) -> tuple[Array, ...]:
    """Any values of the types, the extremes often."""
    rng = np.random.default_rng(seed)
    made = []
    for t in spec.arguments:
        low, high = dtypes.limits(t.dtype)
        shape = tuple(size or 1 for size in t.sizes)
        drawn = rng.integers(low, high + 1, shape, dtype=np.int64)
        extreme = rng.choice(np.array([low, high]), shape)
        made.append(np.where(rng.random(shape) < 0.3, extreme, drawn).astype(dtypes.get(t.dtype).numpy))
    return tuple(made)
