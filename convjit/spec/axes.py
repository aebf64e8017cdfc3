"""Which axes a tensor has."""

from __future__ import annotations

from convjit.dsl import ast
from convjit.errors import did_you_mean
from convjit.spec import layout
from convjit.spec.evaluate import Scope

MEANT = {
    "input": {"IC": "C", "OC": "C", "OD": "D", "OH": "H", "OW": "W", "KD": "D", "KH": "H", "KW": "W"},
    "weight": {"C": "IC", "D": "KD", "H": "KH", "W": "KW", "OD": "KD", "OH": "KH", "OW": "KW"},
    "output": {"C": "OC", "IC": "OC", "D": "OD", "H": "OH", "W": "OW", "KD": "OD", "KH": "OH", "KW": "OW"},
}
"""Axes of other tensors that people write, and the axis that stands there."""
MEANT["residual"] = MEANT["output"]


def spatial_axes(scope: Scope, tensor: ast.Tensor) -> tuple[str, ...] | None:
    """The spatial axes that an input has, outermost first: W, H W, or D H W."""
    found = {axis.name for axis in tensor.axes} & {"D", "H", "W"}
    spatial = next((s for s in layout.SPATIAL if set(s) == found), None)
    if spatial is None:
        named = " ".join(sorted(found)) or "no spatial axis"
        scope.report(
            f"The input '{tensor.name.text}' has the wrong spatial axes.", tensor.name.span, f"has {named}",
            hint="Use W alone for 1-D, H W for 2-D, D H W for 3-D.",
        )  # fmt: skip
    return spatial


def check_axes(scope: Scope, tensor: ast.Tensor, spatial: tuple[str, ...]) -> bool:
    """Whether a tensor has exactly the axes of its role, each once; what is wrong has been reported."""
    wanted = layout.role_axes(tensor.role, spatial)
    unknown = [axis for axis in tensor.axes if axis.name not in wanted]
    for axis in unknown:
        meant = MEANT.get(tensor.role, {}).get(axis.name, "")
        hint = (f"Did you mean '{meant}'?",) if meant in wanted else did_you_mean(axis.name, wanted)
        scope.report(
            f"{_a(tensor.role)} has no axis '{axis.name}'.", axis.span, "unknown axis",
            f"Its axes are {' '.join(wanted)}, in any order.", hint,
        )  # fmt: skip
    names = [axis.name for axis in tensor.axes]
    twice = [axis for i, axis in enumerate(tensor.axes) if axis.name in names[:i] and axis.name in wanted]
    for axis in twice:
        scope.report(f"'{tensor.name.text}' has the axis '{axis.name}' twice.", axis.span, "again here")
    missing = [axis for axis in wanted if axis not in names]
    if missing and not unknown:
        few = ", ".join(f"'{axis}' ({layout.MEANING[axis]})" for axis in missing)
        scope.report(
            f"The {tensor.role} '{tensor.name.text}' lacks the axis {few}.", tensor.name.span, "",
            f"Its axes are {' '.join(wanted)}, in any order.", "An axis that is not needed has size 1.",
        )  # fmt: skip
    return not (unknown or twice or missing)


def _a(role: str) -> str:
    return f"{'An' if role[0] in 'aeiou' else 'A'} {role}"
