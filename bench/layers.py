"""The convolutions that are measured: those of four networks, and special ones. One image.

layers.csv holds facts: ResNet-50 v1.5, MobileNet v1 and VGG-19 at 224x224, YOLOv2 at 608x608 (its inputs are already
padded), as oneDNN's benchdnn lists them. `times` is how often a network computes that layer.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from convjit.spec.build import Conv
from convjit.spec.conv import ConvSpec

FACTS = Path(__file__).with_name("layers.csv")

NETWORKS = ("resnet50", "mobilenet", "vgg19", "yolov2")

REPORT = {(56, 64, 64, 3), (28, 128, 128, 3), (7, 512, 512, 3)}
"""Side, input and output channels, kernel of the three layers of the report that convjit grew from (stride 1)."""

KINDS = ("report", "3x3", "1x1", "first", "depthwise", "grouped", "other")
"""In the order of the tables."""

Axes = tuple[str, ...]
NHWC, NCHW = ("N", "H", "W", "C"), ("N", "C", "H", "W")

F32 = ("f32", "f32", "f32")


@dataclass(frozen=True)
class Layer:
    """A convolution: `h`, `w`, `kernel`, `pad` as (along H, along W), padding the same on both sides.

    `uses` are the networks that have it, with how often.
    """

    name: str
    groups: int
    c: int
    oc: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: int
    dilation: int
    pad: tuple[int, int]
    uses: tuple[tuple[str, int], ...] = field(default=(), compare=False)

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        if self.groups == self.c > 1:
            return "depthwise" if self.kernel == (3, 3) else "other"
        if self.groups > 1:
            return "grouped" if self.c == 4 * self.groups else "other"
        if self.c == 3:
            return "first"
        if self.kernel == (1, 1):
            return "1x1" if self.size > (1, 1) else "other"
        if self.kernel != (3, 3) or self.dilation > 1 or self.c % 8:
            return "other"
        plain = self.stride == 1 and self.size[0] == self.size[1]
        return "report" if plain and (self.size[0], self.c, self.oc, 3) in REPORT else "3x3"

    @property
    def shape(self) -> str:
        """56x56x64 3x3 s2 256"""
        (h, w), (kh, kw) = self.size, self.kernel
        words = [f"{h}x{w}x{self.c}", f"{kh}x{kw}"]
        words += [f"s{self.stride}"] * (self.stride > 1) + [f"d{self.dilation}"] * (self.dilation > 1)
        words += [f"g{self.groups}"] * (self.groups > 1) + [str(self.oc)] * (self.oc != self.c)
        return " ".join(words)

    @property
    def products(self) -> int:
        """How many are added up for one output."""
        return self.c // self.groups * prod(self.kernel)

    def spec(
        self,
        axes: Axes = NHWC,
        types: tuple[str, str, str] = F32,
        options: Mapping[str, Mapping[str, object]] | None = None,
        **clauses: Any,
    ) -> ConvSpec:
        """As a convolution, with its input and output in an order of axes: `types` of x, w, y, what belongs to the declaration
        of each (scale, zero, in_range), and further arguments of `Conv`."""
        given: Mapping[str, Mapping[str, object]] = {"x": {}, "w": {}, "y": {}, **(options or {})}
        sizes = {"N": 1, "C": self.c, "H": self.size[0], "W": self.size[1]}
        weight = {"OC": self.oc, "KH": self.kernel[0], "KW": self.kernel[1], "IC": self.c // self.groups}
        outer = {"N": "N", "C": "OC", "H": "OH", "W": "OW"}
        return Conv(
            self.name,
            input=("x", types[0], {axis: sizes[axis] for axis in axes}, given["x"]),
            weight=("w", types[1], weight, given["w"]),
            output=("y", types[2], " ".join(outer[axis] for axis in axes), given["y"]),
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
            pad=self.pad,
            **clauses,
        )


def load(path: Path = FACTS) -> tuple[Layer, ...]:
    """All layers, each shape once, in the order of the file."""
    found: dict[Layer, Layer] = {}
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            layer, use = _layer(row), (row["network"], int(row["times"]))
            facts = replace(layer, name="")
            known = found.get(facts, layer)
            found[facts] = replace(known, uses=(*known.uses, use))
    return tuple(found.values())


def _layer(row: dict[str, str]) -> Layer:
    number = {key: int(value) for key, value in row.items() if key not in ("network", "layer")}
    return Layer(
        name=f"{row['network']}_{row['layer']}",
        groups=number["groups"],
        c=number["c"],
        oc=number["oc"],
        size=(number["h"], number["w"]),
        kernel=(number["kh"], number["kw"]),
        stride=number["stride"],
        dilation=number["dilation"],
        pad=(number["pad_h"], number["pad_w"]),
    )


def select(layers: Iterable[Layer], words: Iterable[str], only: str = "") -> tuple[Layer, ...]:
    """Those of any of the sets (all, networks, a network, special, or a kind), whose name or shape contains `only`.

    By kind, then in the order given.
    """
    wanted = set(words)
    chosen = [layer for layer in layers if wanted & _sets(layer) and only in f"{layer.name} {layer.shape}"]
    return tuple(sorted(chosen, key=lambda layer: KINDS.index(layer.kind)))


def _sets(layer: Layer) -> set[str]:
    networks = {network for network, _ in layer.uses}
    common = {"networks"} if networks & set(NETWORKS) else set()
    return {"all", layer.kind, *networks, *common}


SETS = ("all", "networks", *NETWORKS, "special", *KINDS)
"""What `select` knows."""
