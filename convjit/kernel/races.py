"""Threads that meet in shared memory with no barrier between, or touch what an asynchronous copy is still writing."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SEVERAL = -1
"""Stands for more than one thread."""


class Fault(Exception):
    """What an access did wrong; the interpreter adds the op's text."""


class Races:
    """For each grain (so many bytes) of shared memory: who wrote and read it since the last barrier, and how many
    copies are under way to it. The grain is the smallest access of the kernel, so that neighbours don't meet."""

    def __init__(self, size: int, grain: int) -> None:
        self.size = size
        self.grain = grain
        self.reset()

    def reset(self) -> None:
        """A new block: nobody has read or written anything."""
        count = -(-self.size // self.grain)
        self.epoch = 1
        self.written = np.zeros(count, np.int32)
        self.writer = np.zeros(count, np.int32)
        self.read = np.zeros(count, np.int32)
        self.reader = np.zeros(count, np.int32)
        self.pending = np.zeros(count, np.int32)

    def barrier(self) -> None:
        """All that was read and written before is settled."""
        self.epoch += 1

    def on_read(self, grains: Array, threads: Array) -> None:
        """Thread by thread, what is read; both of the same shape."""
        self._settled(grains)
        if ((self.written[grains] == self.epoch) & (self.writer[grains] != threads)).any():
            raise Fault("reads what another thread wrote, with no barrier between")
        others = (self.read[grains] == self.epoch) & (self.reader[grains] != threads)
        self.read[grains] = self.epoch
        self.reader[grains] = threads
        self.reader[grains[others]] = SEVERAL
        self.reader[grains[self.reader[grains] != threads]] = SEVERAL

    def on_write(self, grains: Array, threads: Array) -> None:
        """Thread by thread, what is written."""
        self._settled(grains)
        if ((self.written[grains] == self.epoch) & (self.writer[grains] != threads)).any():
            raise Fault("writes what another thread wrote, with no barrier between")
        if ((self.read[grains] == self.epoch) & (self.reader[grains] != threads)).any():
            raise Fault("writes what another thread reads, with no barrier between")
        self.written[grains] = self.epoch
        self.writer[grains] = threads
        if (self.writer[grains] != threads).any():
            raise Fault("is written by two threads at once")

    def start_copy(self, grains: Array, threads: Array) -> None:
        """An asynchronous copy will write these; from now until it lands nobody may touch them."""
        self.on_write(grains, threads)
        np.add.at(self.pending, grains, 1)

    def end_copy(self, grains: Array, threads: Array) -> None:
        """The copy has landed, as a write of the thread that waited for it."""
        np.add.at(self.pending, grains, -1)
        self.written[grains] = self.epoch
        self.writer[grains] = threads

    def _settled(self, grains: Array) -> None:
        if self.pending[grains].any():
            raise Fault("touches what an asynchronous copy is still writing")
