"""What the documentation shows is run: schedules compile and are right, settings are all there, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import convjit
from convjit.settings import all_settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

PROGRAM = """
conv example {
    input  x : f32[N=2, H=16, W=14, C=8]
    weight w : f32[OC=64, KH=3, KW=3, IC=8]
    dataflow {
SCHEDULE
    }
}
"""


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page that are marked with a language."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


SCHEDULES = blocks("docs/schedule.md", "schedule")


@pytest.mark.parametrize("schedule", SCHEDULES, ids=[text.split("\n")[0] for text in SCHEDULES])
@pytest.mark.parametrize("target", ["cpu:scalar", pytest.param("cpu:avx2", marks=pytest.mark.isa("avx2", "fma"))])
def test_schedules_are_right(schedule: str, target: str) -> None:
    if target == "cpu:scalar":
        schedule = schedule.replace("oc/8:unroll oc:simd", "oc:unroll").replace(":simd", ":unroll")
    kernel = convjit.compile(PROGRAM.replace("SCHEDULE", schedule), target)
    stream = np.random.default_rng(0)
    x = stream.integers(-4, 5, (2, 16, 14, 8)).astype(np.float32)
    w = stream.integers(-4, 5, (64, 3, 3, 8)).astype(np.float32)
    assert np.array_equal(kernel(x, w), convjit.reference(kernel.spec, x, w))


def test_the_page_has_schedules() -> None:
    assert len(SCHEDULES) >= 5


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(CONVJIT_\w+)` \| (.*) \|$", text, re.MULTILINE))
    assert listed == {setting.variable: setting.meaning for setting in all_settings()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:tests|examples|docs|grammars|bench|convjit)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    for name in named:
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_the_folders_of_the_house_are_those_of_the_page() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    folders = {path.name for path in (ROOT / "convjit").iterdir() if (path / "__init__.py").exists()}
    assert folders <= set(re.findall(r"`(\w+)/`", text))
