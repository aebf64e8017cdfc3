"""Each library computes the same convolution, whatever order of axes it likes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import numpy as np
import pytest

from convjit import reference
from convjit.api import read
from convjit.bench import candidate, ours
from convjit.bench.candidate import Array, Builder
from convjit.cli import data
from convjit.errors import Unavailable
from convjit.spec.conv import ConvSpec

PLAIN = """\
conv plain {
    input  x : f32[N=1, H=6, W=9, C=16]
    weight w : f32[OC=24, KH=3, KW=3, IC=16]
    output y : f32[N, OH, OW, OC]
    pad 1
}
"""
LINE = """\
conv line {
    input  x : f32[N=2, C=3, W=9]
    weight w : f32[KW=3, IC=3, OC=5]
    bias   b : f32[OC]
    dilation 2
}
"""

PROGRAMS = {
    "plain": PLAIN,
    "stride": PLAIN.replace("pad 1", "pad 1\n    stride 2"),
    "depthwise": PLAIN.replace("IC=16", "IC=1").replace("OC=24", "OC=16").replace("pad 1", "pad 1\n    groups 16"),
    "grouped": PLAIN.replace("IC=16", "IC=4").replace("pad 1", "groups 4"),
    "channels first": PLAIN.replace("H=6, W=9, C=16", "C=16, H=6, W=9").replace("N, OH, OW, OC", "N, OC, OH, OW"),
    "few channels": PLAIN.replace("C=16", "C=3").replace("IC=16", "IC=3"),
    "sides, bias and relu": PLAIN.replace("    output", "    bias b : f32[OC]\n    output").replace(
        "pad 1", "pad ((1, 0), (2, 1))\n    then relu"
    ),
    "line": LINE,
}

EXPECTED = {
    "torch": {"torch", "torch packed", "torch blocked"},
    "onnxruntime": {"onnxruntime", "onnxruntime unblocked", "onnxruntime blocked"},
    "openvino": {"openvino", "openvino nhwc"},
}


def spec_of(program: str) -> ConvSpec:
    ((spec, _),) = read(program).values()
    return spec


def arrays(spec: ConvSpec) -> dict[str, Array]:
    return {t.name: data.make(spec, t, 0) for t in spec.arguments}


def wanted(spec: ConvSpec, given: Mapping[str, Array]) -> Array:
    axes = spec.output.axes
    order = ("N", "OC", *(f"O{axis}" for axis in spec.spatial))
    return reference(spec, **given).transpose([axes.index(axis) for axis in order])


def check(builder: Builder, spec: ConvSpec, given: Mapping[str, Array]) -> None:
    made = builder()
    made.call()
    made.clear()
    np.testing.assert_allclose(made.result(), wanted(spec, given), rtol=1e-4, atol=1e-5)


def builders(library: str, spec: ConvSpec, given: Mapping[str, Array]) -> dict[str, Builder]:
    pytest.importorskip(library)
    if library == "onnxruntime":
        pytest.importorskip("onnx")  # for its blocked candidate
    found: dict[str, Builder] = import_module(f"convjit.bench.with_{library}").builders(spec, given, 1)
    return found


@pytest.mark.parametrize("library", EXPECTED)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_library_computes_what_the_program_says(library: str, name: str) -> None:
    spec = spec_of(PROGRAMS[name])
    given = arrays(spec)
    for title, builder in builders(library, spec, given).items():
        try:
            check(builder, spec, given)
        except Unavailable as reason:
            assert title == "onnxruntime blocked" and "to blocks of channels" in str(reason)


@pytest.mark.parametrize("library", EXPECTED)
def test_all_that_a_library_offers_is_there(library: str) -> None:
    spec = spec_of(PLAIN)
    given = arrays(spec)
    found = builders(library, spec, given)
    assert set(found) == EXPECTED[library]
    assert {name for name in found if found[name]().blocked} == found.keys() & {f"{library} blocked"}


@pytest.mark.parametrize("name", ["plain", "depthwise", "line"])
def test_ours_in_several_orders(name: str) -> None:
    spec = spec_of(PROGRAMS[name])
    other = PROGRAMS[name].replace("N=1, H=6, W=9, C=16", "N=1, C=16, H=6, W=9").replace("OH, OW, OC", "OC, OH, OW")
    given = arrays(spec)
    variants = [ours.Variant(*words, "cpu:scalar", 1) for words in (("here", PROGRAMS[name]), ("there", other))]
    found = ours.builders(spec, given, tuple(variants))
    assert list(found) == ["here", "there"]
    for builder in found.values():
        check(builder, spec, given)


def test_a_library_that_is_not_there() -> None:
    with pytest.raises(Unavailable) as caught:
        candidate.library("no_such_library")
    assert str(caught.value) == (
        "error: 'no_such_library' is not installed.\n  hint: pip install no_such_library, or leave it out."
    )


def test_versions_are_told() -> None:
    assert ours.versions().startswith("0.")
    for library in EXPECTED:
        if pytest.importorskip(library):
            assert import_module(f"convjit.bench.with_{library}").versions()[0].isdigit()
