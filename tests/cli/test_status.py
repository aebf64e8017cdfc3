"""Everything that can go wrong becomes a status and a few lines, never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from convjit.cli import explain as explain_command
from convjit.cli import main
from convjit.cli.status import ABSENT, BUG, DONE, INPUT, WRONG, worst
from convjit.errors import InternalError
from tests.cli.helpers import SMALL, CommandLine

MODULE = [sys.executable, "-m", "convjit"]
PACKAGE = Path(__file__).parents[2]


def child(*words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m convjit` in a process of its own."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGE), **environment}
    return subprocess.run([*MODULE, *words], capture_output=True, text=True, cwd=cwd, env=env, check=False)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
    """Makes `explain` raise what is put into the list."""

    class Raised(Exception):
        error: BaseException = RuntimeError("boom")

    def explain(*_: object) -> str:
        raise Raised.error

    monkeypatch.setattr(explain_command, "explain", explain)
    return Raised


def test_our_bug_is_70_and_asks_for_a_report(convjit: CommandLine, broken: type) -> None:
    broken.error = InternalError("something that cannot be")
    path = convjit.file(SMALL, "a b.conv")
    outcome = convjit("explain", path)
    assert outcome.status == 70
    first, note, hint = outcome.err.splitlines()
    assert first.startswith("error: This is a bug in convjit, not in your program: InternalError at explain.py:")
    assert first.endswith(": something that cannot be")
    assert note == f"  note: The command was: convjit explain '{path}'"
    assert hint == "  hint: Please report it with that command and its files; CONVJIT_DEBUG=1 shows where it was met."


@pytest.mark.parametrize("error", [RuntimeError(), RecursionError("too deep"), AssertionError(), KeyError("x"), OSError(5, "x")])
def test_any_other_exception_is_our_bug(convjit: CommandLine, broken: type, error: Exception) -> None:
    broken.error = error
    outcome = convjit("explain", convjit.file(SMALL))
    assert outcome.status == 70
    assert f"not in your program: {type(error).__name__} at " in outcome.err


def test_debug_shows_the_traceback(
    convjit: CommandLine, broken: type, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken.error = InternalError("deep inside")
    path = str(convjit.file(SMALL))
    monkeypatch.setenv("CONVJIT_DEBUG", "1")
    assert main(["explain", path]) == 70
    assert "Traceback (most recent call last):" in capsys.readouterr().err
    monkeypatch.setenv("CONVJIT_DEBUG", "perhaps")  # what cannot be read must not hide the bug
    assert convjit("explain", path).status == 70


def test_no_memory_is_the_input_s_fault(convjit: CommandLine, broken: type) -> None:
    broken.error = MemoryError("Unable to allocate 2 TiB")
    outcome = convjit("explain", convjit.file(SMALL))
    assert (outcome.status, outcome.err) == (2, "error: There is not enough memory: Unable to allocate 2 TiB\n")


def test_an_interrupt_is_130(convjit: CommandLine, broken: type) -> None:
    broken.error = KeyboardInterrupt()
    outcome = convjit("explain", convjit.file(SMALL))
    assert (outcome.status, outcome.out, outcome.err) == (130, "", "convjit: interrupted\n")


def test_a_setting_that_cannot_be_read(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVJIT_THREADS", "many")
    outcome = convjit("run", convjit.file(SMALL))
    assert outcome.status == 2
    assert outcome.err.startswith("error: The environment variable CONVJIT_THREADS is 'many': it must be ")


def test_the_gravest_status_wins() -> None:
    assert worst([]) == DONE
    assert worst([DONE, ABSENT, INPUT]) == INPUT
    assert worst([ABSENT, WRONG, INPUT]) == WRONG
    assert worst([BUG, WRONG]) == BUG


def test_the_module_is_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.conv").write_text(SMALL)
    done = child("dump", "a.conv", "--stage", "spec", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("conv small {")
    wrong = child("dump", "b.conv", "--stage", "spec", cwd=tmp_path)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: There is no file 'b.conv'.")


def test_a_reader_that_goes_away(tmp_path: Path) -> None:
    (tmp_path / "a.conv").write_text(SMALL)
    words = " ".join([*MODULE, "dump", "a.conv", "--stage", "llvm"])
    shell = f"({words}; echo $? >&2) | true"
    env = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, cwd=tmp_path, env=env, check=False)
    assert done.stderr in ("141\n", "0\n")  # 0 where all was written before the reader left


def test_a_terminal_without_unicode(tmp_path: Path) -> None:
    (tmp_path / "a.conv").write_text("conv größe {}\n", encoding="utf-8")
    done = child("dump", "a.conv", "--stage", "spec", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert "gr??e" in done.stderr


def test_control_c_while_it_works(tmp_path: Path) -> None:
    text = SMALL.replace("H=5", "H=1500").replace("W=6", "W=1500").replace("OC=4", "OC=64")
    (tmp_path / "a.conv").write_text(text)
    cache = tmp_path / "cache"
    env = {**os.environ, "PYTHONPATH": str(PACKAGE), "CONVJIT_CACHE_DIR": str(cache)}
    started = subprocess.Popen(
        [*MODULE, "run", "a.conv"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # ignored where tests run in the background
    )  # fmt: skip
    while started.poll() is None and not list(cache.glob("*.obj")):
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=120)
    assert (started.returncode, out, err) == (130, "", "convjit: interrupted\n")
