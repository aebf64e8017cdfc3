"""What a loop or a branch hands on unchanged is read where it comes from."""

from __future__ import annotations

from dataclasses import replace

from convjit.kernel.parse import parse
from convjit.kernel.unchanged import unchanged

HEAD = "kernel k for cpu:avx2\nparameter x f64\nparameter y f64 written\n{\n"
READ = "%1 = load f64 %x {align 8}"


def left(*lines: str) -> list[str]:
    """The lines of the body behind the pass."""
    kernel = parse(HEAD + "\n".join(lines) + "\n}\n")
    return [line.strip() for line in str(replace(kernel, body=unchanged(kernel.body))).splitlines()[4:-1]]


def test_a_loop_that_does_not_change_a_value_does_not_carry_it() -> None:
    lines = left(
        READ,
        "for %2 i64 0 to 4 step 1 sure {",
        "carry %3 f64 = %1, then %3, gives %4",
        "carry %5 f64 = 0, then %6, gives %7",
        "%6 = add f64 %5, %3",
        "}",
        "%8 = add f64 %4, %7",
        "store f64 %8, %y {align 8}",
    )
    assert lines == [
        READ,
        "for %2 i64 0 to 4 step 1 sure {",
        "carry %5 f64 = 0, then %6, gives %7",
        "%6 = add f64 %5, %1",
        "}",
        "%8 = add f64 %1, %7",
        "store f64 %8, %y {align 8}",
    ]


def test_neither_do_the_loops_around_it() -> None:
    lines = left(
        READ,
        "for %2 i64 0 to 4 step 1 sure {",
        "carry %3 f64 = %1, then %6, gives %7",
        "for %4 i64 0 to 4 step 1 sure {",
        "carry %5 f64 = %3, then %5, gives %6",
        "store f64 %5, %y {align 8}",
        "}",
        "}",
        "store f64 %7, %y {align 8}",
    )
    assert not any(line.startswith("carry") for line in lines)
    assert lines.count("store f64 %1, %y {align 8}") == 2


def test_two_values_that_change_places_are_carried() -> None:
    lines = [
        READ,
        "for %2 i64 0 to 4 step 1 sure {",
        "carry %3 f64 = %1, then %5, gives %4",
        "carry %5 f64 = 0, then %3, gives %6",
        "store f64 %3, %y {align 8}",
        "}",
        "store f64 %4, %y {align 8}",
    ]
    assert left(*lines) == lines


def test_a_branch_that_leaves_a_value_alone_does_not_merge_it() -> None:
    lines = left(
        READ,
        "%2 = lt i1 0, 1 {type i64}",
        "if %2 {",
        "store f64 %1, %y {align 8}",
        "merge %3 f64 = %1, else %1",
        "}",
        "store f64 %3, %y {align 8}",
    )
    assert lines[-1] == "store f64 %1, %y {align 8}"
    assert not any(line.startswith("merge") for line in lines)
