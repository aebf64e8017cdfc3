"""The wheel has all that is needed: it is built, installed elsewhere, and used from another folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import convjit

ROOT = Path(__file__).parents[1]
NEEDED = ("convjit", "grammars", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def run(*words: str | Path, cwd: Path, **environment: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, without asking the network for anything."""
    pytest.importorskip("setuptools", minversion="77")
    folder = tmp_path_factory.mktemp("wheel")
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / "source" / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder]
    run(*pip, folder / "source", cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the wheel is installed into."""
    folder = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, wheel, cwd=folder)
    return folder


def test_every_module_and_grammar_is_in_the_wheel(wheel: Path) -> None:
    there = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "convjit").rglob("*.py")}
    grammars = {f"convjit/grammars/{path.name}" for path in (ROOT / "grammars").iterdir() if path.is_file()}
    assets = {str(p.relative_to(ROOT)) for ending in ("css", "js") for p in (ROOT / "convjit").rglob(f"*.{ending}")}
    assert assets and modules | grammars | assets | {"convjit/py.typed"} <= there
    assert not [name for name in there if name.startswith(("tests", "examples"))]


def test_the_installed_package_runs_from_another_folder(site: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "custom_schedule.conv", tmp_path / "a.conv")
    where = "import convjit; print(convjit.__file__, convjit.__version__)"
    path, version = run(sys.executable, "-c", where, cwd=tmp_path, PYTHONPATH=str(site)).split()
    assert Path(path).is_relative_to(site)
    assert version == convjit.__version__
    words = ["dump", "a.conv", "--stage", "nest"]
    printed = run(sys.executable, "-m", "convjit", *words, cwd=tmp_path, PYTHONPATH=str(site))
    assert "nest custom" in printed
    assert run(sys.executable, site / "bin" / "convjit", *words, cwd=tmp_path, PYTHONPATH=str(site)) == printed


def test_the_installed_package_runs_a_convolution(site: Path, tmp_path: Path) -> None:
    text = "conv c { input x : f32[N=1, W=9, C=4]; weight w : f32[KW=3, OC=8, IC=4] }"
    (tmp_path / "a.conv").write_text(text)
    cache = str(tmp_path / "cache")
    printed = run(sys.executable, "-m", "convjit", "run", "a.conv", cwd=tmp_path, PYTHONPATH=str(site), CONVJIT_CACHE_DIR=cache)
    assert ": right" in printed


def test_what_makes_code_is_loaded_when_used(site: Path, tmp_path: Path) -> None:
    """`import convjit` loads the front alone; every name is there all the same."""
    text = (
        "import sys; import convjit; loaded = set(sys.modules)\n"
        "assert not {'llvmlite', 'click', 'rich', 'cuda', 'convjit.pipeline', 'convjit.kernel'} & loaded, loaded\n"
        "assert set(convjit.__all__) <= set(dir(convjit))\n"
        "for name in convjit.__all__: getattr(convjit, name)\n"
    )
    run(sys.executable, "-c", text, cwd=tmp_path, PYTHONPATH=str(site))


def test_an_unknown_name_of_the_package() -> None:
    with pytest.raises(AttributeError, match="^module 'convjit' has no attribute 'compiel'$"):
        convjit.compiel  # noqa: B018
