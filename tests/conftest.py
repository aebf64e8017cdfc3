"""Marks, golden texts, a cache of its own.

`isa("avx512f", …)` skips where the processor lacks a flag of /proc/cpuinfo, `gpu` where no GPU can be used, `sweep` is
long and runs only when asked for with `-m sweep`. `--update-golden` writes golden texts anew; a missing one fails.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden texts anew")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "isa(*flags): needs these processor flags")
    config.addinivalue_line("markers", "gpu: needs an NVIDIA GPU")
    config.addinivalue_line("markers", "sweep: long, runs only with -m sweep")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "sweep" not in str(config.getoption("-m")):
        long = [item for item in items if item.get_closest_marker("sweep")]
        items[:] = [item for item in items if not item.get_closest_marker("sweep")]
        config.hook.pytest_deselected(items=long)
    for item in items:
        missing = [f for mark in item.iter_markers("isa") for f in mark.args if f not in processor_flags()]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"the processor has no {' '.join(missing)}"))
        if item.get_closest_marker("gpu") and not has_driver():
            item.add_marker(pytest.mark.skip(reason="there is no GPU"))


@lru_cache(maxsize=1)
def has_driver() -> bool:
    """Whether NVIDIA's driver can be loaded."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def processor_flags() -> frozenset[str]:
    """The flags of /proc/cpuinfo."""
    path = Path("/proc/cpuinfo")
    found = re.search(r"^flags\s*:(.*)$", path.read_text() if path.exists() else "", re.MULTILINE)
    return frozenset(found[1].split() if found else ())


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or fills the user's cache of compiled objects."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONVJIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """`golden(name, text)` compares with the file `golden/NAME` beside the test."""
    folder = Path(str(request.node.path)).parent / "golden"

    def check(name: str, text: str) -> None:
        path = folder / name
        if request.config.getoption("--update-golden"):
            folder.mkdir(exist_ok=True)
            path.write_text(text.rstrip("\n") + "\n")
        assert path.exists(), f"no golden text {path}; write it with --update-golden"
        assert text.rstrip("\n") + "\n" == path.read_text()

    return check
