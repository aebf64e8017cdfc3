"""The same convolution in other libraries, for `convjit bench`. All of them are optional."""

from __future__ import annotations

from collections.abc import Mapping

from convjit.bench.candidate import BLOCKED, Candidate
from convjit.bench.libraries import LIBRARIES, PEERS
from convjit.cli.stored import Array
from convjit.errors import ConvError, Unavailable, did_you_mean
from convjit.spec.conv import ConvSpec


def candidates(peer: str, spec: ConvSpec, given: Mapping[str, Array], threads: int) -> dict[str, Candidate]:
    """By name, those that work on a user's arrays. `Unavailable` for what the peer cannot do."""
    if peer not in PEERS:
        note = f"The peers are {', '.join(PEERS)}."
        raise ConvError.of(f"There is no peer '{peer}'.", note=note, hint=did_you_mean(peer, PEERS))
    odd = [step.op for step in spec.then if step.op != "relu"]
    if odd or spec.input.dtype != "f32" or spec.transposed:
        what = f"'then {odd[0]}'" if odd else "anything but plain f32 convolutions"
        raise Unavailable.of(f"The comparison with {peer} does not know {what}.")
    try:
        builders = LIBRARIES[peer].builders(spec, given, threads)
        return {name: build() for name, build in builders.items() if not name.endswith(BLOCKED)}
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Unavailable.of(f"{peer} cannot run '{spec.name}' here: {reason[:200]}") from None
