"""The named dataflows, one file each: a spec and a machine give the lines of a schedule.

`DATAFLOWS[word][kind of machine]` is a generator; a kind that is missing there cannot realise the dataflow.
"""

from collections.abc import Callable, Mapping

from convjit.machine.machine import Machine
from convjit.schedule.dataflow import (
    input_stationary,
    output_stationary,
    row_stationary,
    weight_stationary,
    zero_skipping,
)
from convjit.schedule.schedule import Schedule
from convjit.spec.conv import ConvSpec

Generator = Callable[[ConvSpec, Machine], Schedule]

DATAFLOWS: dict[str, Mapping[str, Generator]] = {
    "auto": output_stationary.BY_KIND,
    "output_stationary": output_stationary.BY_KIND,
    "weight_stationary": weight_stationary.BY_KIND,
    "input_stationary": input_stationary.BY_KIND,
    "row_stationary": row_stationary.BY_KIND,
    "zero_skipping": zero_skipping.BY_KIND,
}
MISSING: dict[tuple[str, str], tuple[str, str]] = {
    ("row_stationary", "cuda"): (
        "Rows of the output would be added up by neighbouring threads, and no schedule here moves sums between threads.",
        "output_stationary",
    ),
    ("zero_skipping", "cuda"): (
        "The threads of a warp read weights together, and no list here says the same to all of them.", "output_stationary",
    ),
}
"""Why a kind of machine cannot realise a dataflow, and the nearest that it can."""
