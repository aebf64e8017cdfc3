"""Small random convolutions: 1-D to 3-D, groups, every layout, open sizes, what follows the sum."""

from __future__ import annotations

import random
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convjit import dtypes
from convjit.machine.rows import EXACT
from convjit.spec.conv import ConvSpec
from convjit.spec.geometry import out_size
from convjit.spec.tensor import Tensor, Then

Array = NDArray[Any]

TYPES = [("f32", "f32", "f32")] * 12 + [("f64", "f64", "f64")] * 2 + [*EXACT]
CURVES = ("sigmoid", "tanh", "silu", "gelu", "hardswish")
"""Steps that round."""
WORK = 15_000
"""Multiplications at most."""


def random_spec(r: random.Random) -> ConvSpec:
    """A convolution that NumPy does in milliseconds."""
    while True:
        spec = attempt(r)
        if spec is not None:
            return spec


def attempt(r: random.Random) -> ConvSpec | None:
    """One draw; None where it is empty or too large."""
    rank = r.choice([1, 2, 2, 2, 2, 3])
    space = ("D", "H", "W")[3 - rank :]
    kernel = [r.choice([1, 1, 2, 3, 3, 5]) for _ in space]
    stride, dilation = many(r, rank, [1, 1, 2, 3]), many(r, rank, [1, 1, 1, 2])
    pad = tuple(r.choice([(0, 0), (k // 2, k // 2), (r.randint(0, k), r.randint(0, k))]) for k in kernel)
    size = [r.randint(1, 14) for _ in space]
    out = [
        (i + sum(p) - d * (k - 1) - 1) // s + 1
        for i, k, s, d, p in zip(size, kernel, stride, dilation, pad, strict=True)
    ]
    groups, ic, oc = channels(r)
    batch = r.choice([1, 1, 1, 2, 3])
    if min(out) < 1 or batch * prod(out) * prod(kernel) * groups * ic * oc > WORK:
        return None
    types = r.choice(TYPES)
    sizes = {"N": batch, "C": groups * ic, "OC": groups * oc, "IC": ic}
    sizes |= dict(zip(space, size, strict=True)) | {f"K{a}": k for a, k in zip(space, kernel, strict=True)}
    given: dict[str, int | None] = dict(sizes)
    if r.random() < 0.2:
        given |= dict.fromkeys(r.sample(["N", *space], r.randint(1, rank + 1)))
    given |= {
        f"O{a}": None if given[a] is None else out_size(given[a] or 0, k, s, d, p)
        for a, k, s, d, p in zip(space, kernel, stride, dilation, pad, strict=True)
    }

    def tensor(name: str, role: str, dtype: str, axes: list[str]) -> Tensor:
        return Tensor(name, role, dtype, tuple(axes), tuple(given[a] for a in axes))

    image, made = layout(r, "N", "C", list(space)), layout(r, "N", "OC", [f"O{a}" for a in space])
    weight = r.sample(["OC", *(f"K{a}" for a in space), "IC"], rank + 2)
    tensors = [tensor("x", "input", types[0], image), tensor("w", "weight", types[1], weight)]
    tensors += [tensor("b", "bias", types[2], ["OC"])] if r.random() < 0.3 else []
    steps: list[Then] = []
    if types[0] in ("f32", "f64"):
        steps, beside = random_steps(r)
        tensors += [tensor(name, "param", types[2], ["OC"]) for name in beside if name[0] == "s"]
        shapes = (layout(r, "N", "OC", [f"O{a}" for a in space]) for _ in beside)
        tensors += [tensor(n, "residual", types[2], axes) for n, axes in zip(beside, shapes) if n[0] == "r"]
    tensors.append(tensor("y", "output", types[2], made))
    return ConvSpec("fuzz", tuple(tensors), stride, dilation, pad, groups, tuple(steps))


def random_steps(r: random.Random) -> tuple[list[Then], list[str]]:
    """Steps in any order, exact on whole numbers but for the curves, and the tensors that they read."""
    steps: list[Then] = []
    for at in range(r.choice([0, 0, 0, 1, 1, 2, 3])):
        op = r.choice(["add", "mul", "scale", "relu", "relu6", "clip", "leaky_relu", *CURVES])
        named = {"add": f"r{at}", "mul": f"r{at}", "scale": f"s{at}"}
        numbers = {"clip": (-7.0, 11.0), "leaky_relu": (r.choice([0.25, -0.5]),)}
        steps.append(Then(op, (named[op],) if op in named else numbers.get(op, ())))
    return steps, [str(s.args[0]) for s in steps if s.args and isinstance(s.args[0], str)]


def many(r: random.Random, rank: int, choices: list[int]) -> tuple[int, ...]:
    """One for each axis, often the same."""
    if r.random() < 0.5:
        return (r.choice(choices),) * rank
    return tuple(r.choice(choices) for _ in range(rank))


def channels(r: random.Random) -> tuple[int, int, int]:
    """Groups, input and output channels of a group."""
    kind = r.choice(["dense", "dense", "dense", "depthwise", "grouped"])
    if kind == "dense":
        return 1, r.randint(1, 8), r.choice([1, 3, 8, 13, 16, 17, 24, 33])
    if kind == "depthwise":
        return r.choice([3, 5, 8, 16, 19]), 1, r.choice([1, 1, 2])
    return r.choice([2, 3, 4]), r.choice([2, 3, 4]), r.choice([1, 2, 4, 5])


def layout(r: random.Random, batch: str, channel: str, space: list[str]) -> list[str]:
    """Mostly channels last or first."""
    common = [[batch, *space, channel], [batch, *space, channel], [batch, channel, *space]]
    return r.choice([*common, r.sample([batch, channel, *space], len(space) + 2)])


def random_sizes(r: random.Random, spec: ConvSpec) -> dict[str, int]:
    """A value for every open size, such that there is an output."""
    sizes: dict[str, int] = {}
    for name in spec.open_sizes:
        if name == "N":
            sizes[name] = r.randint(1, 3)
            continue
        at = spec.spatial.index(name)
        span = spec.dilation[at] * (spec.kernel_size[at] - 1) + 1 - sum(spec.pad[at])
        sizes[name] = r.randint(max(span, 1), max(span, 1) + 11)
    return sizes


def random_arrays(seed: int, spec: ConvSpec, sizes: dict[str, int]) -> dict[str, Array]:
    """Whole numbers, so small that every sum is exact; the output holds something that must not be read."""
    rng = np.random.default_rng(seed)
    known = dict(sizes)
    for at, axis in enumerate(spec.spatial):
        if axis in sizes:
            args = spec.kernel_size[at], spec.stride[at], spec.dilation[at], spec.pad[at]
            known[f"O{axis}"] = out_size(sizes[axis], *args)
    arrays: dict[str, Array] = {}
    for t in spec.tensors:
        shape = tuple(known[a] if s is None else s for a, s in zip(t.axes, t.sizes, strict=True))
        low = 0 if t.dtype[0] == "u" else -4
        arrays[t.name] = rng.integers(low, 5, shape).astype(dtypes.get(t.dtype).numpy)
    arrays[spec.output.name][...] = 99
    return arrays
