"""A certificate's claims checked anew, directly and slowly: nothing here is shared with the code that finds them.

Every figure is computed from its definition: corners of boxes of inputs, sums one after the other, Python's integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import count, product
from typing import Any

import numpy as np

from convjit import dtypes
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text
from convjit.spec.layout import kernel_axes
from convjit.spec.tensor import Tensor

Rows = list[list[list[int]]]
"""w' by output channel, tap and channel."""
Ends = tuple[int, int]
"""Least and greatest value of something."""


def verify(certificate: Mapping[str, Any], weight: Any, *, zero: Any = None, bias: Any = None) -> list[str]:
    """The claims of a certificate's data that are wrong, as sentences; none when all of them hold.

    The arrays are those that were certified, in their declared shapes; of a vector that took no part nothing is given.
    What the certificate says of the spec is believed: compare its text with that of the kernel in use. Takes some
    microseconds for each weight.
    """
    try:
        (spec,) = from_text(str(certificate.get("spec"))).values()
    except ValueError:
        return ["spec: it is not the text of one convolution"]
    if dtypes.is_float(spec.input.dtype):
        return ["spec: it is not a convolution of integers"]
    vector = spec.tensor(spec.weight.zero) if isinstance(spec.weight.zero, str) else None
    bias = None if spec.bias is not None and dtypes.is_float(spec.bias.dtype) else bias
    arrays = {"weight": (spec.weight, weight), "zero": (vector, zero), "bias": (spec.bias, bias)}
    wrong = [text for name, (tensor, array) in arrays.items() for text in _array(name, tensor, array, certificate)]
    if not wrong and vector is not None and zero is None:
        wrong = ["zero: the weight has zero points, and none were certified"]
    return wrong or list(_differences("", dict(certificate), _claims(certificate, spec, weight, zero, bias)))


def _array(name: str, tensor: Tensor | None, array: Any, certificate: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an array itself."""
    if array is None or tensor is None:
        if array is not None or certificate.get(name) is not None:
            yield f"{name}: one of the certificate, the spec and the call has it, another has not"
        return
    found, shape = np.asarray(array), tensor.sizes
    if found.shape != shape or found.dtype != dtypes.get(tensor.dtype).numpy:
        yield f"{name}: the array is {found.dtype} of shape {found.shape}, the spec says {tensor.dtype} of {shape}"
    elif sha256(found.tobytes()).hexdigest() != certificate.get(name):
        yield f"{name}: the array is not the one that was certified"


def _claims(certificate: Mapping[str, Any], spec: ConvSpec, weight: Any, zero: Any, bias: Any) -> dict[str, Any]:
    """What the certificate should say; texts and hashes as it says them."""
    rows = _rows(spec, np.asarray(weight))
    addends = [0] * len(rows) if bias is None else [int(b) for b in bias]
    said = {name: certificate.get(name) for name in ("spec", "weight", "zero", "bias")}
    return said | {
        "in_range": list(spec.input.in_range or dtypes.limits(spec.input.dtype)),
        "accumulator": spec.accumulator,
        "channels": len(rows[0][0]),
        "taps": len(rows[0]),
        "views": [_figures(name, x, w, addends) for name, x, w in _views(spec, rows, zero)],
    }


def _rows(spec: ConvSpec, weight: Any) -> Rows:
    """Each weight by its index along every axis by name."""
    rows: Rows = []
    for oc in range(spec.out_channels):
        rows.append([])
        for tap in product(*map(range, spec.kernel_size)):
            where = dict(zip(kernel_axes(spec.spatial), tap, strict=True)) | {"OC": oc, "IC": slice(None)}
            run = weight[tuple(where[axis] for axis in spec.weight.axes)]
            rows[-1].append([int(value) for value in run])
    return rows


def _views(spec: ConvSpec, rows: Rows, zero: Any) -> Iterator[tuple[str, Ends, Rows]]:
    zero_x, zero_w = int(spec.input.zero or 0), spec.weight.zero or 0
    stored = set(spec.input.in_range or dtypes.limits(spec.input.dtype))
    if spec.transposed or any(low or high for low, high in spec.pad):
        stored.add(zero_x)
    yield "plain", _ends(stored), rows
    if zero_x or zero_w:
        zeros = [int(z) for z in zero] if isinstance(zero_w, str) else [int(zero_w)] * len(rows)
        less = [[[w - z for w in run] for run in taps] for taps, z in zip(rows, zeros, strict=True)]
        yield "centred", _ends({x - zero_x for x in stored}), less
    if spec.input.dtype in ("i8", "u8"):
        moved = 128 if spec.input.dtype == "i8" else -128
        yield "shifted", _ends({x + moved for x in stored}), rows


def _ends(values: set[int]) -> Ends:
    """Of these and 0, which stands for a tap that is left out."""
    return min({0, *values}), max({0, *values})


def _figures(name: str, x: Ends, rows: Rows, addends: Sequence[int]) -> dict[str, Any]:
    weights = [w for taps in rows for run in taps for w in run]
    w = min(weights), max(weights)
    products = [[(v * x[0], v * x[1]) for run in taps for v in run] for taps in rows]
    lows = [min(0, b) + sum(min(0, *ends) for ends in p) for p, b in zip(products, addends, strict=True)]
    highs = [max(0, b) + sum(max(0, *ends) for ends in p) for p, b in zip(products, addends, strict=True)]
    words = all(-(2**15) <= v < 2**15 for v in (*x, *w))
    octets = any(a[0] >= 0 and a[1] <= 255 and b[0] >= -128 and b[1] <= 127 for a, b in ((x, w), (w, x)))
    steps = [[list(_steps(x, run)) for run in taps] for taps in rows]
    largest = max(map(abs, lows + highs))
    return {
        "view": name, "x": list(x), "w": list(w), "lows": lows, "highs": highs,
        "pairs": sum(len(run) for taps in steps for run in taps) if octets else None,
        "unsafe": [sum(not _within(s, 16) for run in taps for s in run) for taps in steps] if octets else None,
        "chunk16": _widest(steps, 16) if octets else None,
        "chunk32": _widest(steps, 32) if words else None,
        "taps32": _widest_taps(steps, 32) if words else None,
        "chunk54": None if words else _widest(steps, 54),
        "taps54": None if words else _widest_taps(steps, 54),
        "bits": next(tenths for tenths in count() if largest**10 < 2**tenths) / 10,
        "i32": all(_within(ends, 32) for ends in zip(lows, highs, strict=True)),
        "i64": all(_within(ends, 64) for ends in zip(lows, highs, strict=True)),
        "f32": all(abs(end) <= 2**24 for end in lows + highs),
    }  # fmt: skip


def _steps(x: Ends, run: Sequence[int]) -> Iterator[Ends]:
    """Least and greatest sum of each pair, at the corners of its box."""
    for first, second in zip(run[::2], [*run[1::2], 0][: len(run[::2])], strict=True):
        corners = [a * first + b * second for a in x for b in x]
        yield min(corners), max(corners)


def _widest(steps: list[list[list[Ends]]], bits: int) -> int:
    runs = [run for taps in steps for run in taps]
    for width in range(len(runs[0]), 0, -1):
        starts = range(0, len(runs[0]), width)
        if all(_within(_sum(run[start : start + width]), bits) for run in runs for start in starts):
            return width
    return 0


def _widest_taps(steps: list[list[list[Ends]]], bits: int) -> int:
    sums = [[_sum(run) for run in taps] for taps in steps]
    for width in range(len(sums[0]), 0, -1):
        starts = range(len(sums[0]) - width + 1)
        if all(_within(_sum(taps[start : start + width]), bits) for taps in sums for start in starts):
            return width
    return 0


def _sum(ends: Sequence[Ends]) -> Ends:
    return sum(low for low, _ in ends), sum(high for _, high in ends)


def _within(ends: Ends, bits: int) -> bool:
    limit = 1 << (bits - 1)
    return -limit <= ends[0] and ends[1] < limit


def _differences(where: str, claimed: Any, true: Any) -> Iterator[str]:
    """A sentence for every place where two JSON values differ."""
    if isinstance(claimed, Mapping) and isinstance(true, Mapping):
        for key in {**true, **claimed}:
            yield from _differences(f"{where}.{key}".lstrip("."), claimed.get(key, "nothing"), true.get(key, "nothing"))
    elif isinstance(claimed, list) and isinstance(true, list) and len(claimed) == len(true):
        for i, (left, right) in enumerate(zip(claimed, true, strict=True)):
            yield from _differences(f"{where}[{i}]", left, right)
    elif claimed != true or isinstance(claimed, bool) != isinstance(true, bool):
        yield f"{where}: {claimed} is claimed, {true} is so"
