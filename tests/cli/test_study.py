"""`convjit study`: options, several blocks, files, statuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convjit.cli import study as command
from convjit.errors import ConvError, Unavailable
from convjit.study import study as module
from convjit.study.clock import Clock
from convjit.study.page import Section, Text
from convjit.study.part import Found, NotApplicable, Part, Shown, Subject, Tell
from tests.cli.helpers import OPEN, SMALL, CommandLine

SEEN: list[Subject] = []


@dataclasses.dataclass(frozen=True)
class Nothing:
    """A result."""


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Nothing:
    SEEN.append(subject)
    return Nothing()


def show(subject: Subject, found: Found, result: Nothing) -> Shown:
    return Shown(Section("Nothing", (Text("Nothing."),)), summary=("found nothing",), left_out=("much",))


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """The parts of a study, one that does nothing; a test may add others."""
    SEEN.clear()
    chosen = [Part("Nothing", 1.0, compute, show)]

    def study(subject: Subject, folder: Path, tell: Tell) -> tuple[module.Outcome, ...]:
        return module.study(subject, folder, tell, chosen)

    monkeypatch.setattr(command, "study", study)
    return chosen


def failing(error: Exception) -> Part:
    def fail(*words: Any) -> Nothing:
        raise error

    return Part("Failing", 1.0, fail, show)


def test_the_page_and_a_summary(convjit: CommandLine, parts: list[Part]) -> None:
    outcome = convjit("study", convjit.file(SMALL), "-o", "out", "--quick", "--date", "a day")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines() == [
        "small: out/report.html", "  found nothing", "  1 left out for lack of time (--seconds); the page lists them"
    ]  # fmt: skip
    assert (convjit.folder / "out" / "report.html").exists()
    (subject,) = SEEN
    assert subject.command == f"convjit study {convjit.folder / 'a.conv'} -o out --date 'a day' --quick"
    assert (subject.seconds, subject.date, subject.threads) == (30.0, "a day", None)
    assert subject.text.startswith("conv small {") and subject.notes == {"x": "made, seed 0", "w": "made, seed 0"}


def test_arrays_sizes_and_targets_are_given_as_to_run(convjit: CommandLine, parts: list[Part]) -> None:
    x = np.ones((2, 7, 6, 3), np.float32)
    np.save("x.npy", x)
    words = ["--input", "x.npy", "--size", "H=7", "--seed", 3, "--target", "cpu:scalar", "--threads", 1, "--seconds", 9]
    outcome = convjit("study", convjit.file(OPEN), "-o", "out", *words, "--ratio", 20)
    assert outcome.status == 0, outcome.err
    (subject,) = SEEN
    assert subject.spec.input.sizes == (2, 7, 6, 3) and np.array_equal(subject.given["x"], x)
    assert subject.notes["x"] == "from x.npy" and subject.notes["w"] == "made, seed 3"
    assert [m.name for m in subject.hosts.here] == ["cpu:scalar"]
    assert subject.data_words == ("--size", "H=7", "--input", "x.npy", "--seed", "3")
    assert subject.command.endswith("--seed 3 --target cpu:scalar --threads 1 --seconds 9 --ratio 20")
    assert (subject.threads, subject.seconds, subject.ratio) == (1, 9.0, 20.0)


def test_several_blocks_have_a_folder_each(convjit: CommandLine, parts: list[Part]) -> None:
    path = convjit.file(SMALL + SMALL.replace("small", "second"))
    outcome = convjit("study", path, "-o", "out")
    assert outcome.status == 0
    assert "small: out/small/report.html" in outcome.out and "second: out/second/report.html" in outcome.out
    assert convjit("study", path, "-o", "one", "--block", "second").status == 0
    assert (convjit.folder / "one" / "report.html").exists()


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (KeyError("lost"), 70, "error: This is a bug in convjit, not in your program: KeyError at "),
        (ConvError.of("It cannot be."), 2, "error: It cannot be.\n"),
        (Unavailable.of("It is not here."), 3, "error: It is not here.\n"),
    ],
)  # fmt: skip
def test_a_part_that_fails(convjit: CommandLine, parts: list[Part], error: Exception, status: int, text: str) -> None:
    parts.insert(0, failing(error))
    outcome = convjit("study", convjit.file(SMALL), "-o", "out")
    assert outcome.status == status
    assert outcome.err.startswith(text)
    assert "  Failing FAILED\n" in outcome.out and "  found nothing\n" in outcome.out
    assert "This part failed" in (convjit.folder / "out" / "report.html").read_text()
    if status == 70:
        assert "(part '" in outcome.err and "Failing" in outcome.err


def test_a_part_that_does_not_apply_is_no_failure(convjit: CommandLine, parts: list[Part]) -> None:
    parts.append(failing(NotApplicable("there is no need.")))
    outcome = convjit("study", convjit.file(SMALL), "-o", "out")
    assert (outcome.status, outcome.err) == (0, "")
    assert "  Failing does not apply: there is no need.\n" in outcome.out


def test_a_wrong_result_is_status_1(convjit: CommandLine, parts: list[Part]) -> None:
    wrong = dataclasses.replace(parts[0], show=lambda *words: dataclasses.replace(show(*words), wrong=2))
    parts[:] = [wrong]
    assert convjit("study", convjit.file(SMALL), "-o", "out").status == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "out", "--target", "cpu:avx3"], "error: Unknown target 'cpu:avx3'.\n"),
        (["-o", "out", "--block", "smal"], "error: '"),
        (["-o", "out", "--size", "H=4"], "error: '--size H=4' is for an axis that is open, and 'H' is not.\n"),
        (["-o", "out", "--tensor", "q=a.npy"], "error: --tensor q=a.npy: there is no tensor 'q' that takes data.\n"),
        (["-o", "out", "--input", "no.npy"], "error: The array 'no.npy' cannot be read: No such file or directory.\n"),
        (["-o", "out", "--seconds", "-1"], "error: Invalid value for '--seconds': -1.0 is not in the range x>=0.0.\n"),
        (["-o", "out", "--ratio", "0"], "error: Invalid value for '--ratio': 0.0 is not in the range x>0.0.\n"),
        (["-o", "a.conv"], "error: The folder 'a.conv' cannot be written to: it is a file.\n  hint: Give another one: -o DIR.\n"),
        ([], "error: Missing option '-o' / '--out'.\n"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_and_nothing_is_written(
    convjit: CommandLine, parts: list[Part], words: list[str], message: str
) -> None:
    outcome = convjit("study", convjit.file(SMALL), *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(message)
    assert not (convjit.folder / "out").exists() and SEEN == []


def test_progress_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with command.progress("a") as tell:
        tell("working")
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with command.progress("a") as tell:
        tell("working")
    out, err = capsys.readouterr()
    assert out == "" and "a: working" in err


def test_what_has_no_kernels_is_not_studied(convjit: CommandLine, parts: list[Part]) -> None:
    path = convjit.file(SMALL.replace("conv small", "conv small transposed").replace("pad same", ""))
    outcome = convjit("study", path, "-o", "out")
    assert (outcome.status, outcome.out) == (3, "")
    assert "A transposed convolution is not implemented yet." in outcome.err


@pytest.mark.parametrize("clause", ["compute i8 scale auto", "algorithm winograd 2"])
def test_scales_and_algorithms_are_left_to_the_study(convjit: CommandLine, parts: list[Part], clause: str) -> None:
    path = convjit.file(SMALL.replace("pad same", f"pad same\n    {clause}"))
    assert convjit("study", path, "-o", "out").status == 0
