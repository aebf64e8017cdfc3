"""What a process that forks goes through; run by test_threads in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

import numpy as np

from convjit.runtime.native import pool_size
from tests.runtime import kernels


def in_child(work: Callable[[], bool], seconds: float = 30) -> bool:
    """Whether a forked child finds `work` true, in time."""
    child = os.fork()
    if child == 0:
        status = 2
        try:
            status = 0 if work() else 1
        finally:
            os._exit(status)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def own_workers() -> None:
    """A child has no workers at first, makes its own, and the parent keeps its."""
    kernel = kernels.scale(300, threads=3)
    x, w = np.ones((1, 300), np.float32), np.array([2], np.float32)
    kernel(x, w)
    assert pool_size() == 2

    def work() -> bool:
        none = pool_size() == 0
        return none and all((kernel(x, w) == 2).all() for _ in range(50)) and pool_size() == 2

    assert in_child(work)
    assert in_child(lambda: in_child(work))
    assert (kernel(x, w) == 2).all()


def during_a_call() -> None:
    """A fork at any moment of another thread's call."""
    kernel = kernels.scale(20_000, threads=2)
    x, w = np.ones((1, 20_000), np.float32), np.array([2], np.float32)
    stop = threading.Event()

    def call_on() -> None:
        while not stop.is_set():
            kernel(x, w)

    caller = threading.Thread(target=call_on)
    caller.start()
    try:
        assert all(in_child(lambda: bool((kernel(x, w) == 2).all())) for _ in range(30))
    finally:
        stop.set()
        caller.join()
