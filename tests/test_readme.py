"""The README's example gives the output that it shows, and its two commands are those that .ci/run checks."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from convjit import api
from convjit.cli.commands import COMMANDS
from convjit.cost.traffic import traffic
from convjit.pipeline import STAGES

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


DATAFLOWS = re.compile(r"(?<=<!-- dataflows -->\n).*?(?=<!-- /dataflows -->)", re.DOTALL)


def dataflows() -> str:
    """The table of the README: what a call under each dataflow reads and writes."""
    rows = ["| dataflow | loops | loads of x | loads of w | loads of y | stores of y |", "|---|---|---:|---:|---:|---:|"]
    for name, (spec, syntax) in api.read(ROOT / "examples" / "dataflows.conv").items():
        compilation = api.compilation(spec, syntax, "cpu:avx2")
        (phase,) = compilation.schedule.phases
        of = {t.tensor: t for t in traffic(compilation.nests[-1])}
        counts = [of["x"].loads, of["w"].loads, of["y"].loads, of["y"].stores]
        loops = " ".join(map(str, phase.items))
        rows.append(f"| `{name}` | `{loops}` | " + " | ".join(f"{n:,}" for n in counts) + " |")
    return "\n".join(rows) + "\n"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_examples_give_the_output_shown() -> None:
    """One after the other, as a reader would type them."""
    assert len(blocks("python")) == 2
    shared: dict[str, object] = {"__name__": "readme"}
    for number, example in enumerate(blocks("python"), 1):
        shown = README.split("```python")[number].split("```\n")[2]
        printed = io.StringIO()
        with redirect_stdout(printed):
            exec(compile(example, "README.md", "exec"), shared)
        assert printed.getvalue().strip() == shown.strip()


def test_ci_does_what_the_readme_says() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    commands = [command for block in blocks("sh") for command in block.strip().split(" && ")]
    assert len(commands) == 6
    for command in commands:
        words = command.replace(".venv/bin/", "").replace("pip install -q . ", "")
        if words.startswith(("convjit", "pytest", "pip install -q -e")):
            assert words.split(" ", 1)[1] in ci, command


def test_every_command_and_stage_is_named() -> None:
    for name in COMMANDS:
        assert f"convjit {name}" in README
    for stage in STAGES:
        assert f"`{stage.name}`" in README


def test_figures_name_their_commands() -> None:
    """A row with a figure of ours has the command that made it."""
    table = README.split("<!-- figures")[1].split("<!-- /figures -->")[0]
    rows = [line for line in table.splitlines() if line.startswith("| convjit")]
    assert rows
    for row in rows:
        assert re.search(r"\|[^|]*`[^`]+` \|$", row), row


def test_dataflows_are_counted(request: pytest.FixtureRequest) -> None:
    """Written anew with --update-golden, as golden texts are."""
    (shown,), counted = DATAFLOWS.findall(README), dataflows()
    if request.config.getoption("--update-golden"):
        (ROOT / "README.md").write_text(DATAFLOWS.sub(lambda _: counted, README), encoding="utf-8")
        return
    assert shown == counted, "the README's table is old; write it anew with --update-golden"
    assert len(set(counted.splitlines())) == 2 + 4
