"""A driver that needs no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from convjit.runtime import cuda
from tests.gpu import fake


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[fake.Driver]:
    """A fake driver with one H100, in place of the real one."""
    made = fake.Driver()

    def bindings(name: str) -> Any:
        assert name == "cuda.bindings.driver"
        return made

    monkeypatch.setattr(cuda, "import_module", bindings)
    fake.forget()
    yield made
    fake.forget()


@pytest.fixture(scope="session")
def torch() -> Any:
    """PyTorch, or the test is skipped."""
    return pytest.importorskip("torch")


@pytest.fixture(scope="session")
def cupy() -> Any:
    """CuPy, or the test is skipped."""
    return pytest.importorskip("cupy")
