"""Registers that a kernel needs at least."""

from __future__ import annotations

import pytest

from convjit.kernel.parse import parse
from convjit.kernel.pressure import pressure
from tests.kernel.samples import DENSE, TILE

HEAD = "kernel f for cpu:avx2\nparameter x f32\n{\n"


def count(body: str) -> int:
    return pressure(parse(f"{HEAD}{body}\n}}"))


def test_the_sample() -> None:
    assert pressure(parse(DENSE)) == 3  # accumulator, weights, broadcast


@pytest.mark.parametrize("accumulators", [1, 4, 12])
def test_carried_values_live_throughout(accumulators: int) -> None:
    carry = "\n".join(f"carry %a{i} f32x8 = 0.0, then %f{i}, gives %r{i}" for i in range(accumulators))
    ops = "\n".join(f"%f{i} = fma f32x8 %w, %w, %a{i}" for i in range(accumulators))
    body = f"for %k i64 0 to 9 step 1 {{\n{carry}\n%w = load f32x8 %x {{align 4}}\n{ops}\n}}\n"
    body += "\n".join(f"store f32x8 %r{i}, %x {{align 4}}" for i in range(accumulators))
    assert count(body) == accumulators + 1


def test_what_a_loop_uses_from_outside_lives_throughout() -> None:
    body = """%w = load f32x8 %x {align 4}
    for %k i64 0 to 9 step 1 {
      store f32x8 %w, %x {align 4}
      %a = load f32x8 %x {align 4}
      %b = load f32x8 %x {align 4}
      %c = add f32x8 %a, %b
      store f32x8 %c, %x {align 4}
    }"""
    assert count(body) == 3


def test_a_branch_keeps_what_is_skipped_to() -> None:
    body = """%c = lt i1 1, 2 {type i32}
    %a = load f32x8 %x {align 4}
    if %c {
      %b = load f32x8 %x {align 4}
      %d = load f32x8 %x {align 4}
      %e = add f32x8 %b, %d
      merge %r f32x8 = %e, else %a
    }
    store f32x8 %r, %x {align 4}"""
    assert count(body) == 3


def test_integers_masks_and_constants_are_not_vectors() -> None:
    body = """%k = const f32x8 {values (1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0)}
    %m = lanes_inside i1x8 1, 4 {offsets (0 1 2 3 4 5 6 7)}
    %i = add i64 1, 2
    %v = load_masked f32x8 %x, %m {align 4}
    %w = add f32x8 %v, %k
    store f32x8 %w, %x {align 4}"""
    assert count(body) == 1


def test_a_gpu_counts_registers_of_32_bits() -> None:
    assert (
        pressure(parse(TILE)) == 9
    )  # in the loop: four lanes, their address, k, the sum, thread and block number
