"""Convolutions for tests, by their numbers."""

from __future__ import annotations

from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text

SPACE = {1: "W", 2: "HW", 3: "DHW"}


def conv(
    size: tuple[int | str, ...],
    channels: tuple[int, int],
    kernel: tuple[int, ...],
    *,
    stride: int = 1,
    dilation: int = 1,
    pad: str = "same",
    groups: int = 1,
    batch: int | str = 1,
    x: str = "",
    y: str = "",
    w: str = "",
    dtype: str = "f32",
    extra: str = "",
) -> ConvSpec:
    """`channels` are those of the input and the output; `x`, `y` such as "NCHW", `w` such as "HWIO" name the layouts;
    `pad` is a clause; `extra` more clauses."""
    space = SPACE[len(size)]
    given: dict[str, object] = {"N": batch, "C": channels[0], **dict(zip(space, size, strict=True))}
    image = [f"{a}={given[a]}" for a in x or f"N{space}C"]
    made = [{"N": "N", "C": "OC"}.get(a, f"O{a}") for a in y or x or f"N{space}C"]
    taps = {f"K{a}": k for a, k in zip(space, kernel, strict=True)} | {"OC": channels[1], "IC": None}
    order = [{"O": "OC", "I": "IC"}.get(a, f"K{a}") for a in w or f"{space}IO"]
    weight = [a if taps[a] is None else f"{a}={taps[a]}" for a in order]
    lines = [
        f"input x : {dtype}[{', '.join(image)}]",
        f"weight w : {dtype}[{', '.join(weight)}]",
        f"output y : {dtype}[{', '.join(made)}]",
        f"stride {stride}", f"dilation {dilation}", f"groups {groups}", f"pad {pad}", extra,
    ]  # fmt: skip
    return next(iter(from_text("conv test {\n" + "\n".join(lines) + "\n}\n").values()))
