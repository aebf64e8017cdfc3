"""What goes through the connection to a worker, besides the names of its methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convjit.bench.ours import Variant


@dataclass(frozen=True)
class Job:
    """A convolution: its program, the folder with an array for each tensor (NAME.npy), threads; and, for our own library,
    the variants to compile."""

    program: str
    folder: str
    threads: int
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What came of a request: its value, or why there is none."""

    value: Any = None
    problem: str = ""
