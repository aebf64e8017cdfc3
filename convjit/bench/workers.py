"""The processes that measure, seen from the one that tells them what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any

from convjit.bench.request import Answer

ROOT = Path(__file__).parents[2]
PATIENCE = 180.0
"""Seconds until an answer is given up, and its process ended."""

LIMITS = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "FBGEMM_ENABLE_INSTRUCTIONS")
"""What keeps a library to an instruction set: oneDNN's limit (PyTorch's and OpenVINO's), that of PyTorch's own kernels, and
that of FBGEMM, one of PyTorch's engines for 8 bits (its src/Utils.cc)."""

ISA: dict[str, dict[str, str]] = {
    name: dict(zip(LIMITS, limits, strict=False))
    for name, limits in {
        "avx2": ("AVX2", "avx2", "AVX2"),
        "avx2_vnni": ("AVX2_VNNI", "avx2", "AVX2"),
        "avx512": ("AVX512_CORE", "avx512", "AVX512"),
        "avx512_vnni": ("AVX512_CORE_VNNI", "avx512", "AVX512_E1"),
        "best": (),
    }.items()
}
"""The values of `LIMITS` for each of ours."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Failed(Exception):
    """A request had no value. `died`: nor has its process any more."""

    def __init__(self, problem: str, died: bool = False) -> None:
        super().__init__(problem)
        self.died = died


class Remote:
    """A worker in a process of its own, pinned, which is started when it is first asked, and again after it died.

    `nice` is its priority as Unix has it: from 19, the least, to -20 (below 0 needs the privilege).
    """

    def __init__(self, library: str, processors: Sequence[int], isa: str, nice: int = 0) -> None:
        self.library, self.processors, self.isa, self.nice = library, tuple(processors), isa, nice
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection[Any, Any] | None = None
        self._log: IO[bytes] | None = None

    def ask(self, method: str, *arguments: object, patience: float = PATIENCE) -> Any:
        """The value of a request. `Failed` where it has none."""
        connection = self._connection or self._start()
        try:
            connection.send((method, *arguments))
            if not connection.poll(patience):
                raise self._dead(f"no answer within {patience:.0f} s")
            answer: Answer = connection.recv()
        except (EOFError, OSError):
            raise self._dead("its process ended") from None
        if answer.problem:
            raise Failed(answer.problem)
        return answer.value

    def close(self) -> None:
        """End the process."""
        if self._connection:
            self._connection.close()
        if self._process:
            try:
                self._process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._log:
            self._log.close()
        self._process = self._connection = self._log = None

    def _start(self) -> Connection[Any, Any]:
        here, there = Pipe()
        numbers = ",".join(map(str, self.processors))
        words = [str(there.fileno()), self.library, numbers, str(self.nice)]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "convjit.bench.worker", *words],
            pass_fds=[there.fileno()],
            env=environment(self.isa, len(self.processors)),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        there.close()
        self._connection = here
        return here

    def _dead(self, what: str) -> Failed:
        said = self._last_line()
        self.close()
        return Failed(f"{what}: {said}" if said else what, died=True)

    def _last_line(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""


def environment(isa: str, threads: int, base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """That of a worker: this one's, the limit of instructions, as many threads as it has processors, our package."""
    kept = {name: value for name, value in base.items() if name not in LIMITS}
    path = os.pathsep.join(p for p in (str(ROOT), base.get("PYTHONPATH", "")) if p)
    return {**kept, **ISA[isa], **dict.fromkeys(THREADS, str(threads)), "PYTHONPATH": path}
