"""How many blocks a GPU's step has, and whether its arrays are small enough for it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from convjit.errors import InternalError, Unavailable
from convjit.kernel.program import Array, Program, Step
from convjit.runtime.array_call import bytes_of

MOST = 2**31 - 1
"""Kernels compute addresses and the numbers of threads in 32 bits."""


def blocks(step: Step, sizes: Mapping[str, int]) -> int:
    """The blocks of a step. `Unavailable` where their threads cannot be numbered."""
    launch = step.launch
    if launch is None:
        raise InternalError(f"'{step.symbol}' has no launch")
    count = prod(b if isinstance(b, int) else sizes[b] for b in launch.blocks)
    if count * launch.threads > MOST:
        text = f"'{step.symbol}' would need {count} blocks of {launch.threads} threads."
        raise Unavailable.of(text, note=f"A GPU kernel has {MOST} threads at most.", hint="Split the batch.")
    return count


def check_blocks(step: Step) -> None:
    """`Unavailable` for too many blocks, where their number is known before a call."""
    if step.launch and all(isinstance(b, int) for b in step.launch.blocks):
        blocks(step, {})


def check_bytes(program: Program, sizes: Mapping[str, int]) -> None:
    """`Unavailable` where an array has more bytes than a kernel can address. Arrays of unknown size are let through."""
    for array in (*program.inputs, program.output, *program.temporaries):
        if known(array, sizes) and (size := bytes_of(array, sizes)) > MOST:
            text = f"'{array.name}' has {size} bytes."
            raise Unavailable.of(text, note=f"A GPU kernel addresses {MOST} of an array.", hint="Split the batch.")


def known(array: Array, sizes: Mapping[str, int]) -> bool:
    """Whether all its sizes are known."""
    return all(isinstance(n, int) or n in sizes for n in array.shape)
