"""Names of generated functions for perf."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convjit.runtime import perf
from convjit.runtime.assemble import assemble, load
from tests.runtime import kernels

TEXT = kernels.SCALE + kernels.PACK + "define internal void @hidden() noinline {\n  ret void\n}\n"


def test_functions_of_an_object() -> None:
    found = perf.functions(assemble(TEXT, kernels.TARGET))
    assert set(found) == {"scale", "pack"}
    assert all(size > 5 for size in found.values())


def test_a_loaded_kernel_is_written_into_the_map(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(f"/tmp/perf-{os.getpid()}.map")
    image = assemble(TEXT, kernels.TARGET)
    load(image, ["scale"])
    assert not path.exists()
    monkeypatch.setenv("CONVJIT_PERF_MAP", "1")
    try:
        library = load(image, ["scale"])
        sizes = perf.functions(image)
        lines = path.read_text().splitlines()
        assert lines == [f"{library.address(n):x} {sizes[n]:x} {n}" for n in ("scale", "pack")]
        load(image, ["scale"])
        assert len(path.read_text().splitlines()) == 4
    finally:
        path.unlink(missing_ok=True)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("")
    (tmp_path / f"perf-{os.getpid()}.map").symlink_to(target)
    with pytest.raises(OSError):
        perf.write_map({"f": 1}, {"f": 2}, tmp_path)
    assert target.read_text() == ""
