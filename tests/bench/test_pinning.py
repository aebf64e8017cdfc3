"""Processors for a measurement."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from convjit.bench.pinning import processors, release, spread
from convjit.errors import ConvError


def system(tmp_path: Path, siblings: dict[int, str]) -> Path:
    for number, text in siblings.items():
        folder = tmp_path / f"cpu{number}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(text + "\n")
    return tmp_path


def test_each_on_a_core_of_its_own(tmp_path: Path) -> None:
    root = system(tmp_path, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"})
    assert processors(1, range(4), root) == (3,)
    assert processors(2, range(4), root) == (2, 3)
    assert processors(3, range(4), root) == (1, 2, 3)


def test_only_those_that_are_allowed(tmp_path: Path) -> None:
    root = system(tmp_path, {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"})
    assert processors(2, {0, 1, 3}, root) == (0, 3)


def test_without_a_list_of_siblings(tmp_path: Path) -> None:
    assert processors(2, range(3), tmp_path) == (1, 2)


def test_those_of_this_process() -> None:
    assert set(processors(1)) < {*os.sched_getaffinity(0), -1}


def test_who_works_is_spread_over_the_processors() -> None:
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < 2:
        pytest.skip("needs two processors")
    stop, thread = threading.Event(), threading.Thread(target=lambda: work_until(stop), daemon=True)
    thread.start()
    try:
        spread(lambda: sum(range(1000)), mine[:2], seconds=0.05)
        assert os.sched_getaffinity(0) == {mine[0]}
        assert os.sched_getaffinity(thread.native_id or 0) == {mine[1]}
    finally:
        stop.set()
        thread.join()
        release(mine)
    assert os.sched_getaffinity(0) == set(mine)


def work_until(stop: threading.Event) -> None:
    while not stop.is_set():
        sum(range(100))


def test_one_processor_needs_no_spreading() -> None:
    before = os.sched_getaffinity(0)
    spread(lambda: pytest.fail("called"), sorted(before)[:1])
    assert os.sched_getaffinity(0) == before


def test_more_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConvError) as caught:
        processors(3, range(2), tmp_path)
    assert str(caught.value) == (
        "error: 3 threads cannot have a processor each: this process may use 2.\n"
        "  hint: Give fewer threads, or allow more (taskset, the container's limits)."
    )
