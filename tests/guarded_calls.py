"""Calls on arrays between unmapped pages, for tests/test_guard_pages.py: run as a child, since a fault ends it.

python -m tests.guarded_calls TARGET SUITE     prints the name of each call before it is made
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations, product, zip_longest
from typing import Any

import numpy as np

import convjit
from convjit import dtypes
from convjit.api import read
from convjit.machine.rows import EXACT
from convjit.schedule.dataflow.zero_skipping import impossible
from convjit.spec.conv import ConvSpec
from convjit.spec.tensor import Compute
from tests import guard, shapes
from tests.fuzz import same
from tests.quantised_programs import arrays as quantised_arrays
from tests.quantised_programs import program
from tests.random_specs import Array, random_arrays, random_sizes, random_spec
from tests.shapes import SAMPLE, Case, full_range, typed

Arguments = dict[str, Array]
Drawn = tuple[str, ConvSpec, Arguments]
"""What to call it, what to compile, and the arrays of a call."""

SMALL = (
    Case("tails", 2, 1, 5, 19, (7,), (3,), (1,), (1,), (1,), (2,)),
    Case("strided", 1, 1, 3, 9, (11,), (4,), (3,), (1,), (0,), (1,)),
    Case("channels", 1, 3, 6, 6, (6,), (3,), (1,), (2,), (2,), (2,)),
)
"""In 1-D; other ranks repeat the axis, each time one longer."""


def stretched(case: Case, rank: int) -> Case:
    """The same in more dimensions."""
    axes = (case.size, case.kernel, case.stride, case.dilation, case.low, case.high)
    size, *window = (tuple(axis * rank) for axis in axes)
    longer = tuple(n + at for at, n in enumerate(size))
    return Case(case.name, case.batch, case.groups, case.channels, case.out_channels, longer, *window)


def case_of(case: Case, dtype: str = "f32", axes: tuple[tuple[str, ...], ...] = ()) -> Drawn:
    """A case with its arguments."""
    spec = shapes.spec_of(case, dtype, axes)
    name = " ".join([case.name, *("".join(t.axes) for t in spec.tensors)])
    return name, spec, dict(zip((t.name for t in spec.arguments), shapes.arrays(spec), strict=True))


def every_layout(rank: int) -> Iterator[Drawn]:
    """Every order of axes of input, weight and output, each at least once."""
    for case in (stretched(case, rank) for case in SMALL):
        r = random.Random(case.name)
        orders = [list(permutations(axes)) for axes in shapes.layouts(case)]
        for each in orders:
            r.shuffle(each)
        for at, axes in enumerate(zip_longest(*orders)):
            full = tuple(order or orders[i][at % len(orders[i])] for i, order in enumerate(axes))
            yield case_of(case, axes=full)


def drawn() -> Iterator[Drawn]:
    """Random convolutions: open sizes, what follows the sum, few channels."""
    for seed in range(40):
        r = random.Random(seed)
        spec = random_spec(r)
        yield f"random {seed}", spec, random_arrays(seed, spec, random_sizes(r, spec))


def quantised() -> Iterator[Drawn]:
    """Random quantised convolutions, zero points, and `compute` in integers."""
    for seed in range(60):
        ((spec, _),) = read(program(seed)).values()
        yield f"quantised {seed}", spec, quantised_arrays(spec, seed)


def lists() -> Iterator[Drawn]:
    """Lists of what is not 0: random convolutions, quantised ones, and the cases of the sample, half of the weights 0."""
    made = [*drawn(), *quantised(), *map(case_of, SAMPLE[::3])]
    for at, (name, spec, given) in enumerate(made[::5]):
        if not impossible(spec):
            zero = np.random.default_rng(at).random(given["w"].shape) < 0.5
            given["w"][zero] = spec.weight.zero if isinstance(spec.weight.zero, int) else 0
            yield f"list {name}", replace(spec, dataflow="zero_skipping"), given


def integers() -> Iterator[Drawn]:
    """Every pair of integer types, on some cases each."""
    for at, types in enumerate(EXACT):
        for case in SAMPLE[at::20]:
            spec = typed(case, types)
            arrays = dict(zip((t.name for t in spec.arguments), full_range(spec), strict=True))
            yield f"{case.name} {types}", spec, arrays


def short() -> Iterator[Drawn]:
    """bf16 and f16, stored and multiplied: whole numbers, whose sums are exact before they are stored."""
    for at, (dtype, stored) in enumerate(product(("bf16", "f16"), (True, False))):
        for case in SAMPLE[at::8]:
            name, spec, arrays = case_of(case, dtype if stored else "f32")
            yield f"{name} {dtype} {stored}", spec if stored else replace(spec, compute=Compute(dtype)), arrays


SUITES = {
    "random": drawn,
    "sample": lambda: map(case_of, SAMPLE),
    "double": lambda: (case_of(case, "f64") for case in SAMPLE[::4]),
    "integers": integers,
    "quantised": quantised,
    "short": short,
    "lists": lists,
    "layouts1": lambda: every_layout(1),
    "layouts2": lambda: every_layout(2),
    "layouts3": lambda: every_layout(3),
}


def call(kernel: Any, spec: ConvSpec, given: Arguments, want: Array, end: bool) -> None:
    """Inputs may not be written, the output is full of NaN (of 77 in integers), and beside each array lies what must stay."""
    memory = {t.name: guard.copy(given[t.name], end, writable=False) for t in spec.arguments}
    arrays = {name: place.array for name, place in memory.items()}
    constants = {t.name: arrays.pop(t.name) for t in spec.arguments if t.role not in ("input", "residual")}
    for bound in (False, True):
        dtype = dtypes.get(spec.output.dtype).numpy
        output = guard.copy(np.full(want.shape, np.nan if dtype.kind == "f" else 77, dtype), end)
        if bound:
            kernel.bind(**constants)(**arrays, out=output.array)
        else:
            kernel(**constants, **arrays, out=output.array)
        assert same(spec, output.array, want), "wrong"
        assert output.intact(), "written beside the output"


def main(target: str, suite: str) -> None:
    """Every call of a suite, on arrays that end and that begin at an unmapped page."""
    count = 0
    for name, spec, given in SUITES[suite]():
        print(name, flush=True)
        kernel = convjit.compile(spec, target=target, threads=2)
        want = convjit.reference(spec, **{t.name: given[t.name] for t in spec.arguments})
        want = want.astype(dtypes.get(spec.output.dtype).numpy)
        for end in (True, False):
            call(kernel, spec, given, want, end)
            count += 1
    print(f"{count} calls")


if __name__ == "__main__":
    main(*sys.argv[1:])
