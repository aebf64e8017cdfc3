"""The study as a whole: its parts in order, what becomes of one that fails, and every file of a tiny one."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convjit import api, machine
from convjit.cli import data
from convjit.errors import ConvError, Unavailable
from convjit.study import study as module
from convjit.study.clock import Clock
from convjit.study.hosts import SCALAR, Hosts
from convjit.study.page import Section, Text
from convjit.study.part import Found, NotApplicable, Part, Shown, Subject, Tell
from convjit.study.parts import PARTS
from convjit.study.sheet import Sheet
from convjit.study.study import PAGE, study
from tests.study.html_page import read

TEXT = "conv tiny { input x : f32[N=1, H=5, W=4, C=3]; weight w : f32[KH=3, KW=3, OC=5, IC=3]; pad same }"
HOSTS = Hosts((machine.get(SCALAR),), (("cuda", "There is no GPU to be had here."),))


def subject(text: str = TEXT, seconds: float = 60.0) -> Subject:
    ((spec, _),) = api.read(text).values()
    given = {t.name: data.make(spec, t, 0) for t in spec.arguments}
    notes = dict.fromkeys(given, "made, seed 0")
    return Subject(spec, given, notes, HOSTS, text, "convjit study a.conv -o out", threads=1, seconds=seconds)


@dataclasses.dataclass(frozen=True)
class Number:
    value: int


def part(title: str, compute: Callable[..., Any], share: float = 1.0) -> Part:
    def show(subject: Subject, found: Found, result: Number) -> Shown:
        sheet = Sheet.of(Number, [result])
        return Shown(Section(title, (Text(f"It is {result.value}."),)), {title: sheet}, summary=(f"{title} {result.value}",))

    return Part(title, share, compute, show)


def one(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Number:
    return Number(1)


def more(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Number:
    before = found.of(Number)
    return Number(before.value + 1 if before else -1)


def nothing(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Number:
    raise NotApplicable("there is nothing to count.")


def broken(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Number:
    raise KeyError("lost")


def test_parts_see_the_results_before_them_and_failures_stop_nobody(tmp_path: Path) -> None:
    parts = [part("one", one), part("broken", broken), part("nothing", nothing), part("more", more)]
    heard: list[str] = []
    outcomes = study(subject(), tmp_path / "a" / "b", heard.append, parts)
    assert [bool(o.shown) for o in outcomes] == [True, False, False, True]
    assert isinstance(outcomes[1].error, KeyError) and outcomes[2].why == "there is nothing to count."
    assert (tmp_path / "a/b/more.csv").read_text() == "value\n2\n"
    assert sorted(p.name for p in (tmp_path / "a/b").iterdir()) == ["more.csv", "one.csv", PAGE]
    text = (tmp_path / "a/b" / PAGE).read_text()
    assert "This part failed: &#x27;lost&#x27;" in text and "This part does not apply: there is nothing to count." in text
    assert "broken: this part failed." in text and "It is 2." in text
    assert heard == ["one", "broken", "nothing", "more", "the page"]


def test_time_that_a_part_leaves_goes_to_those_after_it(tmp_path: Path) -> None:
    seen: list[float] = []

    def note(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Number:
        seen.append(clock.seconds)
        return Number(0)

    study(subject(seconds=100.0), tmp_path, parts=[part("a", note), part("b", note, 3.0)])
    assert seen == [pytest.approx(25.0, abs=1.0), pytest.approx(100.0, abs=5.0)]


def test_a_folder_keeps_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / PAGE).write_text("old")
    study(subject(), tmp_path, parts=[part("one", one)])
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert "It is 1." in (tmp_path / PAGE).read_text()


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_a_folder_that_cannot_be_written_to(tmp_path: Path, inside: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConvError) as error:
        study(subject(), tmp_path / "file" / inside, parts=[part("one", one)])
    first, hint = str(error.value).splitlines()
    assert first.startswith(f"error: The folder '{tmp_path / 'file' / inside}' cannot be written to: ")
    assert hint == "  hint: Give another one: -o DIR."


def test_without_matplotlib_it_says_so_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise Unavailable.of("Plots need matplotlib.", hint="`pip install convjit[plot]` brings it.")

    monkeypatch.setattr(module, "new", absent)
    with pytest.raises(Unavailable, match="Plots need matplotlib"):
        study(subject(), tmp_path, parts=[part("broken", broken)])


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bursts of a few calls, and drawings that are not rendered: they are looked at elsewhere."""

    def save(self: Any, file: Any, **words: Any) -> None:
        empty = '<svg xmlns="http://www.w3.org/2000/svg" width="9pt" height="9pt" viewBox="0 0 9 9"></svg>'
        file.write(empty if words["format"] == "svg" else empty.encode())

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", save)
    monkeypatch.setattr("convjit.study.turns.BURST", 0.0)
    monkeypatch.setattr("convjit.study.turns.ROUNDS", 1)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[module.Outcome, ...]]:
    """A whole study, with bursts of a few calls and a roofline that measures nothing."""
    from convjit.runtime.peak import Peak
    from convjit.study import roofline, turns

    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(turns, "BURST", 0.0)
        patch.setattr(turns, "ROUNDS", 1)
        patch.setattr(roofline, "peak", lambda *words: Peak(1e9, "measured with nothing"))
        patch.setattr(roofline, "bandwidths", lambda *words: {"L2": 4e9, "memory": 1e9})
        return folder, study(subject(), folder)


def test_every_part_of_a_tiny_study_has_a_section(tiny: tuple[Path, tuple[module.Outcome, ...]]) -> None:
    folder, outcomes = tiny
    assert [str(o.error) for o in outcomes if o.error] == []
    page = read((folder / PAGE).read_text())
    text = page.text()
    headings = [h for h in ("Summary", *(p.title for p in PARTS), "Time")]
    assert [h for h in headings if h not in text] == []
    assert page.problems == []
    assert "There is no GPU to be had here." in text and "modelled" in text and "measured" in text
    assert "Nothing was left out for lack of time." in text


def test_the_tables_are_the_results(tiny: tuple[Path, tuple[module.Outcome, ...]]) -> None:
    folder, outcomes = tiny
    sheets = {name: sheet for o in outcomes if o.shown for name, sheet in o.shown.sheets.items()}
    wanted = {"tensors", "machine", "v_curve", "calibration", "tradeoff", "energy", "traffic", "dataflows", "roofline"}
    assert set(sheets) == wanted | {"sparsity", "sparse", "conclusions"}
    for name, sheet in sheets.items():
        with (folder / f"{name}.csv").open(newline="") as file:
            header, *rows = csv.reader(file)
        assert tuple(header) == sheet.header
        assert rows == [["" if v is None else str(v) for v in row] for row in sheet.rows], name
        assert rows


def test_programs_and_drawings_lie_beside_the_page(tiny: tuple[Path, tuple[module.Outcome, ...]]) -> None:
    folder, _ = tiny
    for name in ("f32", "bf16", "f16", "i32", "i16", "i16_half", "i8", "i8_half"):
        ((spec, _),) = api.read(folder / f"{name}.conv").values()
        assert spec.name == "tiny" and (spec.compute.dtype if spec.compute else "f32") == name.split("_")[0]
    drawings = sorted(folder.glob("*.png"))
    assert {p.stem for p in drawings} >= {"tradeoff_all", "tradeoff_scalar", "tradeoff_energy", "v_curve_own", "roofline"}
    assert all(p.read_bytes().startswith(b"\x89PNG") for p in drawings)
    assert not [p.name for p in folder.iterdir() if p.name.startswith(".")]


def test_the_scales_of_the_rows_are_the_best_of_the_curves(tiny: tuple[Path, tuple[module.Outcome, ...]]) -> None:
    folder, _ = tiny
    with (folder / "v_curve.csv").open() as file:
        points = [row for row in csv.DictReader(file) if (row["kind"], row["dtype"]) == ("own", "i8")]
    with (folder / "tradeoff.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["dtype"] == "i8" and row["state"] == "measured"]
    best = min(points, key=lambda row: float(row["nrmse"]))
    assert {(r["scaling"], float(r["scale_x"])) for r in rows} == {
        ("best", float(best["scale_x"])), ("half", float(best["scale_x"]) / 2)
    }  # fmt: skip
    row = next(r for r in rows if r["scaling"] == "best")
    assert float(row["nrmse"]) == pytest.approx(float(best["nrmse"]), rel=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        "conv c { input x : u8[N=1, W=9, C=3] scale 0.1 zero 9; weight w : i8[KW=2, OC=4, IC=3] scale 0.1; "
        "output y : u8[N, OW, OC] scale 4 zero 128 }",
        "conv c { input x : i16[N=1, D=3, H=4, W=5, C=2]; weight w : i16[KD=2, KH=2, KW=2, OC=3, IC=2] }",
    ],
)
def test_of_integers_some_parts_do_not_apply_and_say_why(text: str, tmp_path: Path, undrawn: None) -> None:
    chosen = [p for p in PARTS if p.title.startswith(("Calibration", "Trade-off", "Zeros", "The report"))]
    outcomes = study(subject(text), tmp_path, parts=chosen)
    assert [o.error for o in outcomes if o.error] == []
    assert [bool(o.why) for o in outcomes] == [True, False, True, False]
    assert outcomes[0].why.startswith("the tensors of 'c' are integers already")


@pytest.mark.parametrize(
    "text",
    [
        "conv c { input x : f32[N=2, C=4, W=9]; weight w : f32[OC=4, IC=1, KW=3]; groups 4; pad 1; then relu }",
        "conv c { input x : f32[N=1, H=4, W=5, C=4]; weight w : f32[OC=6, KH=2, KW=1, IC=4]; compute i8 scale auto }",
        "conv c { input x : bf16[N=1, H=4, W=5, C=4]; weight w : bf16[OC=6, KH=1, KW=1, IC=2]; groups 2; stride 2 }",
    ],
)
def test_groups_depthwise_and_other_shapes(text: str, tmp_path: Path, undrawn: None) -> None:
    chosen = [p for p in PARTS if not p.title.startswith("Roofline")]
    outcomes = study(subject(text), tmp_path, parts=chosen)
    assert [(o.part.title, o.error) for o in outcomes if o.error] == []
    assert [o.part.title for o in outcomes if o.why] == []


def test_without_time_there_is_still_a_page_that_says_what_is_missing(tmp_path: Path, undrawn: None) -> None:
    chosen = [p for p in PARTS if not p.title.startswith("Roofline")]
    outcomes = study(subject(seconds=0.0), tmp_path, parts=chosen)
    assert [o.error for o in outcomes if o.error] == []
    assert "Left out, because the time did not suffice" in (tmp_path / PAGE).read_text()
    assert sum(len(o.shown.left_out) for o in outcomes if o.shown) > 10
    assert np.isfinite(sum(o.seconds for o in outcomes))
