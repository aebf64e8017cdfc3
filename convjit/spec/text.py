"""The clauses of a ConvSpec as text of the language; every size is written out."""

from __future__ import annotations

from collections.abc import Sequence

from convjit.spec.tensor import Compute, Tensor, Then


def number(value: float) -> str:
    """The shortest text that reads back as the same number.

    >>> number(6.0), number(0.02)
    ('6', '0.02')
    """
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))


def tensor(t: Tensor) -> str:
    """`input x : f32[N=1, H=56, W=56, C=64]`"""
    axes = ", ".join(f"{a}={'?' if s is None else s}" for a, s in zip(t.axes, t.sizes, strict=True))
    in_range = f" in {t.in_range[0]}..{t.in_range[1]} " if t.in_range else ""
    sparse = " sparse" if t.sparse else ""
    more = f"{_of('scale', t.scale)}{_of('zero', t.zero)}{_values(t.values)}"
    return f"{t.role} {t.name} : {t.dtype}{in_range}[{axes}]{sparse}{more}"


def sizes(word: str, values: Sequence[int]) -> list[str]:
    """`stride 2`, `stride (1, 2)`, or no line where all are 1."""
    if set(values) == {1}:
        return []
    if len(set(values)) == 1:
        return [f"{word} {values[0]}"]
    return [f"{word} ({', '.join(map(str, values))})"]


def pad(pairs: Sequence[tuple[int, int]]) -> list[str]:
    """`pad 1`, `pad ((1, 2), (0, 1))`, or no line without padding."""
    amounts = {amount for pair in pairs for amount in pair}
    if amounts == {0}:
        return []
    if len(amounts) == 1:
        return [f"pad {amounts.pop()}"]
    return [f"pad ({', '.join(f'({low}, {high})' for low, high in pairs)})"]


def then(step: Then) -> str:
    """`then clip 0 6`, `then scale s per OC`"""
    words = [arg if isinstance(arg, str) else number(arg) for arg in step.args]
    return " ".join(["then", step.op, *words, *(["per OC"] if step.op == "scale" else [])])


def compute(clause: Compute, names: tuple[str, str]) -> str:
    """`compute i16 scale x 128, w 64000 round toward_zero`; `names` are those of input and weight."""
    words = ["compute", clause.dtype]
    if isinstance(clause.scales, str):
        words += ["scale", clause.scales]
    elif clause.scales:
        words += ["scale", ", ".join(f"{n} {_scale(v)}" for n, v in zip(names, clause.scales, strict=True))]
    return " ".join(words + (["round", clause.round] if clause.round else []))


def _of(word: str, value: float | str | None) -> str:
    if value is None:
        return ""
    return f" {word} {_scale(value)}"


def _scale(value: float | str) -> str:
    return f"{value} per OC" if isinstance(value, str) else number(value)


def _values(values: Sequence[float]) -> str:
    """` = 0.5` where all are the same, ` = (0.5, 0.25)`, or nothing."""
    if len(set(values)) > 1:
        return f" = ({', '.join(map(number, values))})"
    return f" = {number(values[0])}" if values else ""
