"""The convolutions that the GPU is measured on: NHWC, weights KH KW OC IC, f32."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A square layer: `size` by `size` pixels of `c` channels, `oc` kernels of `k` by `k` taps."""

    name: str
    size: int
    c: int
    oc: int
    k: int
    stride: int = 1
    pad: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def out(self) -> int:
        """Pixels of a side of the output."""
        return (self.size + 2 * self.pad - self.dilation * (self.k - 1) - 1) // self.stride + 1

    def operations(self, n: int) -> int:
        """Two for each multiply-add."""
        return 2 * n * self.out**2 * self.oc * self.k**2 * self.c // self.groups

    def bytes(self, n: int) -> int:
        """Of input, weight and output."""
        weights = self.k**2 * self.c // self.groups * self.oc
        return 4 * (n * self.size**2 * self.c + n * self.out**2 * self.oc + weights)

    def text(self, n: int, dataflow: str = "") -> str:
        """The program; `dataflow` is the inside of a dataflow block."""
        block = f"    dataflow {{\n{dataflow}\n    }}\n" if dataflow else ""
        return (
            f"conv {self.name} {{\n"
            f"    input x : f32[N={n}, H={self.size}, W={self.size}, C={self.c}]\n"
            f"    weight w : f32[KH={self.k}, KW={self.k}, OC={self.oc}, IC]\n"
            f"    stride {self.stride}; pad {self.pad}; dilation {self.dilation}; groups {self.groups}\n{block}}}\n"
        )

    def __str__(self) -> str:
        words = [f"{self.size}x{self.size}x{self.c}", f"{self.k}x{self.k}->{self.oc}"]
        extra = (("s", self.stride), ("d", self.dilation), ("g", self.groups))
        return " ".join([*words, *(f"{letter}{value}" for letter, value in extra if value > 1)])


SHAPES = (
    Shape("a", 56, 64, 64, 3, pad=1),
    Shape("b", 28, 128, 128, 3, pad=1),
    Shape("c", 14, 256, 256, 3, pad=1),
    Shape("d", 7, 512, 512, 3, pad=1),
    Shape("e", 224, 3, 64, 7, stride=2, pad=3),
    Shape("f", 56, 64, 256, 1),
    Shape("g", 14, 1024, 256, 1),
    Shape("h", 224, 64, 64, 3, pad=1),
    Shape("i", 56, 144, 144, 3, pad=1, groups=144),
    Shape("j", 14, 576, 576, 3, pad=1, groups=576),
    Shape("k", 416, 3, 16, 3, pad=1),
    Shape("l", 28, 256, 256, 3, pad=2, dilation=2),
    Shape("m", 56, 128, 128, 3, pad=1, groups=32),
)
