"""Our kernels beside PyTorch, ONNX Runtime and OpenVINO, layer by layer: tables, a CSV file and plots.

    python bench/compare.py --isa avx2 --threads 1,2
    python bench/compare.py --quick --isa avx512
    python bench/compare.py --types u8 --isa avx512_vnni

Every library runs in a process of its own, with the same threads, pinned to the same cores, kept to the same
instructions; only one of them computes at a time. Each result is compared with float64, or with exact integers, before
anything is timed. The candidates take turns in bursts, in several rounds, so that a slow moment of the machine meets all of them; samples during
which something else had the processor are left out. Times are medians.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType

sys.path[:0] = [str(Path(__file__).parents[1])]

import click

from bench import layers
from bench.measure import Settings
from bench.problem import F32, Problem
from bench.quantised import u8
from bench.session import open_session, run, say
from convjit.bench.libraries import PEERS
from convjit.bench.workers import ISA
from convjit.errors import ConvError
from convjit.machine.machine import Machine
from convjit.runtime.detect import host, missing
from convjit.targets import machine_of

UNLIMITED = "onnxruntime"
"""It always uses the best instructions of the processor; nothing can be asked of it."""

BETTER: dict[str, dict[str, tuple[str, ...]]] = {
    "f32": {"avx2": ("avx512f",), "avx2_vnni": ("avx512f",)},
    "u8": {
        "avx2": ("avx512f", "avx_vnni"),
        "avx2_vnni": ("avx512f",),
        "avx512": ("avx512_vnni", "avx_vnni"),
        "avx512_vnni": ("amx_int8",),
    },
}
"""Flags of processors that have something better than these instructions, for these types."""

QUICK = {"seconds": 0.03, "rounds": 3, "within": 5.5}


def machine_for(isa: str) -> Machine:
    """Ours for these instructions. `ConvError` where this processor lacks them."""
    machine = machine_of("cpu" if isa == "best" else f"cpu:{isa}")
    lacks = missing(machine.required)
    if lacks:
        raise ConvError.of(f"This machine cannot run {machine.name}: it has no {' '.join(lacks)}.")
    return machine


def at_liberty(isa: str, types: str = "f32") -> frozenset[str]:
    """Who uses more than these instructions here."""
    more = any(host().runs([flag]) for flag in BETTER[types].get(isa, ()))
    return frozenset({UNLIMITED} if more else ())


def problem_of(types: str, zero: int, bits: int = 8) -> Problem:
    """What is to be computed. `ConvError` where a zero point or so many bits have no meaning."""
    if types == "u8":
        if zero and bits != 8:
            raise ConvError.of(f"'--zero {zero}' has no meaning for {bits} bits.", hint="It goes with --bits 8.")
        return u8(zero, narrow=bits == 7)
    for option, given in (("zero", zero), ("bits", bits if bits != 8 else 0)):
        if given:
            raise ConvError.of(f"'--{option} {given}' has no meaning for {types}.", hint="It goes with --types u8.")
    return F32


def words(text: str, known: tuple[str, ...], what: str) -> list[str]:
    """A list with commas."""
    found = [word for word in text.split(",") if word]
    for word in found:
        if word not in known:
            raise ConvError.of(f"There is no {what} '{word}'.", hint=f"There are {', '.join(known)}.")
    return found


def numbers(text: str) -> list[int]:
    """Numbers of threads, with commas."""
    found = text.split(",")
    for word in found:
        if not word.isdecimal():
            raise ConvError.of(f"'{word}' is no number of threads.", hint="Write --threads 1,2.")
    return [int(word) for word in found]


@click.command(help=__doc__)
@click.option("--layers", "sets", default="all", help=f"Any of {', '.join(layers.SETS)}, with commas.")
@click.option(
    "--facts",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=layers.FACTS,
    help="A file of layers like bench/layers.csv.",
)
@click.option("--only", default="", help="Only layers whose name or shape has this in it.")
@click.option("--threads", default="1", help="Numbers with commas; each is a run of its own.")
@click.option("--types", type=click.Choice(list(BETTER)), default="f32", help="u8: times i8, requantised to u8.")
@click.option("--zero", type=click.Choice(["0", "128"]), default="0", help="Zero point of the u8 input.")
@click.option(
    "--bits", type=click.Choice(["7", "8"]), default="8",
    help="Of the u8 input. 7: below 128, by a declared range; so PyTorch quantises without VNNI, lest sums saturate.",
)
@click.option("--isa", type=click.Choice(list(ISA)), default="best", help="Instructions for everybody.")
@click.option("--peers", default=",".join(PEERS), help="Libraries to compare with, with commas; or nothing.")
@click.option("--seconds", type=float, default=0.1, help="Of one burst.")
@click.option("--rounds", type=int, default=5)
@click.option(
    "--within", type=float, default=0.0, help="Minutes for each number of threads: fewer rounds (not below 2)."
)
@click.option("--nice", type=int, default=0, help="Priority of whoever measures; -15 on a busy machine (a privilege).")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("build/bench"))
@click.option("--quick", is_flag=True, help=f"The same as {' '.join(f'--{k} {v}' for k, v in QUICK.items())}.")
def main(
    sets: str, facts: Path, only: str, threads: str, types: str, zero: str, bits: str, isa: str, peers: str, seconds: float,
    rounds: int, within: float, nice: int, out: Path, quick: bool,
) -> None:  # fmt: skip
    if quick:
        seconds, rounds, within = QUICK["seconds"], int(QUICK["rounds"]), QUICK["within"]
    try:
        machine, problem = machine_for(isa), problem_of(types, int(zero), int(bits))
        chosen = layers.select(layers.load(facts), words(sets, layers.SETS, "set of layers"), only)
        if not chosen:
            raise ConvError.of("There is no such layer.", hint="bench/layers.csv has them all.")
        asked = words(peers, PEERS, "library")
        right = True
        for number in numbers(threads):
            session = open_session(machine, isa, number, asked, nice, problem)
            settings = Settings(seconds, rounds, machine.name, number, at_liberty(isa, types), problem)
            click.echo(run(session, chosen, settings, within, out), nl=False)
            right &= all(result.ours for result in session.results)
    except ConvError as error:
        say(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted; what was measured has been written")
        sys.exit(130)
    sys.exit(0 if right else 1)


def interrupt(number: int, frame: FrameType | None) -> None:
    """The first signal ends the measurement; further ones do not keep it from writing what there is."""
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    main()
