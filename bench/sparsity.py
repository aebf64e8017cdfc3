"""Kernels that multiply all of a weight beside kernels that walk a list of what is not 0: speed-ups, and where both are as fast.

    python bench/sparsity.py
    python bench/sparsity.py --types u8 --seconds 0.5
    python bench/sparsity.py --fit

The layers are those of the report and ResNet's 14x14x256, 3x3, channels last, one thread. Times are medians of bursts in turns.
`--fit` prints the cycles of entries and of lists without entries, from which the figures of `convjit.schedule.break_even` come.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

import click

from convjit.runtime.burst import in_turns
from convjit.runtime.detect import host
from convjit.schedule.dataflow.zero_skipping import tile
from convjit.schedule.facts import Facts
from convjit.schedule.packing import list_packs
from convjit.schedule.parts import NOTHING, known
from convjit.spec.build import Conv
from convjit.spec.conv import ConvSpec
from convjit.study.sparse import ZEROS, Sparse, measure, model
from convjit.targets import machine_of

LAYERS = ((56, 64), (28, 128), (14, 256), (7, 512))
TYPES = {"f32": ("f32", "f32", "f32"), "u8": ("u8", "i8", "i32"), "i8": ("i8", "i8", "i32")}


def layer(size: int, channels: int, types: str) -> ConvSpec:
    """A square 3x3 layer with as many output channels as input channels."""
    x, w, y = TYPES[types]
    return Conv(
        f"layer_{size}x{size}x{channels}",
        input=("x", x, {"N": 1, "H": size, "W": size, "C": channels}),
        weight=("w", w, {"OC": channels, "KH": 3, "KW": 3, "IC": channels}),
        output=("y", y, "N OH OW OC"),
        pad="same",
    )


def row(found: Sparse) -> str:
    """A line of the table: milliseconds of all numbers, the speed-up at each share of zeros, and both break-even densities."""
    even = found.break_even
    dense = min(p.dense_seconds for p in found.points)
    ups = " ".join(f"{p.speedup:7.2f}" for p in found.points)
    return f"{found.name:20} {1e3 * dense:8.3f} {ups}   {'-' if even is None else f'{even:.0%}':>8} {found.modelled:9.0%}"


def fit(spec: ConvSpec, found: Sparse, hertz: float) -> str:
    """Cycles of an entry for each vector of outputs, and of everything else for each output, from the two sparsest points."""
    machine = machine_of(found.target)
    plain, sure = known(spec, list_packs(spec, machine, NOTHING), NOTHING)
    facts = Facts(plain, machine.exact(sure.pairs))
    t, cost = tile(facts), model(spec, machine)
    a, b = sorted(found.points, key=lambda p: p.density)[:2]
    each = (b.list_seconds - a.list_seconds) / (b.density - a.density) * hertz
    rest = a.list_seconds * hertz - a.density * each
    return f"{found.name:20} entries {each:.3g} cycles (modelled {cost.full:.3g}), {t.sums} vectors; rest {rest:.3g} (modelled {cost.empty:.3g})"


@click.command(help=__doc__)
@click.option("--types", type=click.Choice(sorted(TYPES)), default="f32")
@click.option("--target", default="cpu", help="cpu:avx2, cpu:avx512, …")
@click.option("--seconds", default=1.0, help="Seconds for each share of zeros.")
@click.option("--threads", default=1)
@click.option("--fit", "fitted", is_flag=True, help="Print what the model's figures are made of.")
@click.option("--hertz", default=3.3e9, help="Clock of the processor, for --fit.")
def main(types: str, target: str, seconds: float, threads: int, fitted: bool, hertz: float) -> None:
    """Print the table."""
    machine = machine_of(target)
    click.echo(f"{types} on {machine.name}, {threads} thread{'s' * (threads > 1)}; {host().name}")
    shares = " ".join(f"{f'{z:.0%}':>7}" for z in ZEROS)
    click.echo(f"{'layer':20} {'dense ms':>8} {shares}   break-even  modelled")
    for size, channels in LAYERS:
        spec = layer(size, channels, types)
        found = measure(spec, machine, partial(in_turns, seconds=seconds), threads=threads)
        click.echo(row(found))
        if fitted:
            click.echo(fit(spec, found, hertz))


if __name__ == "__main__":
    main()
