"""`convjit run`: data is read or made, the kernel compiled and called, its result checked, its time measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from convjit import api
from convjit.cli import data, inputs
from convjit.cli.files import check_output_path, open_array, save_array
from convjit.cli.memory import check_memory
from convjit.cli.options import FILE, TARGET, THREADS
from convjit.cli.runner import check_runnable, run_on
from convjit.cli.show import result_lines
from convjit.cli.status import DONE, WRONG, report, worst
from convjit.cli.stored import Array, Stored
from convjit.errors import ConvError, did_you_mean
from convjit.spec.check import compare
from convjit.spec.conv import ConvSpec
from convjit.spec.unsupported import refuse


@dataclass(frozen=True)
class Request:
    """The options. `places` are files by tensor, or by block and tensor ("res2a.x")."""

    places: dict[str, str]
    input: str | None
    weight: str | None
    out: str | None
    sizes: dict[str, int]
    target: str | None
    threads: int | None
    seed: int


@click.command("run")
@FILE
@click.option(
    "--tensor",
    multiple=True,
    metavar="X=FILE",
    help="Data of the tensor X (or BLOCK.X): .npy, .npz:key, .bin.",
)
@click.option("--input", metavar="FILE", help="Data of the input, whatever its name.")
@click.option("--weight", metavar="FILE", help="Data of the weight, whatever its name.")
@click.option("--out", metavar="FILE", help="Write the result as .npy; with several blocks, FILE-BLOCK.npy each.")
@click.option("--size", multiple=True, metavar="N=4", help="An open size.")
@TARGET
@THREADS
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the data that is made (0).")
def command(
    file: str, tensor: tuple[str, ...], input: str | None, weight: str | None, out: str | None,
    size: tuple[str, ...], target: str | None, threads: int | None, seed: int,
) -> int:  # fmt: skip
    """Compile FILE, run it, check the result against the reference, and print its error and its time.

    Data is made for tensors that no file is given for. Status 1 says that a result was wrong.
    """
    if out is not None:
        check_output_path(out)
    request = Request(_places(tensor), input, weight, out, inputs.parse_sizes(size), target, threads, seed)
    blocks = api.read(Path(file))
    specs = {name: spec for name, (spec, _) in blocks.items()}
    _check_places(request, specs)
    inputs.check_sizes(specs.values(), request.sizes)
    statuses = []
    for number, (name, (spec, syntax)) in enumerate(blocks.items()):
        if number:
            click.echo()
        try:
            statuses.append(_run(spec, syntax, request, several=len(blocks) > 1))
        except Exception as error:
            if len(blocks) == 1:
                raise
            statuses.append(report(error, ["run", file, f"(block {name})"]))
    return worst(statuses)


def _run(spec: ConvSpec, syntax: api.Syntax, request: Request, several: bool) -> int:
    """One block, from its data to its lines on the screen."""
    stored = {name: open_array(place, spec.tensor(name).role) for name, place in _own_places(spec, request).items()}
    settled = inputs.settle(spec, request.sizes, stored)
    check_memory(settled)
    inputs.check_fit(settled, stored)
    refuse(spec)
    compilation = api.compilation(spec, syntax, request.target)
    check_runnable(compilation)
    given = _arrays(settled, stored, request.seed)
    measured = run_on(compilation, request.threads, settled, given)
    verdict = compare(settled, given, measured.result)
    notes = {t.name: f"made, seed {request.seed}" for t in spec.arguments}
    notes |= {name: f"from {array.place}" for name, array in stored.items()}
    if request.out is not None:
        path = _out_path(request.out, spec.name if several else "")
        save_array(path, measured.result)
        notes[spec.output.name] = f"written to {path}"
    click.echo("\n".join(result_lines(compilation, settled, measured, verdict, notes)))
    return WRONG if verdict.wrong else DONE


def _arrays(spec: ConvSpec, stored: Mapping[str, Stored], seed: int) -> dict[str, Array]:
    return {
        t.name: inputs.load(t, stored[t.name]) if t.name in stored else data.make(spec, t, seed) for t in spec.arguments
    }


def _places(words: tuple[str, ...]) -> dict[str, str]:
    places: dict[str, str] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not (name and equals and place):
            raise ConvError.of(f"'--tensor {word}' is no array.", hint="Write --tensor x=x.npy: a tensor and a file.")
        if name in places:
            raise ConvError.of(f"--tensor gives '{name}' twice: {places[name]} and {place}.")
        places[name] = place
    return places


def _own_places(spec: ConvSpec, request: Request) -> dict[str, str]:
    """The files of a block's tensors."""
    own = {spec.input.name: request.input, spec.weight.name: request.weight}
    for tensor in spec.arguments:
        place = request.places.get(f"{spec.name}.{tensor.name}", request.places.get(tensor.name))
        if place is not None and own.get(tensor.name) is not None:
            raise ConvError.of(f"Two files are given for '{tensor.name}': {own[tensor.name]} and {place}.", tensor.span)
        own[tensor.name] = place if place is not None else own.get(tensor.name)
    return {name: place for name, place in own.items() if place is not None}


def _check_places(request: Request, specs: Mapping[str, ConvSpec]) -> None:
    """`ConvError` for a file that is for no tensor."""
    known = {t.name for spec in specs.values() for t in spec.arguments}
    known |= {f"{name}.{t.name}" for name, spec in specs.items() for t in spec.arguments}
    outputs = {spec.output.name for spec in specs.values()}
    for name in request.places:
        if name in known:
            continue
        text = f"--tensor {name}={request.places[name]}: there is no tensor '{name}' that takes data."
        hint = (f"'{name}' is the output; --out writes it.",) if name in outputs else did_you_mean(name, known)
        raise ConvError.of(
            text, note=f"The tensors are {', '.join(sorted(n for n in known if '.' not in n))}.", hint=hint
        )


def _out_path(out: str, block: str) -> str:
    path = Path(out)
    return str(path.with_stem(f"{path.stem}-{block}")) if block else out
