"""The nest IR. Loops have a kind, statements have guards, buffers have a level and a layout; all frozen.

Two kinds of guards, never mixed: `Load.inside` (elsewhere the value is `fill`) and `when` (else this iteration does
not exist). An open size is a variable with a capital letter. Loops are named unlike axes: `oc.0`, `oc.1`.

Who runs a loop: `serial`, `unroll`; `worker` on a CPU (each worker is given AXIS.begin..AXIS.end); on a GPU `block`,
`global`, `group`, `warp`, `lane`, `thread`, which `bind_units` turns into digits of a number (`Let`) in a `Par`.
What one instruction covers: `simd` (role n), `dot` (role k), `vec` (one wide access to neighbours).
"""

from __future__ import annotations

from dataclasses import dataclass

from convjit.nest.affine import Affine, Bound
from convjit.nest.layout import Layout

UNITS = ("block", "global", "group", "warp", "lane", "thread")
LANES = ("simd", "dot")
KINDS = ("serial", "unroll", "worker", *UNITS, *LANES, "vec")
LEVELS = ("memory", "registers", "scratch", "shared")
SYNCS = ("barrier", "commit", "wait")
ROWS = ("loads", "cp.async")


@dataclass(frozen=True)
class Buffer:
    """`dims` in order of the index. Registers have no layout. `packed`: whole blocks are filled with zeros, so that
    reading past the logical end is harmless. `ring`: so many slots, each of the whole layout."""

    name: str
    dims: tuple[str, ...]
    dtype: str
    level: str = "memory"
    layout: Layout | None = None
    packed: bool = False
    ring: int = 1


@dataclass(frozen=True)
class Guard:
    """0 <= affine < size."""

    affine: Affine
    size: Affine


@dataclass(frozen=True)
class Load:
    """An element of a buffer; `slot` picks one of a ring's, modulo its length."""

    buffer: str
    index: tuple[Affine, ...]
    inside: tuple[Guard, ...] = ()
    fill: float = 0.0
    slot: Affine | None = None


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: float
    dtype: str


@dataclass(frozen=True)
class Apply:
    """An elementwise operation of the kernel's vocabulary, giving `dtype`."""

    op: str
    args: tuple[Expr, ...]
    dtype: str


@dataclass(frozen=True)
class Index:
    """What an expression over loop variables is at this point, as a number; the same in all lanes."""

    affine: Affine
    dtype: str


Expr = Load | Number | Apply | Index


@dataclass(frozen=True)
class Store:
    """target = value, copied by a row of the table; where a `when` fails nothing happens."""

    target: Load
    value: Expr
    when: tuple[Guard, ...] = ()
    by: str = "loads"


@dataclass(frozen=True)
class MulAdd:
    """target += a * b. A tap whose operand is outside (and filled with 0) is left out."""

    target: Load
    a: Expr
    b: Expr
    when: tuple[Guard, ...] = ()


@dataclass(frozen=True)
class Prefetch:
    """Ask for a cache line; computes nothing."""

    target: Load


@dataclass(frozen=True)
class Let:
    """Mixed radix: names are the digits (times their step) of `of`, slowest first; the slowest takes what is left.
    Visible to the statements that follow in the same body."""

    names: tuple[str, ...]
    counts: tuple[Affine, ...]
    steps: tuple[int, ...]
    of: Affine


@dataclass(frozen=True)
class Read:
    """`name` is the whole number that stands in a buffer; who filled the buffer sees to 0 <= number < size. Visible to the
    statements that follow in the same body: indices and bounds that are data, of a list that is walked."""

    name: str
    load: Load
    size: int


@dataclass(frozen=True)
class Loop:
    """name from low to high (exclusive) by step."""

    name: str
    low: Bound
    high: Bound
    step: int
    kind: str
    body: tuple[Stmt, ...]


@dataclass(frozen=True)
class Par:
    """Every thread of the block runs the body, each with its own digits. `of` of a bind is the variable thread, warp,
    lane, group or global. Nothing that waits stands inside."""

    binds: tuple[Let, ...]
    body: tuple[Stmt, ...]


@dataclass(frozen=True)
class If:
    """Over variables that all threads of the block agree on."""

    guard: Guard
    body: tuple[Stmt, ...]


@dataclass(frozen=True)
class Sync:
    """barrier | commit (close a group of asynchronous copies) | wait (until at most `count` groups are in flight)."""

    op: str
    count: int = 0


Stmt = Loop | Store | MulAdd | Prefetch | Let | Read | Par | If | Sync
NESTED = (Loop, Par, If)
HINTS = (Prefetch, Sync, Let, Read)


@dataclass(frozen=True)
class OpenSize:
    """A size known only at the call.

    With `source` empty it is read off an argument's shape; otherwise it is `(source + add) // divisor + 1`, the output
    size that follows from an input size.
    """

    name: str
    source: str = ""
    add: int = 0
    divisor: int = 1


@dataclass(frozen=True)
class WorkerAxis:
    """A thread axis of a CPU nest: its loops run from NAME.begin to NAME.end, multiples of step below extent."""

    name: str
    extent: Affine
    step: int


@dataclass(frozen=True)
class Grid:
    """How a GPU nest is started: the blocks are the product of `counts`; `min_blocks` per multiprocessor, 0 = any."""

    counts: tuple[Affine, ...]
    threads: int
    min_blocks: int = 0


@dataclass(frozen=True)
class Nest:
    """A function over its memory buffers; `sizes` are the open ones."""

    name: str
    buffers: tuple[Buffer, ...]
    body: tuple[Stmt, ...]
    sizes: tuple[OpenSize, ...] = ()
    workers: tuple[WorkerAxis, ...] = ()
    grid: Grid | None = None

    def buffer(self, name: str) -> Buffer:
        """The buffer of that name."""
        for b in self.buffers:
            if b.name == name:
                return b
        raise KeyError(name)
