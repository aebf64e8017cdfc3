"""The arrays of a command: files by tensor, or by block and tensor ("res2a.x"), and data that is made for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import click

from convjit.cli import data, inputs
from convjit.cli.files import open_array
from convjit.cli.memory import check_memory
from convjit.cli.stored import Array
from convjit.errors import ConvError, did_you_mean
from convjit.spec.conv import ConvSpec

F = TypeVar("F", bound=Callable[..., object])

OPTIONS = (
    click.option("--tensor", multiple=True, metavar="X=FILE", help="Data of the tensor X (or BLOCK.X): .npy, .npz:key, .bin."),
    click.option("--input", metavar="FILE", help="Data of the input, whatever its name."),
    click.option("--weight", metavar="FILE", help="Data of the weight, whatever its name."),
    click.option("--size", multiple=True, metavar="N=4", help="An open size."),
    click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the data that is made (0)."),
)  # fmt: skip


def options(command: F) -> F:
    """The options of a command that takes arrays."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Wanted:
    """What the options say: `places` are files by the words of --tensor."""

    places: Mapping[str, str]
    input: str | None
    weight: str | None
    sizes: Mapping[str, int]
    seed: int

    @classmethod
    def of(
        cls, tensor: Iterable[str], input: str | None, weight: str | None, size: Iterable[str], seed: int
    ) -> Wanted:
        """From the words of the options. `ConvError` for those that say nothing, or two things."""
        return cls(_places(tensor), input, weight, inputs.parse_sizes(size), seed)

    def check(self, specs: Mapping[str, ConvSpec]) -> None:
        """`ConvError` for a file that is for no tensor of any block, and for a size that is not open."""
        _check_places(self, specs)
        inputs.check_sizes(specs.values(), self.sizes)


@dataclass(frozen=True)
class Given:
    """A spec without open sizes, its arrays by name, and for each where it is from ("made, seed 0")."""

    spec: ConvSpec
    arrays: dict[str, Array]
    notes: dict[str, str]


def given(spec: ConvSpec, wanted: Wanted, check: Callable[[ConvSpec], None] = lambda _: None) -> Given:
    """The arrays of one block. `check` is asked before anything is read or made. `ConvError` for files that do not fit, and
    for what is larger than memory."""
    stored = {name: open_array(place, spec.tensor(name).role) for name, place in _own(spec, wanted).items()}
    settled = inputs.settle(spec, wanted.sizes, stored)
    check_memory(settled)
    inputs.check_fit(settled, stored)
    check(spec)
    arrays = {
        t.name: inputs.load(t, stored[t.name]) if t.name in stored else data.make(settled, t, wanted.seed)
        for t in settled.arguments
    }
    notes = {t.name: "of the program" if t.values else f"made, seed {wanted.seed}" for t in spec.arguments}
    return Given(settled, arrays, notes | {name: f"from {array.place}" for name, array in stored.items()})


def _places(words: Iterable[str]) -> dict[str, str]:
    places: dict[str, str] = {}
    for word in words:
        name, equals, place = word.partition("=")
        if not (name and equals and place):
            raise ConvError.of(f"'--tensor {word}' is no array.", hint="Write --tensor x=x.npy: a tensor and a file.")
        if name in places:
            raise ConvError.of(f"--tensor gives '{name}' twice: {places[name]} and {place}.")
        places[name] = place
    return places


def _own(spec: ConvSpec, wanted: Wanted) -> dict[str, str]:
    """The files of a block's tensors."""
    own = {spec.input.name: wanted.input, spec.weight.name: wanted.weight}
    for tensor in spec.arguments:
        place = wanted.places.get(f"{spec.name}.{tensor.name}", wanted.places.get(tensor.name))
        if place is not None and own.get(tensor.name) is not None:
            raise ConvError.of(f"Two files are given for '{tensor.name}': {own[tensor.name]} and {place}.", tensor.span)
        own[tensor.name] = place if place is not None else own.get(tensor.name)
    return {name: place for name, place in own.items() if place is not None}


def _check_places(wanted: Wanted, specs: Mapping[str, ConvSpec]) -> None:
    """`ConvError` for a file that is for no tensor."""
    known = {t.name for spec in specs.values() for t in spec.arguments}
    known |= {f"{name}.{t.name}" for name, spec in specs.items() for t in spec.arguments}
    outputs = {spec.output.name for spec in specs.values()}
    for name in wanted.places:
        if name in known:
            continue
        text = f"--tensor {name}={wanted.places[name]}: there is no tensor '{name}' that takes data."
        hint = (f"'{name}' is the output; --out writes it.",) if name in outputs else did_you_mean(name, known)
        raise ConvError.of(
            text, note=f"The tensors are {', '.join(sorted(n for n in known if '.' not in n))}.", hint=hint
        )
