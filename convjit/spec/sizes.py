"""The sizes of all axes: given, agreeing, and following from one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from convjit.dsl import ast
from convjit.source import Span
from convjit.spec import geometry, layout
from convjit.spec.evaluate import Scope

OPEN_AXES = ("N", "D", "H", "W")


@dataclass(frozen=True)
class Given:
    """A size as the program gives it (None = open), where, and in which tensor."""

    size: int | None
    span: Span | None
    tensor: str


@dataclass
class Sizes:
    """What is known about each axis. An axis in `wrong` has been reported; nothing more is said about it."""

    scope: Scope
    given: dict[str, Given] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)

    def get(self, axis: str) -> int | None:
        """The size of an axis, None when it is open or unknown."""
        return self.given[axis].size if axis in self.given else None

    def span(self, axis: str) -> Span | None:
        """Where the size of an axis is given."""
        return self.given[axis].span if axis in self.given else None

    def read(self, tensor: ast.Tensor) -> None:
        """Take the sizes that a tensor gives."""
        for axis in tensor.axes:
            if axis.size is not None:
                self._take(tensor, axis, axis.size)

    def _take(self, tensor: ast.Tensor, axis: ast.Axis, size: ast.Expr | ast.Open) -> None:
        if isinstance(size, ast.Open):
            if axis.name.removeprefix("O") not in OPEN_AXES:
                self.scope.report(
                    f"The size of '{axis.name}' cannot be open.", axis.span, "",
                    "Only the batch and the input's space (N, D, H, W) may be left to the call.",
                )  # fmt: skip
                self.wrong.add(axis.name)
            value = None
        else:
            value = self.scope.whole(size, f"The size of '{axis.name}'")
            if value is None:
                self.wrong.add(axis.name)
                return
        before = self.given.setdefault(axis.name, Given(value, size.span, tensor.name.text))
        if before.size != value:
            said = "open" if before.size is None else str(before.size)
            self.scope.report(
                f"'{axis.name}' has two sizes.", size.span, f"but {said} in '{before.tensor}'",
                hint="Give it once, or the same size twice.",
            )  # fmt: skip
            self.wrong.add(axis.name)

    def put(self, axis: str, size: int | None) -> None:
        """Set a size that follows from others."""
        self.given.setdefault(axis, Given(size, None, ""))

    def require(self, tensor: ast.Tensor) -> bool:
        """Whether every axis of a tensor has a size or is open; those that have none are reported."""
        ok = True
        for axis in tensor.axes:
            if axis.name in self.wrong:
                ok = False
            elif axis.name not in self.given:
                ok = False
                example = f"{axis.name}=3" if axis.name.startswith("K") else f"{axis.name}=64"
                either = f" or {axis.name}=?" if axis.name in OPEN_AXES else ""
                self.scope.report(
                    f"The size of '{axis.name}' ({layout.MEANING[axis.name]}) is not given.", axis.span,
                    "size missing", hint=f"Write {example}{either}, for example.",
                )  # fmt: skip
                self.wrong.add(axis.name)
        return ok


def solve_channels(sizes: Sizes, groups: int | None, groups_span: Span | None) -> None:
    """C = groups IC, and OC falls into the groups."""
    if groups is None or {"C", "IC", "OC"} & sizes.wrong:
        return
    c, ic, oc = sizes.get("C"), sizes.get("IC"), sizes.get("OC")
    if c is not None and c % groups:
        return _no_groups(sizes, "C", c, groups, groups_span)
    if oc is not None and oc % groups:
        return _no_groups(sizes, "OC", oc, groups, groups_span)
    if c is not None and ic is not None and c != groups * ic:
        hint = f"Write IC={c // groups}" + (f", or 'groups {c // ic}'." if c % ic == 0 else ".")
        sizes.scope.report(
            "The channels of input and weight do not agree.", sizes.span("IC"),
            f"C={c} in {groups} group{'s' * (groups > 1)} needs IC={c // groups}",
            "IC counts the input channels of one group: C / groups.", hint,
        )  # fmt: skip
        sizes.wrong.add("IC")
    if c is not None:
        sizes.put("IC", c // groups)
    elif ic is not None:
        sizes.put("C", groups * ic)


def _no_groups(sizes: Sizes, axis: str, size: int, groups: int, span: Span | None) -> None:
    sizes.scope.report(
        f"{size} {layout.MEANING[axis]} do not fall into {groups} groups.", span or sizes.span(axis),
        f"does not divide {axis}={size}",
    )  # fmt: skip
    sizes.wrong |= {"C", "IC", "OC"}


@dataclass(frozen=True)
class Window:
    """How the kernel moves: per spatial axis."""

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pad: tuple[tuple[int, int], ...]
    transposed: bool


def solve_outputs(sizes: Sizes, spatial: Sequence[str], window: Window) -> bool:
    """The output's size along every spatial axis; whether all could be had."""
    solved = [_solve_output(sizes, axis, at, window) for at, axis in enumerate(spatial)]
    return all(solved)


def _solve_output(sizes: Sizes, axis: str, at: int, window: Window) -> bool:
    out = "O" + axis
    kernel = sizes.get("K" + axis)
    if {axis, "K" + axis, out} & sizes.wrong or axis not in sizes.given or kernel is None:
        return False
    size, given = sizes.get(axis), sizes.get(out)
    if size is None:
        return _open_output(sizes, axis)
    stride, dilation, pad = window.stride[at], window.dilation[at], window.pad[at]
    formula = geometry.transposed_out_size if window.transposed else geometry.out_size
    follows = formula(size, kernel, stride, dilation, pad)
    if follows < 1:
        return _does_not_fit(sizes, axis, size, geometry.reach(kernel, dilation), pad, window.transposed)
    sizes.put(out, follows)
    slack = stride - 1 if window.transposed else 0
    if given is None and sizes.get(out) is None or given is not None and not 0 <= given - follows <= slack:
        return _wrong_output(sizes, axis, follows, slack)
    return True


def _open_output(sizes: Sizes, axis: str) -> bool:
    out = "O" + axis
    if sizes.get(out) is not None:
        sizes.scope.report(
            f"'{out}' cannot have a size: '{axis}' is open.", sizes.span(out), "known only at the call",
            hint="Leave the size out.",
        )  # fmt: skip
        return False
    sizes.put(out, None)
    return True


def _does_not_fit(
    sizes: Sizes, axis: str, size: int, reach: int, pad: tuple[int, int], transposed: bool
) -> bool:
    if transposed:
        note = f"The padding ({pad[0]}, {pad[1]}) cuts off the whole output along {axis}."
    else:
        note = f"The kernel spans {reach} along {axis}, the padded input {size + sum(pad)}."
    sizes.scope.report(
        f"The output would be empty: 'O{axis}' is less than 1.", sizes.span(axis) or sizes.span("K" + axis),
        "", note, "Change the sizes, the padding or the dilation.",
    )  # fmt: skip
    return False


def _wrong_output(sizes: Sizes, axis: str, follows: int, slack: int) -> bool:
    out = "O" + axis
    range_ = f"{follows} to {follows + slack}" if slack else str(follows)
    note = f"The size of '{axis}', the kernel, stride, dilation and padding give {range_}."
    sizes.scope.report(f"'{out}' has two sizes.", sizes.span(out), f"but {range_} follows", note, "Leave the size out.")
    return False
