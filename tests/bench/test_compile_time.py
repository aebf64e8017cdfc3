"""The measurements of importing and compiling run; how long it takes is no matter of a test."""

from __future__ import annotations

from pathlib import Path

from bench import compile_time, import_time


def test_a_process_that_imports() -> None:
    wall, processor = import_time.seconds("import convjit", {"PYTHONPATH": str(import_time.ROOT)})
    assert wall > 0 and processor > 0


def test_a_process_that_compiles(tmp_path: Path) -> None:
    pairs, lines = compile_time.times(compile_time.program(6, 8), "cpu:avx2", str(tmp_path))
    assert len(pairs) == 2 + compile_time.WARM and all(wall > 0 for wall, _ in pairs)
    assert len(lines) == 1 + compile_time.WARM
    found = compile_time.stages(lines)
    assert list(found) == ["schedule", "nest", "kernel", "llvm", "codegen", "load"]
    assert all(value >= 0 for value in found.values())
