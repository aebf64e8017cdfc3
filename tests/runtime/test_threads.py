"""The worker pool: every value once, lazily made workers, concurrent callers, forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from convjit.errors import ConvError
from convjit.runtime import threads
from convjit.runtime.grid import CHUNKS
from tests.runtime import kernels


@pytest.mark.parametrize("count", [1, 2, 3, 16])
@pytest.mark.parametrize(
    ("rows", "columns", "step_r", "step_c"),
    [(1, 1, 1, 1), (7, 9, 1, 1), (1, 100, 1, 7), (64, 3, 4, 2), (5, 1000, 8, 16), (97, 97, 3, 5)],
)
def test_every_value_is_given_once(rows: int, columns: int, step_r: int, step_c: int, count: int) -> None:
    kernel = kernels.grid(rows, columns, count, step_r, step_c)
    out = np.zeros((rows, columns), np.int32)
    for _ in range(20):
        kernel(np.zeros(columns, np.int8), out=out)
    np.testing.assert_array_equal(out, 20)


def test_chunks_begin_at_multiples_of_the_step() -> None:
    out = np.zeros(1000, np.int32)
    kernels.first(1000, 7, 2)(out=out)
    begins = np.flatnonzero(out)
    assert len(begins) == 2 * CHUNKS
    assert all(begins % 7 == 0)
    assert out.max() == 1


def test_one_thread_gets_one_piece() -> None:
    out = np.zeros(1000, np.int32)
    kernels.first(1000, 7, 1)(out=out)
    assert list(np.flatnonzero(out)) == [0]


def test_the_thread_count_may_change_between_calls() -> None:
    kernel = kernels.first(1000, 1, 1)
    pieces = []
    for count in (1, 2, 5, 1):
        kernel.threads = count
        out = np.zeros(1000, np.int32)
        kernel(out=out)
        pieces.append(int(out.sum()))
    assert kernel.threads == 1
    assert pieces == [1, 2 * CHUNKS, 5 * CHUNKS, 1]


@pytest.mark.parametrize("count", [0, -1, 1.5, True, 10**6])
def test_a_thread_count_is_a_positive_number(count: int) -> None:
    with pytest.raises(ConvError) as caught:
        kernels.scale(threads=count)
    assert str(caught.value) == (
        f"error: The number of threads is {count!r}; it must be a whole number from 1 to 1024."
    )


def test_callers_at_the_same_time_get_right_results() -> None:
    failures: list[str] = []

    def call_on(seed: int) -> None:
        kernel = kernels.packed(2000, threads=1 + seed % 4)
        x = np.random.default_rng(seed).random((1, 2000), np.float32)
        w = np.array([seed], np.float32)
        for _ in range(150):
            if not np.array_equal(kernel(x, w), x * np.float32(seed + 1)):
                failures.append(f"caller {seed}")

    callers = [threading.Thread(target=call_on, args=(seed,)) for seed in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not any(caller.is_alive() for caller in callers)
    assert failures == []


def test_one_kernel_from_many_threads() -> None:
    kernel = kernels.packed(500, threads=2)
    x = np.arange(500, dtype=np.float32).reshape(1, 500)
    results: list[bool] = []

    def call_on(factor: int) -> None:
        w = np.array([factor], np.float32)
        results.append(all(np.array_equal(kernel(x, w), x * (factor + 1)) for _ in range(200)))

    callers = [threading.Thread(target=call_on, args=(factor,)) for factor in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert results == [True] * 6


def test_workers_are_made_when_they_are_first_needed() -> None:
    program = (
        "import numpy as np\n"
        "from tests.runtime import kernels\n"
        "from convjit.runtime.native import pool_size\n"
        "sizes = [pool_size()]\n"
        "x, w = np.ones((1, 64), 'f4'), np.ones(1, 'f4')\n"
        "for count in (1, 2, 4, 2):\n"
        "    kernels.scale(64, count)(x, w)\n"
        "    sizes.append(pool_size())\n"
        "print(*sizes)\n"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert child.stdout.split() == ["0", "0", "1", "3", "3"]


@pytest.mark.parametrize("case", ["own_workers", "during_a_call"])
def test_forked_children_call_on(case: str) -> None:
    """In a process of its own: other libraries that the tests load have threads that do not bear a fork."""
    program = f"from tests.runtime import forking; forking.{case}()"
    child = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert child.returncode == 0, child.stderr


def test_the_gil_is_free_while_the_kernel_runs() -> None:
    kernel = kernels.wait()
    x, y = np.zeros(1, np.int32), np.zeros(1, np.int32)
    caller = threading.Thread(target=lambda: kernel(x, out=y))
    caller.start()
    x[0] = 7
    caller.join()
    assert y[0] == 7


def test_default_threads_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVJIT_THREADS", raising=False)
    allowed = os.sched_getaffinity(0)
    assert 1 <= threads.default_threads() <= len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert threads.default_threads() == 1
    finally:
        os.sched_setaffinity(0, allowed)
    monkeypatch.setenv("CONVJIT_THREADS", "3")
    assert threads.default_threads() == 3


@pytest.mark.parametrize(
    ("files", "groups", "expected"),
    [
        ({"cpu.max": "250000 100000"}, "0::/", 3),
        ({"cpu.max": "max 100000"}, "0::/", 1024),
        (
            {"cpu.max": "max 100000", "a/cpu.max": "50000 100000", "a/b/cpu.max": "400000 100000"},
            "0::/a/b",
            1,
        ),
        (
            {"cpu/job/cpu.cfs_quota_us": "200000", "cpu/job/cpu.cfs_period_us": "100000"},
            "3:cpu,cpuacct:/job",
            2,
        ),
        ({"cpu/job/cpu.cfs_quota_us": "-1", "cpu/job/cpu.cfs_period_us": "100000"}, "3:cpu:/job", 1024),
        ({"cpu.max": "nonsense"}, "0::/", 1024),
        ({}, "0::/gone", 1024),
    ],
)
def test_control_groups_limit_the_threads(
    tmp_path: Path, files: dict[str, str], groups: str, expected: int
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content + "\n")
    own = tmp_path / "own"
    own.write_text(groups + "\n")
    assert threads._quota(tmp_path, own) == expected


def test_without_a_list_of_groups_the_root_decides(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("100000 100000")
    assert threads._quota(tmp_path, tmp_path / "missing") == 1
