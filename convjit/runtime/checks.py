"""Whether the arrays of a call fit the program, and the sentences for what does not.

Every message names the array, says what was expected and what was given, and the way out. Nothing is written before
all checks have passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convjit import dtypes
from convjit.errors import did_you_mean
from convjit.kernel.program import Array, Extent
from convjit.nest.ir import OpenSize
from convjit.runtime.arrays import View
from convjit.runtime.plan import OUT, Region

Axes = Mapping[str, tuple[str, ...]]
"""Names of each array's dimensions, for messages: {"x": ("N", "H", "W", "C")}."""


def arrange(
    names: Sequence[str], args: Sequence[Any], named: Mapping[str, Any], call: str, partial: bool = False
) -> dict[str, Any]:
    """Arguments by name. `TypeError` for too many, unknown, double and (unless `partial`) missing ones."""
    signature = f"{call}({', '.join(names)})"
    if len(args) > len(names):
        raise TypeError(f"{signature} takes {_count(len(names), 'array')}, {len(args)} were given.")
    given = dict(zip(names, args, strict=False))
    for name, array in named.items():
        if name in given:
            raise TypeError(f"{signature} got '{name}' twice, by position and by name.")
        if name not in names:
            hint = "".join(f" {text}" for text in did_you_mean(name, names))
            raise TypeError(f"{signature} has no array '{name}'; it takes {', '.join(names) or 'none'}.{hint}")
        given[name] = array
    missing = [name for name in names if name not in given]
    if missing and not partial:
        lacks = f"'{missing[0]}' is" if len(missing) == 1 else f"{', '.join(map(repr, missing))} are"
        raise TypeError(f"{signature}: {lacks} missing.")
    return given


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def check_array(view: View, array: Array, name: str, sizes: dict[str, int], axes: Axes, alignment: int = 1) -> None:
    """Type, shape, order and alignment of one array; open sizes that are new go into `sizes`."""
    if view.dtype != array.dtype:
        raise TypeError(f"{_mismatch(view, array, name, sizes, axes)} {_cast(view, array, name)}")
    if not _shape_fits(view.shape, array.shape, sizes):
        raise ValueError(_mismatch(view, array, name, sizes, axes))
    if not view.dense:
        strides = [s // view.item_bytes if s % view.item_bytes == 0 else f"{s}B" for s in view.strides]
        raise ValueError(
            f"{name} is not contiguous: its strides are {strides} elements for shape {list(view.shape)}. "
            f"{_make_dense(view, name)}"
        )
    alignment = max(view.item_bytes, alignment)
    if view.address % alignment:
        way = "clone" if view.family == "torch" else "copy"
        raise ValueError(f"{name} starts at an address that is not a multiple of {alignment}; pass {name}.{way}().")
    for extent, value in zip(array.shape, view.shape, strict=True):
        if isinstance(extent, str):
            sizes[extent] = value


def _mismatch(view: View, array: Array, name: str, sizes: Mapping[str, int], axes: Axes) -> str:
    return f"{name}: expected {describe(array, axes, sizes)}, got {view.dtype}{list(view.shape)}."


def _shape_fits(shape: tuple[int, ...], expected: tuple[Extent, ...], sizes: Mapping[str, int]) -> bool:
    if shape == expected:
        return True
    if len(shape) != len(expected):
        return False
    local = dict(sizes)
    return all(n == (e if isinstance(e, int) else local.setdefault(e, n)) for n, e in zip(shape, expected, strict=True))


def _cast(view: View, array: Array, name: str) -> str:
    if view.family == "torch":
        word = {"f64": "float64", "f32": "float32", "f16": "float16", "bf16": "bfloat16", "u8": "uint8"}
        return f"Convert it: {name}.to(torch.{word.get(array.dtype, array.dtype.replace('i', 'int'))})."
    kind = dtypes.get(array.dtype).numpy
    module = "ml_dtypes" if kind.num > 255 else "jnp" if view.family == "jax" else "np"
    return f"Convert it: {name}.astype({module}.{kind.name})."


def _make_dense(view: View, name: str) -> str:
    if view.family == "torch":
        return f"Pass {name}.contiguous()."
    module = {"numpy": "np", "cupy": "cupy", "jax": "jnp"}.get(view.family)
    return f"Pass {module}.ascontiguousarray({name})." if module else "Pass a dense copy."


def describe(array: Array, axes: Axes, sizes: Mapping[str, int]) -> str:
    """An array's type as people write it: "f32[N=1, H=56, W=56, C=64]"; "?" for a size that is open."""
    names = axes.get(array.name, ("",) * len(array.shape))
    dims = []
    for axis, extent in zip(names, array.shape, strict=True):
        value = extent if isinstance(extent, int) else sizes.get(extent, "?")
        label = axis or (extent if isinstance(extent, str) else "")
        dims.append(f"{label}={value}" if label else f"{value}")
    return f"{array.dtype}[{', '.join(dims)}]"


def check_output(view: View, inputs: Mapping[str, Region]) -> None:
    """Whether `out` may be written: not read-only, and no byte shared with an input."""
    if not view.writable:
        raise ValueError(f"{OUT} is read-only; pass an array that may be written, or leave {OUT} away.")
    for name, region in inputs.items():
        if view.address < region.end and region.begin < view.address + view.bytes:
            raise ValueError(f"{OUT} overlaps {name} in memory; pass a separate array, or leave {OUT} away.")


def check_together(views: Mapping[str, View], bound: View | None) -> None:
    """All arrays of a call must lie on one device."""
    places = {name: view.device for name, view in views.items()}
    first = ("the bound arrays", bound.device) if bound else next(iter(places.items()), ("", -1))
    for name, device in places.items():
        if device != first[1]:
            verb = "are" if bound else "is"
            raise ValueError(f"{name} is on cuda:{device}, {first[0]} {verb} on cuda:{first[1]}; put them together.")


def derive(rules: tuple[OpenSize, ...], sizes: dict[str, int]) -> None:
    """Sizes that follow from others. `ValueError` where an output would have no extent."""
    for rule in rules:
        if not rule.source or rule.source not in sizes:
            continue
        span = sizes[rule.source] + rule.add
        if span < 0:
            raise ValueError(
                f"{rule.source}={sizes[rule.source]} is too small: {rule.name} = ({rule.source}"
                f"{f'{rule.add:+d}' if rule.add else ''}) // {rule.divisor} + 1 would be {span // rule.divisor + 1}. "
                f"{rule.source} must be at least {-rule.add}."
            )
        if sizes[rule.source] < 1:
            raise ValueError(f"{rule.source}={sizes[rule.source]}: an image has at least one position along {rule.source}.")
        sizes[rule.name] = span // rule.divisor + 1
