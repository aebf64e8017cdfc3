"""Kernels print, and what is printed reads back."""

from __future__ import annotations

import math

import pytest
from lark.exceptions import UnexpectedInput

from convjit import machine
from convjit.kernel.ir import For, If, Kernel, Launch, Local, Merged, Op, Parameter
from convjit.kernel.parse import parse
from tests.kernel.random_kernels import random_kernel
from tests.kernel.samples import DENSE, PLAIN_TILE, TILE


@pytest.mark.parametrize("text", [DENSE, TILE, PLAIN_TILE], ids=["dense", "tile", "plain_tile"])
def test_samples_print_as_they_are_written(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize("seed", range(20))
def test_random_kernels_read_back(seed: int) -> None:
    kernel = random_kernel(seed, machine.get("cpu:avx2"))
    assert parse(str(kernel)) == kernel


def test_every_form_reads_back() -> None:
    attributes = (
        ("whole", -3),
        ("number", 1e-09),
        ("word", "f32x8"),
        ("none", ()),
        ("several", (1, -2)),
        ("odd", (1e30, -math.inf, 0.5)),
    )
    kernel = Kernel(
        "g.1",
        "cuda:sm_90a",
        (Parameter("x", "bf16", True, "global"), Parameter("w", "u8", False)),
        (
            Op("", "barrier", ""),
            Op("", "barrier", ""),
            Op("%1", "mma.m16n8k16.f16", "f32x4", ("%x", 1, -2.5, math.inf), attributes),
            If("%1", (), (Merged("%3", "f32", "%2", -0.5), Merged("%4", "i32", 1, "%2"))),
            For("%i", "i32", -4, "%n", 2, (), (If("%c", (Op("", "prefetch", "", ("%x",)),)),)),
        ),
        (Local("s", 64, "shared", 128), Local("t", 64)),
        ("n", "H"),
        (),
        Launch((3, "n"), 128, 192, 2, 4),
    )
    assert parse(str(kernel)) == kernel


def test_an_empty_kernel() -> None:
    kernel = Kernel("f", "cpu:scalar", (), ())
    assert str(kernel) == "kernel f for cpu:scalar\n{\n}"
    assert parse(str(kernel)) == kernel


@pytest.mark.parametrize("text", ["kernel f for cpu:scalar\n{\n  %1 = \n}", "kernel f {}", ""])
def test_what_is_no_kernel_is_refused(text: str) -> None:
    with pytest.raises(UnexpectedInput):
        parse(text)
