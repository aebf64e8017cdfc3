"""The rows of the trade-off: every type and target once, right numbers in them, and a reason where there are none."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import pytest

import convjit
from convjit import api, machine
from convjit.cli import data
from convjit.cli.stored import Array
from convjit.errors import Unavailable
from convjit.pipeline import Compilation
from convjit.spec.conv import ConvSpec
from convjit.study import tradeoff as module
from convjit.study.forms import ALGORITHMS, BEST, HALF, TYPES, own_type, variants
from convjit.study.hosts import SCALAR, Hosts, hosts
from convjit.study.joules import Joules
from convjit.study.tradeoff import ABSENT, LEFT_OUT, MEASURED, REFUSED, WRONG, Row, baseline, pareto, tradeoff
from tests.gpu import fake
from tests.gpu.conftest import driver

__all__ = ["driver"]

FLOATS = "conv c { input x : f32[N=1, H=5, W=4, C=3]; weight w : f32[KH=3, KW=3, OC=5, IC=3]; pad same; then relu }"
SCALES = {"i16": {BEST: (2.0**8, 2.0**9), HALF: (2.0**7, 2.0**8)}, "i8": {BEST: (2.0**3, 2.0**4)}, "i32": {BEST: (2.0**20, 2.0**20)}}
ONLY_SCALAR = Hosts((machine.get(SCALAR),), (("cuda", "There is no GPU to be had here."),))


def read(text: str) -> tuple[ConvSpec, dict[str, Array]]:
    """A spec with data for it."""
    ((spec, _),) = api.read(text).values()
    return spec, {t.name: data.make(spec, t, 0) for t in spec.arguments}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bursts of a few calls: no figure of these tests is a time."""
    monkeypatch.setattr("convjit.study.turns.BURST", 0.0)
    monkeypatch.setattr("convjit.study.turns.ROUNDS", 1)


def rows_of(text: str, seconds: float = 60.0) -> tuple[Row, ...]:
    spec, given = read(text)
    return tradeoff(spec, given, SCALES, targets=ONLY_SCALAR, threads=1, seconds=seconds)


def test_every_type_and_algorithm_has_a_row() -> None:
    rows = rows_of(FLOATS)
    assert {(r.dtype, r.algorithm) for r in rows if r.state != ABSENT} == set(itertools.product(TYPES, ALGORITHMS))
    measured = [r for r in rows if r.state == MEASURED]
    assert [(r.dtype, r.scaling) for r in measured] == [
        ("f32", ""), ("bf16", ""), ("f16", ""), ("i32", BEST), ("i16", BEST), ("i16", HALF), ("i8", BEST)
    ]  # fmt: skip
    assert all(r.seconds and r.speedup and r.bytes and r.dataflow for r in measured)
    assert baseline(rows) == measured[0] and measured[0].speedup == 1.0
    (absent,) = [r for r in rows if r.state == ABSENT]
    assert (absent.target, absent.why) == ("cuda", "There is no GPU to be had here.")
    refused = {r.algorithm: r.why for r in rows if r.state == REFUSED and r.dtype == "i8"}
    assert refused["winograd 2"] == "Winograd's algorithm is for floating-point arithmetic."
    assert all(refused.values())


def test_errors_are_those_of_the_reference() -> None:
    """Integers have one result on every target, so that the row's figures follow from the reference alone."""
    spec, given = read(FLOATS)
    true = convjit.reference(spec, **given)
    row = next(r for r in rows_of(FLOATS) if r.dtype == "i8" and r.state == MEASURED)
    computed = dataclasses.replace(spec, compute=convjit.spec.conv.Compute("i8", (8.0, 16.0), "half_even"))
    gap = convjit.reference(computed, **given) - true
    assert row.nrmse == pytest.approx(float(np.sqrt(np.mean(gap**2)) / np.ptp(true)))
    assert row.max_error == pytest.approx(float(np.abs(gap).max()))
    assert row.exact == pytest.approx(float(np.mean(convjit.reference(computed, **given) == true.astype(np.float32))))
    assert (row.scale_x, row.scale_w) == (8.0, 16.0)
    assert row.bytes is not None and row.bytes >= sum(t.bytes or 0 for t in spec.tensors)


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("conv c { input x : u8[N=1, W=9, C=3]; weight w : i8[KW=2, OC=4, IC=3] }", "u8 x i8"),
        ("conv c { input x : i16[N=1, W=9, C=3]; weight w : i16[KW=2, OC=4, IC=3] }", "i16 x i16"),
        ("conv c { input x : f64[N=1, W=9, C=3]; weight w : f64[KW=2, OC=4, IC=3] }", "f64"),
        ("conv c { input x : u8[N=1, W=9, C=3] scale 0.1 zero 9; weight w : i8[KW=2, OC=4, IC=3] scale 0.1; "
         "output y : u8[N, OW, OC] scale 4 zero 128 }", "u8 x i8"),
    ],
)  # fmt: skip
def test_a_spec_on_other_tensors_has_its_own_type_and_f32(text: str, own: str) -> None:
    spec, _ = read(text)
    assert own_type(spec) == own
    rows = rows_of(text)
    assert {r.dtype for r in rows if r.state == MEASURED} == {"f32", own}
    assert all(r.nrmse is not None and r.nrmse < 0.05 for r in rows if r.state == MEASURED)
    why = next(r.why for r in rows if r.dtype == "i16" and r.algorithm == "direct")
    assert why == f"'compute i16' is for f32 tensors, and the input is {own}."


def test_integers_without_scales_are_exact() -> None:
    rows = rows_of("conv c { input x : u8[N=1, W=9, C=3]; weight w : i8[KW=2, OC=4, IC=3] }")
    own = next(r for r in rows if r.dtype == "u8 x i8" and r.state == MEASURED)
    assert (own.nrmse, own.max_error, own.exact) == (0.0, 0.0, 1.0)


def test_a_spec_that_computes_keeps_its_scales() -> None:
    rows = rows_of(FLOATS.replace("then relu", "compute i16 scale x 2^5, w 2^6 round toward_zero"))
    (own,) = [r for r in rows if r.dtype == "i16" and r.state == MEASURED]
    assert (own.scale_x, own.scale_w) == (32.0, 64.0)
    assert {r.dtype for r in rows if r.state == MEASURED} == set(TYPES)


def test_types_without_scales_are_refused() -> None:
    spec, given = read(FLOATS)
    rows = tradeoff(spec, given, {}, targets=ONLY_SCALAR, threads=1, seconds=60.0)
    why = {r.dtype: r.why for r in rows if r.state == REFUSED and r.algorithm == "direct"}
    assert set(why) == {"i32", "i16", "i8"}
    assert set(why.values()) == {"There are no scales for it: calibration found none."}


def test_a_schedule_that_does_not_fit_gives_way_and_the_row_says_so() -> None:
    lanes = FLOATS.replace("then relu", "dataflow { n oh ow [y] kh kw c oc/8 oc:simd }")
    rows = rows_of(lanes)
    (row,) = [r for r in rows if r.dtype == "f32" and r.state == MEASURED]
    assert row.why.startswith("The dataflow as written is refused: ")
    assert row.dataflow == "output_stationary"


def test_without_time_the_baseline_is_timed_and_the_rest_is_named() -> None:
    rows = rows_of(FLOATS, seconds=0.0)
    assert [r.dtype for r in rows if r.seconds is not None] == ["f32"]
    late = [r for r in rows if r.state == LEFT_OUT]
    assert {r.dtype for r in late} == set(TYPES) - {"f32"}
    assert all("time" in r.why for r in late)


def test_a_wrong_result_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = module.candidate

    def wrong(form: module.Form, *words: object) -> module.Candidate:
        found = whole(form, *words)  # type: ignore[arg-type]
        return dataclasses.replace(found, result=found.result + 1) if form.spec.compute is not None else found

    monkeypatch.setattr(module, "candidate", wrong)
    rows = rows_of(FLOATS)
    assert {r.dtype for r in rows if r.state == WRONG} == set(TYPES) - {"f32"}
    assert all(r.seconds is None and r.why.endswith("elements are not right.") for r in rows if r.state == WRONG)


def test_energy_is_asked_for_every_candidate() -> None:
    spec, given = read(FLOATS)
    rows = tradeoff(spec, given, SCALES, targets=ONLY_SCALAR, threads=1, seconds=60.0, energy=lambda name, found: float(found.packed + 1))
    assert all(r.picojoules and r.picojoules >= 1 for r in rows if r.state == MEASURED)


def test_the_front_is_what_nothing_beats() -> None:
    stream = np.random.default_rng(0)
    points = stream.integers(0, 6, (30, 2)).astype(float)
    rows = [Row("f32", "direct", str(i), nrmse=y, seconds=x) for i, (x, y) in enumerate(points)] + [Row("f32", "direct", "none")]
    front = pareto(rows, "seconds", "nrmse")
    for row in rows[:-1]:
        beaten = any(o.seconds <= row.seconds and o.nrmse <= row.nrmse and (o.seconds, o.nrmse) != (row.seconds, row.nrmse)
                     for o in rows[:-1])  # fmt: skip
        assert ((row.seconds, row.nrmse) in {(r.seconds, r.nrmse) for r in front}) == (not beaten)
    assert [r.seconds for r in front] == sorted(r.seconds for r in front)
    assert len({(r.seconds, r.nrmse) for r in front}) == len(front)


def test_hosts_name_what_is_absent_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_gpu() -> tuple[object, ...]:
        raise Unavailable.of("There is no GPU to be had here.")

    monkeypatch.setattr("convjit.study.hosts.cuda.devices", no_gpu)
    monkeypatch.setattr("convjit.targets.cuda.devices", no_gpu)
    monkeypatch.setattr("convjit.study.hosts.missing", lambda required: required if "avx512f" in required else ())
    found = hosts()
    assert [m.name for m in found.here] == ["cpu:scalar", "cpu:avx2", "cpu:avx2_vnni"]
    absent = dict(found.absent)
    assert absent["cuda"] == "There is no GPU to be had here."
    assert absent["cpu:avx512"].startswith("This machine cannot run cpu:avx512: it has no ")
    assert [m.name for m in hosts(["cpu:avx2"]).here] == ["cpu:scalar", "cpu:avx2"]


@pytest.mark.parametrize("dtype", ["f32", "i8"])
def test_a_gpu_adds_its_rows(dtype: str, driver: fake.Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a driver that interprets kernels; times are those of its events."""
    monkeypatch.setattr("convjit.study.candidate.LEAST", 1)
    monkeypatch.setattr("convjit.study.candidate.BATCH", 0.0)
    spec, given = read(FLOATS.replace("H=5, W=4", "H=3, W=4"))
    (variant,) = (v for v in variants(spec, given, SCALES) if v.form is not None and v.dtype == dtype)
    monkeypatch.setattr(module, "variants", lambda *words: (variant,))
    found = Hosts((machine.get(SCALAR), *hosts(["cuda"]).here[1:]), ())
    assert variant.form and [m.name for m in found.here] == [SCALAR, "cuda:sm_90a"]
    driver.add(Compilation(variant.form.spec, found.here[1]).kernels)
    there, here = sorted(tradeoff(spec, given, SCALES, targets=found, threads=1, seconds=60.0), key=lambda r: r.target == SCALAR)
    assert (there.target, there.threads, there.state) == ("cuda:sm_90a", 1, MEASURED)
    assert there.seconds and there.bytes and (there.speedup is None) == (dtype == "i8")
    assert there.nrmse == here.nrmse or dtype == "f32"


def test_what_a_gpu_cannot_do_is_refused(driver: fake.Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, given = read(FLOATS.replace("then relu", "compute bf16"))
    (variant,) = (v for v in variants(spec, given, SCALES) if v.form is not None and v.dtype == "bf16")
    monkeypatch.setattr(module, "variants", lambda *words: (variant,))
    rows = tradeoff(spec, given, SCALES, targets=hosts(["cuda"]), threads=1, seconds=60.0)
    (refused,) = [r for r in rows if r.state == REFUSED]
    assert refused.target == "cuda:sm_90a" and "not implemented" in refused.why


def test_joules_are_measured_where_there_is_a_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(call: Callable[[], object], seconds: float, kind: str) -> Joules:
        call()
        return Joules(0.5, 0.7, 1.0, 1, seconds, f"{kind}, idle-subtracted")

    monkeypatch.setattr(module, "why_not", lambda kind: "")
    monkeypatch.setattr(module, "measure", measured)
    rows = [r for r in rows_of(FLOATS) if r.state == MEASURED]
    assert rows and all(r.joules == 0.5 for r in rows)


@pytest.mark.isa("avx2", "fma")
def test_what_matters_most_is_made_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without time f32 is timed on the scalar CPU and on the best target, and nothing else."""
    spec, given = read(FLOATS)
    rows = tradeoff(spec, given, SCALES, targets=hosts(["cpu:avx2"]), threads=1, seconds=0.0)
    assert [(r.dtype, r.target) for r in rows if r.seconds is not None] == [("f32", SCALAR), ("f32", "cpu:avx2")]
    late = [(r.target, r.name) for r in rows if r.state == LEFT_OUT]
    assert [target for target, _ in late] == sorted((target for target, _ in late))  # the best target's come first
    assert len(late) == 2 * (len(TYPES) + 1) - 2
