"""A spec checks itself, whoever builds it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convjit.errors import InternalError
from convjit.fingerprint import fingerprint
from convjit.spec import layout, text
from convjit.spec.conv import ConvSpec
from convjit.spec.from_ast import from_text

SPEC = from_text("conv a { input x : f32[N=1, H=8, W=10, C=4]; weight w : f32[OC=6, KH=3, KW=2, IC=4] }")["a"]


def test_sizes_that_do_not_go_together() -> None:
    with pytest.raises(InternalError, match=r"spec a: sizes give the output \(3, 5\), the output tensor says \(6, 9\)"):
        replace(SPEC, stride=(2, 2))


def test_channels_that_do_not_go_together() -> None:
    message = "spec a: 4 input channels, 2 groups of 4, 6 output channels do not go together"
    with pytest.raises(InternalError, match=message):
        replace(SPEC, groups=2)


def test_channels_must_be_known() -> None:
    tensors = tuple(replace(t, sizes=(None, *t.sizes[1:])) if t.role == "weight" else t for t in SPEC.tensors)
    with pytest.raises(InternalError, match="a channel or kernel size is open"):
        replace(SPEC, tensors=tensors)


def test_places_take_no_part_in_equality() -> None:
    moved = from_text("\n\n" + str(SPEC).replace("    ", "  "))["a"]
    assert moved == SPEC and hash(moved) == hash(SPEC) and fingerprint(moved) == fingerprint(SPEC)
    assert moved.place("conv") != SPEC.place("conv")


def test_numbers_come_back() -> None:
    for value in (0.0, 6.0, 0.02, 1e-5, 1e22, 2.0**60, 1 / 3, 1e-300):
        assert float(text.number(value)) == value
    assert [text.number(v) for v in (6.0, 0.5, -3.0)] == ["6", "0.5", "-3"]


def test_layouts() -> None:
    assert layout.strides((2, 3, 4)) == (12, 4, 1)
    assert layout.permutation(("N", "C", "W"), ("W", "N", "C")) == (2, 0, 1)
    assert [layout.as_output(a) for a in ("N", "C", "H")] == ["N", "OC", "OH"]
    roles = {role: layout.role_axes(role, ("H", "W")) for role in ("input", "weight", "output", "residual", "bias", "param")}
    assert roles["weight"] == ("OC", "IC", "KH", "KW")
    assert roles["residual"] == roles["output"] == ("N", "OC", "OH", "OW")
    assert roles["bias"] == roles["param"] == ("OC",)


def test_a_spec_can_be_copied_with_changes() -> None:
    changed: ConvSpec = replace(SPEC, name="b", threads=2)
    assert from_text(str(changed))["b"] == changed
