"""The kernel IR: one function, nearly as the machine runs it, for CPUs and GPUs alike.

Loops and branches are structured and carry values (accumulators on a CPU, ring slots on a GPU); every other thing is
an `Op` in a flat list: a result, a name from `ops.OPS` or from the machine's instruction rows, a type, operands.
Every value is assigned once and is visible from there to the end of the body it stands in.

Types are words: "i1 i32 i64 f32 …", "f32x16" for a vector, "ptr" for CPU memory, "ptr.global" and "ptr.shared" on a GPU.
An operand is the name of a value ("%7", "%x", "%oh.begin") or a number of the type that the op expects.

`origin` is the number of the nest's statement that something was written for, where statements were numbered, else 0.
Like a place in a text it is no part of what a kernel is: it is neither compared nor printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Type = str
Operand = str | int | float
Attribute = int | float | str | tuple[int, ...] | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Op:
    """`result = name type args {attributes}`; `result` is "" where there is none; a store's type is the value's."""

    result: str
    name: str
    type: Type
    args: tuple[Operand, ...] = ()
    attributes: tuple[tuple[str, Attribute], ...] = ()
    origin: int = field(default=0, compare=False)

    def attribute(self, name: str, default: Attribute | None = None) -> Attribute:
        """The attribute of that name; KeyError where it is missing and has no default."""
        for key, value in self.attributes:
            if key == name:
                return value
        if default is None:
            raise KeyError(f"{self.name} has no attribute '{name}'")
        return default


@dataclass(frozen=True, slots=True)
class Carried:
    """A value handed from one turn of a loop to the next: `start` before the first turn, `following` after each.

    `name` is visible inside the loop, `result` after it.
    """

    name: str
    type: Type
    start: Operand
    following: Operand
    result: str


@dataclass(frozen=True, slots=True)
class For:
    """`counter` runs from low (inclusive) to high (exclusive) by step; `sure`: at least one turn is certain."""

    counter: str
    type: Type
    low: Operand
    high: Operand
    step: int
    carried: tuple[Carried, ...]
    body: tuple[Stmt, ...]
    sure: bool = False
    origin: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Merged:
    """A value after a branch: `taken` where the body ran (visible at its end), else `skipped` (visible before it)."""

    result: str
    type: Type
    taken: Operand
    skipped: Operand


@dataclass(frozen=True, slots=True)
class If:
    """The body runs where `condition` (an i1) holds."""

    condition: str
    body: tuple[Stmt, ...]
    merged: tuple[Merged, ...] = ()
    origin: int = field(default=0, compare=False)


Stmt = Op | For | If


@dataclass(frozen=True)
class Parameter:
    """A pointer to an array. `space` is "" on a CPU, "global" on a GPU; parameters never overlap."""

    name: str
    dtype: str
    written: bool
    space: str = ""

    @property
    def type(self) -> Type:
        """What a pointer to it is."""
        return f"ptr.{self.space}" if self.space else "ptr"


@dataclass(frozen=True)
class Local:
    """Memory of the function's own: on the stack (CPU) or in shared memory at `offset` bytes (GPU)."""

    name: str
    bytes: int
    space: str = ""
    offset: int = 0


@dataclass(frozen=True)
class Launch:
    """How a GPU kernel is started: blocks (a number, or a product of sizes and numbers), threads per block."""

    blocks: tuple[int | str, ...]
    threads: int
    shared_bytes: int = 0
    min_blocks: int = 0
    cluster: int = 1


@dataclass(frozen=True)
class Kernel:
    """One function. Visible at its start: %NAME of every parameter, local and size, and on a CPU %AXIS.begin and
    %AXIS.end (i64) of every thread axis. Sizes are i64 on a CPU and i32 on a GPU."""

    name: str
    machine: str
    parameters: tuple[Parameter, ...]
    body: tuple[Stmt, ...]
    locals: tuple[Local, ...] = ()
    sizes: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    launch: Launch | None = None

    @property
    def index(self) -> Type:
        """The type of counters and sizes."""
        return "i32" if self.launch else "i64"


def lanes(type: Type) -> int:
    """How many lanes: 16 for "f32x16", 1 for a scalar."""
    _, _, count = type.partition("x")
    return int(count or 1)


def element(type: Type) -> Type:
    """The type of one lane: "f32" for "f32x16"."""
    return type.partition("x")[0]


def vector(element: Type, lanes: int) -> Type:
    """The type of so many lanes; one lane is a scalar."""
    return f"{element}x{lanes}" if lanes > 1 else element


def walk(body: tuple[Stmt, ...]) -> Iterator[Stmt]:
    """Every statement, outer ones before those inside them."""
    for stmt in body:
        yield stmt
        if not isinstance(stmt, Op):
            yield from walk(stmt.body)
