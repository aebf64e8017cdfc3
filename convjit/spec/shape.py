"""The shape of a convolution: axes, sizes, groups, and how the kernel moves."""

from __future__ import annotations

from dataclasses import dataclass

from convjit.dsl import ast
from convjit.spec import layout, padding, words
from convjit.spec.axes import check_axes, spatial_axes
from convjit.spec.clauses import one_of
from convjit.spec.evaluate import Scope
from convjit.spec.sizes import Sizes, Window, solve_channels, solve_outputs
from convjit.spec.types import Declared


@dataclass(frozen=True)
class Shape:
    """Everything about sizes, solved."""

    sizes: Sizes
    window: Window
    groups: int


def solve(scope: Scope, conv: ast.Conv, declared: Declared) -> Shape | None:
    """The shape; None when it cannot be had, which has been reported."""
    tensors = list(declared.values())
    groups_clause = one_of(scope, conv, ast.Groups)
    groups = scope.whole(groups_clause.value, "The number of groups") if groups_clause else 1
    spatial = spatial_axes(scope, next(t for t in tensors if t.role == "input"))
    if spatial is None:
        return None
    sound = [check_axes(scope, tensor, spatial) for tensor in tensors]
    sizes = Sizes(scope)
    for tensor in tensors:
        sizes.read(tensor)
    solve_channels(sizes, groups, groups_clause.span if groups_clause else None)
    known = [sizes.require(t) for t, ok in zip(tensors, sound, strict=True) if ok and t.role in ("input", "weight")]
    window = _window(scope, conv, spatial, sizes)
    if not all(sound) or not all(known) or window is None or groups is None:
        return None
    return Shape(sizes, window, groups) if solve_outputs(sizes, spatial, window) and not sizes.wrong else None


def _window(scope: Scope, conv: ast.Conv, spatial: tuple[str, ...], sizes: Sizes) -> Window | None:
    ones: tuple[int, ...] | None = (1,) * len(spatial)
    stride_clause, dilation_clause = one_of(scope, conv, ast.Stride), one_of(scope, conv, ast.Dilation)
    stride = padding.per_axis(scope, stride_clause.sizes, spatial, stride_clause) if stride_clause else ones
    dilation = padding.per_axis(scope, dilation_clause.sizes, spatial, dilation_clause) if dilation_clause else ones
    pad_clause = one_of(scope, conv, ast.Pad)
    pad = padding.amounts(scope, pad_clause, spatial) if pad_clause else "valid"
    if stride is None or dilation is None or pad is None:
        return None
    if pad == words.PADDINGS[0]:
        pad = ((0, 0),) * len(spatial)
    elif isinstance(pad, str) and pad_clause is not None:
        pad = padding.same(sizes, pad_clause, spatial, stride, dilation, conv.transposed)
        if pad is not None and conv.transposed:
            _same_outputs(sizes, spatial, stride)
    return None if pad is None or isinstance(pad, str) else Window(stride, dilation, pad, conv.transposed)


def _same_outputs(sizes: Sizes, spatial: tuple[str, ...], stride: tuple[int, ...]) -> None:
    """`same` makes a transposed output stride times as large as the input, unless the program says otherwise."""
    for axis, step, out in zip(spatial, stride, layout.output_axes(spatial), strict=True):
        size = sizes.get(axis)
        if size is not None:
            sizes.put(out, size * step)
