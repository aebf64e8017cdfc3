"""The vocabulary of the kernel IR: what each op takes and gives. `emit` says how it is written, `interpret` what it means.

In a signature T is the op's type, I the index type (i64 on a CPU, i32 on a GPU), E the type of one lane of T,
M a mask (i1 for each lane of T), P a pointer, V a value of the type that the attribute `type` or `from` names.
Instruction rows of the machine (`fma`, later `vpdpbusd`, `mma…`) are ops too; their signature stands in the row.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """Operand kinds, the kind of the result ("" for none) and the names of the attributes that must be there."""

    args: str
    result: str
    attributes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ("cpu", "cuda")


OPS: dict[str, Signature] = {
    # arithmetic, on integers and floats, on each lane
    "add": Signature("T T", "T"),
    "sub": Signature("T T", "T"),
    "mul": Signature("T T", "T"),
    "div": Signature("T T", "T"),  # floats; IEEE division
    "neg": Signature("T", "T"),
    "abs": Signature("T", "T"),
    "sqrt": Signature("T", "T"),
    "max": Signature("T T", "T"),  # a < b ? b : a, so that a NaN in `a` stays; signed for integers
    "min": Signature("T T", "T"),  # b < a ? b : a
    "rint": Signature("T", "T"),  # to a whole number, half to even
    "udiv": Signature("T T", "T"),
    "urem": Signature("T T", "T"),
    "and": Signature("T T", "T"),
    "or": Signature("T T", "T"),
    "xor": Signature("T T", "T"),
    "shl": Signature("T T", "T"),
    "lshr": Signature("T T", "T"),
    "ashr": Signature("T T", "T"),  # the sign comes in
    # comparisons: attribute `type` is that of the operands; signed, ordered; the result is i1 for each lane
    "lt": Signature("V V", "T", ("type",)),
    "ge": Signature("V V", "T", ("type",)),
    "eq": Signature("V V", "T", ("type",)),
    "ult": Signature("V V", "T", ("type",)),
    "select": Signature("M T T", "T"),
    # conversions: attribute `from` is the operand's type
    "convert": Signature("V", "T", ("from",)),  # widen, wrap, int to float, float to int (toward zero)
    "bitcast": Signature("V", "T", ("from",)),
    # vectors
    "const": Signature("", "T", ("values",)),  # one number for each lane
    "splat": Signature("E", "T"),
    "insert": Signature("T E", "T", ("lane",)),
    "extract": Signature("V", "T", ("lane", "from")),
    "shuffle": Signature("V V", "T", ("order", "from")),  # lanes of both operands, numbered through
    # lanes of both, saturated to half as many bits, by parts of 128 bits: the first's of a part, then the second's
    "pack": Signature("V V", "T", ("from",), ("cpu",)),
    "lanes_inside": Signature("I I", "T", ("offsets",)),  # each lane: 0 <= first + offset < second; second >= 0
    # memory: `step` moves a pointer by bytes; `align` is known alignment in bytes
    "step": Signature("P I", "T"),
    "load": Signature("P", "T", ("align",)),  # optional: constant=1, nobody writes it while the kernel runs
    "store": Signature("T P", "", ("align",)),
    "load_masked": Signature("P M", "T", ("align",)),  # lanes outside the mask are 0 and not touched
    "store_masked": Signature("T P M", "", ("align",)),
    "prefetch": Signature("P", ""),  # into L1 (CPU) or L2 (GPU); any address will do
    # GPU: who am I; waiting; copies
    "special": Signature("", "T", ("register",), ("cuda",)),  # tid, ctaid
    "barrier": Signature("", "", (), ("cuda",)),
    "cp_async": Signature("P P", "", ("bytes",), ("cuda",)),  # from global, to shared, both aligned to the bytes
    "cp_async_fill": Signature("P P T", "", ("bytes",), ("cuda",)),  # third: so many are read, the rest is 0
    "cp_async_commit": Signature("", "", (), ("cuda",)),
    "cp_async_wait": Signature("", "", ("groups",), ("cuda",)),  # so many groups may still be in flight
}
