"""A process that has one library loaded, and calls it when it is told to.

    python -m convjit.bench.worker FD LIBRARY PROCESSORS NICE

It answers requests that come through a connection (file descriptor FD), one at a time, and is otherwise quiet: of all
workers only one computes. What a library needs in its environment was put there by whoever started the process.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from convjit import api, machine
from convjit.bench.candidate import Array, Builder, Candidate
from convjit.bench.libraries import LIBRARIES, preparing
from convjit.bench.peak import FLOATS, Types, highest
from convjit.bench.pinning import release, spread
from convjit.bench.request import Answer, Job
from convjit.errors import ConvError
from convjit.runtime.bandwidth import bandwidths
from convjit.runtime.burst import Burst, burst


class Worker:
    """The requests, as methods."""

    def __init__(self, library: str, processors: Sequence[int]) -> None:
        self.library = library
        self.processors = processors
        self.candidates: dict[str, Candidate] = {}
        self.folder = Path()

    def versions(self) -> str:
        """The library's version."""
        return str(LIBRARIES[self.library].versions())

    def prepare(self, job: Job) -> Mapping[str, tuple[bool, str]]:
        """Make all candidates: for each whether it is blocked, and what prevented it ("" where nothing did)."""
        release(self.processors)  # a library counts those that it may use
        self.candidates, self.folder = {}, Path(job.folder)
        ((spec, _),) = api.read(job.program).values()
        given = {t.name: np.load(self.folder / f"{t.name}.npy") for t in spec.arguments}
        library = preparing(self.library, spec)
        builders: dict[str, Builder] = library.builders(spec, given, job.variants or job.threads)
        problems = {name: self._make(name, builder) for name, builder in builders.items()}
        made = self.candidates
        return {name: (name in made and made[name].blocked, problem) for name, problem in problems.items()}

    def _make(self, name: str, builder: Builder) -> str:
        try:
            self.candidates[name] = builder()
        except ConvError as error:
            return error.diagnostics[0].message
        except Exception as error:  # noqa: BLE001 - a library may raise anything
            return _short(error)
        return ""

    def result(self, name: str) -> str:
        """Call it once on cleared memory, and store the output (N, OC, space): the file's path."""
        candidate = self.candidates[name]
        candidate.clear()
        path = self.folder / "result.npy"
        result: Array = candidate.result()
        np.save(path, np.ascontiguousarray(result))
        return str(path)

    def burst(self, name: str, seconds: float) -> Burst:
        """Call it for so long, with its threads on processors of their own."""
        call = self.candidates[name].call
        release(self.processors)
        spread(call, self.processors)
        return burst(call, seconds)

    def forget(self) -> None:
        """Let go of all candidates and their memory."""
        self.candidates = {}

    def peak(self, target: str, threads: int, types: Sequence[Types] = FLOATS) -> float:
        """Operations per second of multiply-adds on registers, now: the most for any of these types."""
        release(self.processors)
        return highest(target, threads, types)

    def bandwidths(self, target: str, threads: int) -> dict[str, float]:
        """Bytes per second by level."""
        release(self.processors)
        return bandwidths(machine.get(target), threads)


def serve(connection: Connection, worker: Worker) -> None:
    """Answer requests, (method, arguments…), until the other end is closed."""
    while True:
        try:
            method, *arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = Answer(getattr(worker, method)(*arguments))
        except ConvError as error:
            answer = Answer(problem=error.diagnostics[0].message)
        except Exception as error:  # noqa: BLE001 - it is told to whoever asked
            traceback.print_exc()
            answer = Answer(problem=_short(error))
        connection.send(answer)


def _short(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return f"{type(error).__name__}: {text.splitlines()[0][:200]}"


def _set_priority(nice: int) -> None:
    """Of this process, and of its session: Linux may share processors out among sessions first."""
    os.setpriority(os.PRIO_PROCESS, 0, nice)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(nice), encoding="ascii")


def main(arguments: list[str]) -> None:
    """Pin this process, then load and serve."""
    descriptor, library, listed, nice = arguments
    processors = [int(number) for number in listed.split(",")]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    release(processors)
    _set_priority(int(nice))
    with Connection(int(descriptor)) as connection:
        serve(connection, Worker(library, processors))


if __name__ == "__main__":
    main(sys.argv[1:])
