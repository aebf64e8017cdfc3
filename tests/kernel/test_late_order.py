"""Orders of lanes move behind what computes on each lane, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

from convjit.kernel.late_order import late_order
from convjit.kernel.parse import parse

HEAD = "kernel k for cpu:avx2\nparameter x f64\nparameter y f64 written\n{\n"
READ = ["%1 = load f64x4 %x {align 8}", "%2 = shuffle f64x4 %1, %1 {order (0 2 1 3), from f64x4}"]
WEIGHT = ["%3 = load f64 %x {align 8}", "%4 = splat f64x4 %3"]
STORE = "store f64x4 %9, %y {align 8}"


def names() -> Callable[[], str]:
    """New ones."""
    numbers = count(100)
    return lambda: f"%{next(numbers)}"


def moved(*lines: str) -> list[str]:
    """The lines of the body behind the pass."""
    kernel = parse(HEAD + "\n".join(lines) + "\n}\n")
    after = replace(kernel, body=late_order(kernel.body, names()))
    return [line.strip() for line in str(after).splitlines()[4:-1]]


def test_behind_sums() -> None:
    assert moved(*READ, *WEIGHT, "%9 = fma f64x4 %2, %4, 0", STORE) == [
        READ[0],
        *WEIGHT,
        "%100 = fma f64x4 %1, %4, 0",
        "%9 = shuffle f64x4 %100, %100 {order (0 2 1 3), from f64x4}",
        STORE,
    ]


def test_constants_are_put_in_the_other_order() -> None:
    lines = moved(*READ, "%3 = const f64x4 {values (1 2 3 4)}", "%9 = mul f64x4 %2, %3", STORE)
    assert lines[1] == "%100 = const f64x4 {values (1 3 2 4)}"
    assert lines[2] == "%101 = mul f64x4 %1, %100"


def test_what_is_in_order_keeps_the_order_before_it() -> None:
    lines = [*READ, "%3 = step ptr %x, 64", "%4 = load f64x4 %3 {align 8}", "%9 = add f64x4 %2, %4", STORE]
    assert moved(*lines) == lines


def test_two_orders_do_not_mix() -> None:
    second = ["%3 = load f64x4 %x {align 8}", "%4 = shuffle f64x4 %3, %3 {order (3 2 1 0), from f64x4}"]
    lines = [*READ, *second, "%9 = add f64x4 %2, %4", STORE]
    assert moved(*lines) == lines


def carried(*body: str) -> list[str]:
    """A loop that carries %5, from 0, to %8; %9 behind it."""
    head = "for %6 i64 0 to 4 step 1 sure {"
    return [head, "carry %5 f64x4 = 0, then %8, gives %9", *body, "}", STORE]


def test_a_loop_carries_sums_out_of_order() -> None:
    lines = moved(*WEIGHT, *carried(*READ, "%8 = fma f64x4 %2, %4, %5"))
    assert lines[2:] == [
        "for %6 i64 0 to 4 step 1 sure {",
        "carry %100 f64x4 = 0, then %101, gives %102",
        READ[0],
        "%101 = fma f64x4 %1, %4, %100",
        "}",
        "%9 = shuffle f64x4 %102, %102 {order (0 2 1 3), from f64x4}",
        STORE,
    ]


def test_a_loop_that_comes_back_in_order_stays() -> None:
    more = ["%7 = step ptr %x, 64", "%10 = load f64x4 %7 {align 8}", "%11 = fma f64x4 %2, %4, %10"]
    lines = [*WEIGHT, *carried(*READ, *more, "%8 = add f64x4 %11, %5")]
    assert moved(*lines) == lines


def test_what_a_failed_try_moved_is_forgotten() -> None:
    more = ["%7 = fma f64x4 %2, %4, %5", "%10 = mul f64x4 %7, %4", "store f64x4 %10, %y {align 8}"]
    lines = [*WEIGHT, *carried(*READ, *more, "%11 = load f64x4 %y {align 8}", "%8 = add f64x4 %7, %11")]
    assert moved(*lines) == lines
