"""The same spec, built in Python: every argument becomes a clause of the language, and is checked as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any

from convjit.errors import ConvError
from convjit.spec import text
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text

Declaration = Sequence[Any]
"""(name, type, axes) or (name, type, axes, options).

`axes` is a mapping from axis to size (None or "?" where it is open), or a string such as "N OH OW OC" where the sizes
follow. `options` may hold in_range=(low, high), sparse=True, scale=0.02 or "ws", zero=128 or "wz", and for a param
values=0.5 or values=(0.1, 0.2).
"""


def Conv(
    name: str = "conv",
    *,
    input: Declaration,
    weight: Declaration,
    bias: Declaration | None = None,
    output: Declaration | None = None,
    residual: Declaration | Sequence[Declaration] = (),
    param: Declaration | Sequence[Declaration] = (),
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    pad: str | int | Sequence[int | tuple[int, int]] = "valid",
    then: Sequence[str | Sequence[Any]] = (),
    dataflow: str = "auto",
    algorithm: str = "auto",
    error: float | None = None,
    compute: str | None = None,
    requantize: str | None = None,
    target: str | None = None,
    threads: int | None = None,
    transposed: bool = False,
) -> ConvSpec:
    """A convolution; `str()` of it is the text of the same program.

    Tensors are declared in the order input, weight, bias, residual, param, output. `dataflow` is a word, or the lines of a
    schedule; `compute` is written as in the language. Raises `ConvError`, showing the clause that an argument became.

    >>> spec = Conv(
    ...     "res2a",
    ...     input=("x", "f32", dict(N=1, H=56, W=56, C=64)),
    ...     weight=("w", "f32", dict(OC=64, KH=3, KW=3, IC=64)),
    ...     pad="same",
    ...     then=["relu", ("clip", 0, 6)],
    ... )
    >>> spec.out_size
    (56, 56)
    """
    clauses = [_tensor("input", input), _tensor("weight", weight)]
    clauses += [_tensor("bias", bias)] if bias else []
    clauses += [_tensor("residual", t) for t in _several(residual)] + [_tensor("param", t) for t in _several(param)]
    clauses += [_tensor("output", output)] if output else []
    clauses += [f"stride {_tuple(stride)}", f"dilation {_tuple(dilation)}", f"groups {groups}", f"pad {_tuple(pad)}"]
    clauses += [f"then {_step(step)}" for step in then]
    clauses.append(f"dataflow {dataflow}" if dataflow.isidentifier() else f"dataflow {{\n{dataflow}\n}}")
    options = {"algorithm": algorithm, "compute": compute, "requantize": requantize, "target": target, "threads": threads}
    clauses += [f"{word} {value}" for word, value in options.items() if value is not None]
    clauses += [f"error {text.number(error)}"] if error is not None else []
    head = f"conv {_word(name)}{' transposed' if transposed else ''} {{"
    program = "\n".join([head, *clauses, "}"]) + "\n"
    return from_text(program, "<convjit.Conv>")[name]


def _several(given: Sequence[Any]) -> Sequence[Declaration]:
    """One declaration or several."""
    return [given] if given and isinstance(given[0], str) else given


def _word(name: object) -> str:
    """A name that cannot be mistaken for other text."""
    if isinstance(name, str) and name.isidentifier() and name.isascii():
        return name
    raise ConvError.of(f"{name!r} is not a name.", hint="A name has letters, digits and '_', and no digit first.")


def _tensor(role: str, declared: Declaration) -> str:
    if not 3 <= len(declared) <= 4 or not isinstance(declared[2], (str, Mapping)):
        raise ConvError.of(
            f"The {role} must be (name, type, axes), not {declared!r}.",
            hint="For example: ('x', 'f32', dict(N=1, H=56, W=56, C=64))",
        )
    name, dtype, axes = declared[:3]
    options: Mapping[str, Any] = declared[3] if len(declared) == 4 else {}
    known = ("values",) if role == "param" else ("in_range", "sparse", "scale", "zero")
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ConvError.of(f"The {role} has an unknown option '{unknown[0]}'.", hint=f"There are {', '.join(known)}.")
    sizes = axes.items() if isinstance(axes, Mapping) else [(axis, "") for axis in axes.replace(",", " ").split()]
    inside = ", ".join(_word(axis) + _size(size) for axis, size in sizes)
    in_range = options.get("in_range")
    words = [role, _word(name), ":", _word(dtype)]
    words += [f"in {_number(in_range[0])}..{_number(in_range[1])}"] if in_range else []
    words += [f"[{inside}]"] + (["sparse"] if options.get("sparse") else [])
    words += [f"{word} {_per_channel(options[word])}" for word in ("scale", "zero") if options.get(word) is not None]
    words += [f"= {_values(options['values'])}"] if "values" in options else []
    return " ".join(words)


def _values(given: object) -> str:
    """One number for all channels, or one for each: of a sequence or an array."""
    if isinstance(given, Iterable) and not isinstance(given, str):
        return f"({', '.join(map(_number, given))})"
    return _number(given)


def _size(size: object) -> str:
    if size == "":
        return ""
    return "=?" if size is None or size == "?" else f"={size}"


def _per_channel(value: object) -> str:
    return f"{_word(value)} per OC" if isinstance(value, str) else _number(value)


def _number(value: object) -> str:
    if (isinstance(value, (int, float)) or hasattr(value, "__float__")) and (isinstance(value, int) or isfinite(value)):
        return text.number(float(value)) if not isinstance(value, int) else str(value)
    raise ConvError.of(f"{value!r} is not a number.")


def _tuple(value: object) -> str:
    """(1, 2) -> "(1, 2)", ((1, 2),) -> "((1, 2))", 3 -> "3"."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        inner = ", ".join(map(_tuple, value))
        return f"({inner})" if len(value) > 1 or isinstance(value[0], Sequence) else inner
    return str(value)


def _step(step: str | Sequence[Any]) -> str:
    """"relu", ("clip", 0, 6), ("scale", "s"), ("add", "r")"""
    if isinstance(step, str):
        return step
    op, args = step[0], step[1:]
    words = [_word(arg) if isinstance(arg, str) else _number(arg) for arg in args]
    return " ".join([op, *words, *(["per OC"] if op == "scale" else [])])
