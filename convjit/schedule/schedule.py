"""The schedule as data: the lines of a `dataflow { … }` block, one phase after the other."""

from __future__ import annotations

from dataclasses import dataclass, field

from convjit.source import Span


@dataclass(frozen=True)
class Level:
    """One loop: `axis/step:kind`. A later mention of the axis walks inside this tile. `tap`: {axis+tap}, walk the tile
    by input position."""

    axis: str
    step: int = 1
    kind: str = "serial"
    tap: str = ""
    span: Span | None = field(default=None, compare=False)

    def __str__(self) -> str:
        name = f"{{{self.axis}+{self.tap}}}" if self.tap else self.axis
        step = f"/{self.step}" if self.step > 1 else ""
        return name + step + (f":{self.kind}" if self.kind != "serial" else "")


@dataclass(frozen=True)
class Stage:
    """`[tensor]`: keep in registers what the loops to the right touch; `[tensor: level … | copy]`: copy it to memory."""

    tensor: str
    level: str = "registers"
    ring: int = 1
    swizzle: int = 0
    pad: int = 0
    as_type: str = ""
    by: str = "loads"
    copy: tuple[Level, ...] = ()
    span: Span | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.level == "registers" and self.by == "loads" and not self.as_type:
            return f"[{self.tensor}]"
        words = [f"{self.tensor}: {self.level}"]
        words += [f"{k} {v}" for k, v in (("ring", self.ring),) if v > 1]
        words += [f"{k} {v}" for k, v in (("swizzle", self.swizzle), ("pad", self.pad)) if v]
        words += [f"as {self.as_type}"] if self.as_type else []
        words += [f"by {self.by}"] if self.by != "loads" else []
        words += ["| " + " ".join(map(str, self.copy))] if self.copy else []
        return f"[{' '.join(words)}]"


Item = Level | Stage


@dataclass(frozen=True)
class Pack:
    """`pack w: oc/32 kh kw c oc as i16`: the memory order of the packed tensor, and its type ("": as it is)."""

    tensor: str
    parts: tuple[Level, ...]
    as_type: str = ""
    span: Span | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"pack {self.tensor}: {' '.join(map(str, self.parts))}" + (f" as {self.as_type}" if self.as_type else "")


@dataclass(frozen=True)
class Fuse:
    """`fuse p = n.oh.ow`: one axis made of several, slowest first."""

    name: str
    axes: tuple[str, ...]
    span: Span | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"fuse {self.name} = {'.'.join(self.axes)}"


@dataclass(frozen=True)
class Prefetch:
    """`prefetch w c 16`: ask for the tensor so many steps of that loop ahead."""

    tensor: str
    loop: Level
    distance: int
    span: Span | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"prefetch {self.tensor} {self.loop} {self.distance}"


@dataclass(frozen=True)
class Phase:
    """One nest: its loops and stages, and the lines that stand beside them. `launch` holds (word, number) pairs."""

    items: tuple[Item, ...]
    name: str = ""
    packs: tuple[Pack, ...] = ()
    fuses: tuple[Fuse, ...] = ()
    prefetches: tuple[Prefetch, ...] = ()
    launch: tuple[tuple[str, int], ...] = ()

    def option(self, word: str, default: int = 0) -> int:
        """The number of a `launch` word."""
        return dict(self.launch).get(word, default)

    def levels(self) -> tuple[Level, ...]:
        """The loops without the stages."""
        return tuple(i for i in self.items if isinstance(i, Level))

    def lines(self) -> list[str]:
        """The lines of its block."""
        lines = [str(f) for f in self.fuses]
        lines += [" ".join(map(str, self.items))] if self.items else []
        lines += [str(p) for p in (*self.packs, *self.prefetches)]
        if self.launch:
            lines.append("launch " + " ".join(f"{w} {n}" if n else w for w, n in self.launch))
        return lines


@dataclass(frozen=True)
class Schedule:
    """The phases; `reasons` say why the tiles are what they are (for `explain`)."""

    phases: tuple[Phase, ...]
    dataflow: str = ""
    reasons: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        blocks = []
        for phase in self.phases:
            head = f"dataflow {phase.name} {{" if phase.name else "dataflow {"
            blocks.append("\n".join([head, *(f"    {line}" for line in phase.lines()), "}"]))
        return "\n".join(blocks)
