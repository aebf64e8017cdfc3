"""The syntax tree: frozen dataclasses named after the grammar's rules, in the order of the grammar.

Nothing is interpreted here: names are not resolved, sizes not computed, defaults not filled in. Every node knows its
place in the text (`span`), which takes no part in comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from convjit.source import Span


@dataclass(frozen=True)
class Node:
    """A piece of the program and its place in the text; no place when it was built in Python."""

    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


# --- words and expressions ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word(Node):
    """A name as it was written."""

    text: str


@dataclass(frozen=True)
class Number(Node):
    """An unsigned number as it was written, such as "64", "0.02", "1e-5"."""

    text: str


@dataclass(frozen=True)
class Name(Node):
    """The name of a `let` constant inside an expression."""

    text: str


@dataclass(frozen=True)
class Negative(Node):
    """- operand"""

    operand: Expr


@dataclass(frozen=True)
class Power(Node):
    """base ^ exponent; the exponent is a literal."""

    base: Expr
    exponent: int


@dataclass(frozen=True)
class Binary(Node):
    """left op right, with op one of + - * /"""

    op: str
    left: Expr
    right: Expr


Expr = Number | Name | Negative | Power | Binary


@dataclass(frozen=True)
class Open(Node):
    """The `?` of a size that is known only at the call."""


@dataclass(frozen=True)
class Per(Node):
    """A tensor of numbers, one for each index of an axis: `ws per OC`."""

    tensor: str
    axis: str


# --- tensors -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis(Node):
    """An axis of a tensor, with its size, `?`, or none."""

    name: str
    size: Expr | Open | None = None


@dataclass(frozen=True)
class InRange(Node):
    """The promise `in low..high` about the values of an integer tensor."""

    low: Expr
    high: Expr


@dataclass(frozen=True)
class Tensor(Node):
    """`role name : type [axes]` with what may follow. Roles: input weight bias output residual param.

    A param may have `values`: one number for all output channels, or one for each.
    """

    role: str
    name: Word
    type: Word
    axes: tuple[Axis, ...]
    in_range: InRange | None = None
    sparse: Word | None = None
    scale: Expr | Per | None = None
    zero: Expr | Per | None = None
    values: tuple[Expr, ...] = ()


# --- clauses -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stride(Node):
    """One size for all spatial axes, or one each, outermost first."""

    sizes: tuple[Expr, ...]


@dataclass(frozen=True)
class Dilation(Node):
    """One size for all spatial axes, or one each, outermost first."""

    sizes: tuple[Expr, ...]


@dataclass(frozen=True)
class Groups(Node):
    """The number of groups that the channels fall into."""

    value: Expr


@dataclass(frozen=True)
class PadPair(Node):
    """Padding before and behind an axis."""

    low: Expr
    high: Expr


@dataclass(frozen=True)
class Pad(Node):
    """A word (valid, same, same_lower), one amount for all sides, or one (or a pair) for each spatial axis."""

    amounts: Word | Expr | tuple[Expr | PadPair, ...]


@dataclass(frozen=True)
class Factor(Node):
    """The scale of one tensor in a `compute` clause."""

    tensor: Word
    value: Expr | Per


@dataclass(frozen=True)
class Compute(Node):
    """The type that multiplications run in; `scales` is "auto", two factors, or nothing."""

    type: Word
    scales: Word | tuple[Factor, ...] = ()
    round: Word | None = None


@dataclass(frozen=True)
class Algorithm(Node):
    """auto, direct, im2col, or winograd with the side of its output tile."""

    word: Word
    tile: int | None = None


@dataclass(frozen=True)
class Error(Node):
    """The bound on the normalised root mean square error that `algorithm auto` keeps."""

    bound: Number


@dataclass(frozen=True)
class Requantize(Node):
    """The rounding profile of a quantised output."""

    word: Word


@dataclass(frozen=True)
class Then(Node):
    """A step after the sum: its word, and numbers, tensor names or `s per OC`."""

    word: Word
    arguments: tuple[Expr | Per | Word, ...] = ()


@dataclass(frozen=True)
class Target(Node):
    """What to compile for."""

    word: Word


@dataclass(frozen=True)
class Threads(Node):
    """The number of CPU workers."""

    value: Expr


@dataclass(frozen=True)
class Dataflow(Node):
    """A dataflow by name."""

    word: Word


# --- schedules ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoopToken(Node):
    """`axis/step:kind`. `{oh+kh}` is axis "oh" walked by input position with tap "kh"."""

    axis: str
    step: int | None = None
    kind: str | None = None
    tap: str | None = None


@dataclass(frozen=True)
class StageToken(Node):
    """`[tensor: level details | copy]`: what the loops to its right touch is kept at that level."""

    tensor: str
    level: str = "registers"
    ring: int = 1
    swizzle: int = 0
    pad: int = 0
    as_type: str | None = None
    by: str | None = None
    copy: tuple[LoopToken, ...] = ()


@dataclass(frozen=True)
class Loops(Node):
    """A line of loops and stages, outermost first; it goes on with the next such line."""

    items: tuple[LoopToken | StageToken, ...]


@dataclass(frozen=True)
class Pack(Node):
    """The layout of a packed tensor, as loops from the slowest to the fastest, and the type it is packed as."""

    tensor: str
    loops: tuple[LoopToken, ...]
    as_type: str | None = None


@dataclass(frozen=True)
class Fuse(Node):
    """One axis in place of several."""

    name: str
    axes: tuple[str, ...]


@dataclass(frozen=True)
class Prefetch(Node):
    """Read a tensor `distance` steps of a loop ahead."""

    tensor: str
    loop: LoopToken
    distance: int


@dataclass(frozen=True)
class Launch(Node):
    """How the grid is launched: words, some with a number."""

    options: tuple[tuple[str, int | None], ...]


Line = Loops | Pack | Fuse | Prefetch | Launch


@dataclass(frozen=True)
class ScheduleBlock(Node):
    """`dataflow phase { lines }`; the phase is named where an algorithm has several."""

    phase: str | None
    lines: tuple[Line, ...]


# --- programs ----------------------------------------------------------------------------------------------------

Clause = (
    Tensor | Stride | Dilation | Groups | Pad | Compute | Algorithm | Error | Requantize | Then | Target | Threads
    | Dataflow | ScheduleBlock
)  # fmt: skip


@dataclass(frozen=True)
class Let(Node):
    """A constant."""

    name: Word
    value: Expr


@dataclass(frozen=True)
class Conv(Node):
    """One convolution. It is damaged where a clause could not be read (and was reported), which says nothing about
    what it means."""

    name: Word
    clauses: tuple[Clause, ...]
    transposed: bool = False
    damaged: bool = field(default=False, compare=False, repr=False)


@dataclass(frozen=True)
class Program(Node):
    """A file: constants and convolutions in the order in which they are written.

    It is damaged where a constant or a whole convolution could not be read (and was reported).
    """

    items: tuple[Let | Conv, ...]
    damaged: bool = field(default=False, compare=False, repr=False)

    def convs(self) -> tuple[Conv, ...]:
        """The convolutions alone."""
        return tuple(item for item in self.items if isinstance(item, Conv))
