"""What the choice of a CPU schedule reads off a spec and a machine: sizes of loops, and how far neighbours lie apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

from convjit.dtypes import bits
from convjit.machine.machine import Machine
from convjit.schedule.operands import in_pairs
from convjit.spec.conv import ConvSpec, Tensor

ASSUMED = 56
"""What an open spatial size counts as; an open batch counts as 1."""

FUSED = "p"


@dataclass(frozen=True)
class Facts:
    """`fused` are the axes that one axis `p` stands for: side by side in memory, in the input as in the output."""

    spec: ConvSpec
    machine: Machine

    @cached_property
    def in_pairs(self) -> bool:
        """Whether all products are to be added up two by two."""
        return in_pairs(self.spec.types, self.spec)

    @cached_property
    def letters(self) -> tuple[str, ...]:
        """The spatial axes: ("h", "w")."""
        return tuple(a.lower() for a in self.spec.spatial)

    @cached_property
    def taps(self) -> tuple[str, ...]:
        """The loops over the kernel."""
        return tuple(f"k{l}" for l in self.letters)

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Turns of every loop; open sizes as assumed."""
        spec = self.spec
        space = {f"o{l}": ASSUMED if s is None else s for l, s in zip(self.letters, spec.out_size, strict=True)}
        taps = dict(zip(self.taps, spec.kernel_size, strict=True))
        batch = 1 if spec.batch is None else spec.batch
        return {"n": batch, "g": spec.groups, "oc": spec.oc_per_group, **space, **taps, "c": spec.ic_per_group}

    @cached_property
    def open(self) -> frozenset[str]:
        """The loops whose size is known only at the call."""
        spec = self.spec
        space = {f"o{l}" for l, s in zip(self.letters, spec.out_size, strict=True) if s is None}
        return frozenset(space | ({"n"} if spec.batch is None else set()))

    @cached_property
    def fused(self) -> tuple[str, ...]:
        """The longest run of batch and space that lies side by side in every tensor of that shape; () if none is."""
        free = {"N": "n"} if "n" not in self.open else {}
        for place, letter in enumerate(self.spec.spatial):
            alone = self.spec.kernel_size[place] == self.spec.stride[place] == 1 and self.spec.pad[place] == (0, 0)
            if alone and f"o{letter.lower()}" not in self.open:
                free[letter] = f"o{letter.lower()}"
        out = {("O" + a if a != "N" else a): loop for a, loop in free.items()}
        common = runs(self.spec.input, free)
        for tensor in (self.spec.output, *self.spec.residuals):
            common &= runs(tensor, out)
        wanted = [run for run in common if sum(self.sizes[a] > 1 for a in run) > 1]
        return max(wanted, key=lambda run: (prod(self.sizes[a] for a in run), run), default=())

    @cached_property
    def pixels(self) -> dict[str, int]:
        """The loops over pixels, outermost first in the output's memory, one for all fused ones."""
        order = [f"o{a[1:].lower()}" if a[0] == "O" and a != "OC" else "n" for a in self.spec.output.axes if a != "OC"]
        kept = [a for a in order if a not in self.fused]
        found = {a: self.sizes[a] for a in kept}
        if self.fused:
            whole = {FUSED: prod(self.sizes[a] for a in self.fused)}
            place = sum(order.index(a) < order.index(self.fused[0]) for a in kept)
            items = list(found.items())
            found = dict([*items[:place], *whole.items(), *items[place:]])
        return found

    @cached_property
    def strip(self) -> str:
        """The loop over pixels, side by side in the input, that a strip can be copied along; "" where taps overlap."""
        along = FUSED if FUSED in self.pixels else f"o{self.letters[-1]}"
        near = self.step(self.spec.input, along) <= self.spec.stride[-1]
        alone = prod(self.spec.kernel_size) == 1 and along not in self.open and self.pixels.get(along, 1) > 1
        return along if alone and near else ""

    @cached_property
    def element(self) -> int:
        """Bytes of an element."""
        return bits(self.spec.input.dtype) // 8

    @cached_property
    def lanes(self) -> int:
        """Sums that one vector holds."""
        return self.machine.lanes(bits(self.spec.accumulator))

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """The numbers of lanes that instructions exist for, widest first."""
        found = {row.role("n") for row in self.machine.rows_for(self.spec.types) if row.role("k") == 1}
        return tuple(sorted(found | {1}, reverse=True))

    def width(self, size: int) -> int:
        """The narrowest vector that holds as many, or the widest there is; one number is no vector."""
        several = [n for n in self.widths if n > 1]
        return min((n for n in several if n >= size), default=max(several, default=1))

    @cached_property
    def registers(self) -> int:
        """Vector registers."""
        return self.machine.vector_registers

    @cached_property
    def depth(self) -> int:
        """Products of one output."""
        return prod(self.spec.kernel_size) * self.spec.ic_per_group

    @cached_property
    def steps(self) -> dict[tuple[str, str], int]:
        """What `step` has found."""
        return {}

    def step(self, tensor: Tensor, loop: str) -> int:
        """Elements between neighbours along a loop of the output, or `c`; 0 where the tensor does not move with it."""
        key = tensor.name, loop
        if key not in self.steps:
            self.steps[key] = self.worked_out(tensor, loop)
        return self.steps[key]

    def worked_out(self, tensor: Tensor, loop: str) -> int:
        """The same, from the tensor's axes."""
        if loop == FUSED:
            return self.step(tensor, self.fused[-1])
        role = tensor.role == "input"
        if loop in ("g", "oc", "c"):
            axis = "C" if role else "OC"
            within = self.spec.ic_per_group if role else self.spec.oc_per_group
            times = {"g": within, "c": int(role), "oc": int(not role)}[loop]
        else:
            axis = "N" if loop == "n" else loop[1:].upper() if role else loop.upper()
            times = self.spec.stride[self.letters.index(loop[1:])] if role and loop != "n" else 1
        return times * self.stride(tensor, axis)

    def stride(self, tensor: Tensor, axis: str) -> int:
        """Elements between neighbours along a tensor's axis; open sizes as assumed."""
        place = tensor.axes.index(axis)
        return prod(ASSUMED if s is None else s for s in tensor.sizes[place + 1 :])

    @cached_property
    def image(self) -> int:
        """Bytes of the input of one group, of all images."""
        sizes = (ASSUMED if s is None else s for s in self.spec.input.sizes)
        return prod(sizes) * self.element // self.sizes["g"]

    @cached_property
    def operations(self) -> int:
        """Multiply-adds of the whole convolution, open sizes as assumed."""
        return prod(self.pixels.values()) * self.spec.out_channels * self.depth


def runs(tensor: Tensor, free: dict[str, str]) -> set[tuple[str, ...]]:
    """Every run of neighbouring axes of the tensor that are all free, as loops; axes of size 1 do not count between."""
    axes = [a for a, s in zip(tensor.axes, tensor.sizes, strict=True) if s != 1 or a in free]
    found: set[tuple[str, ...]] = set()
    for first in range(len(axes)):
        for last in range(first + 2, len(axes) + 1):
            part = axes[first:last]
            if all(a in free for a in part):
                found.add(tuple(free[a] for a in part))
    return found
