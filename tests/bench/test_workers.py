"""Workers in processes of their own: requests, failures, deaths."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from convjit.bench import workers
from convjit.bench.ours import Variant
from convjit.bench.pinning import processors
from convjit.bench.request import Job
from convjit.bench.workers import Failed, Remote, environment
from convjit.machine import NAMES

PROGRAM = """\
conv tiny {
    input  x : f32[N=1, H=4, W=4, C=2]
    weight w : f32[KH=1, KW=1, OC=2, IC=2]
    output y : f32[N, OH, OW, OC]
}
"""


@pytest.fixture(scope="module")
def remote() -> Iterator[Remote]:
    made = Remote("convjit", processors(1), "best")
    yield made
    made.close()


def job(folder: Path) -> Job:
    np.save(folder / "x.npy", np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2))
    np.save(folder / "w.npy", np.array([[[[1, 0], [0, 2]]]], np.float32))
    good = Variant("good", PROGRAM, "cpu:scalar", 1)
    bad = Variant("bad", PROGRAM.replace("KH=1", "KH=9"), "cpu:scalar", 1)
    return Job(PROGRAM, str(folder), 1, (good, bad))


def test_a_convolution_from_preparation_to_a_burst(remote: Remote, tmp_path: Path) -> None:
    answer = remote.ask("prepare", job(tmp_path))
    assert answer["good"] == (False, "")
    assert answer["bad"] == (False, "The output would be empty: 'OH' is less than 1.")
    x = np.arange(32, dtype=np.float32).reshape(1, 4, 4, 2)
    expected = (x * np.array([1, 2], np.float32)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(np.load(remote.ask("result", "good")), expected)
    burst = remote.ask("burst", "good", 1e-3)
    assert 0 < burst.least <= burst.median < 1
    remote.ask("forget")
    with pytest.raises(Failed, match="KeyError: 'good'"):
        remote.ask("burst", "good", 1e-3)


def test_it_is_pinned_and_limited(remote: Remote) -> None:
    assert remote.ask("versions").startswith("0.1.0, llvmlite")
    assert remote.ask("peak", "cpu:scalar", 1) > 1e8
    with pytest.raises(Failed, match=r"^Unknown target 'cpu:avx3'\.$"):
        remote.ask("peak", "cpu:avx3", 1)
    assert remote._process is not None
    assert os.sched_getaffinity(remote._process.pid) == set(processors(1))


def test_it_starts_again_after_it_died(remote: Remote) -> None:
    remote.ask("versions")
    assert remote._process is not None
    os.kill(remote._process.pid, signal.SIGKILL)
    with pytest.raises(Failed, match="its process ended") as caught:
        remote.ask("versions")
    assert caught.value.died
    assert remote.ask("versions")


def test_who_does_not_answer_is_ended(remote: Remote) -> None:
    with pytest.raises(Failed, match="no answer within 0 s") as caught:
        remote.ask("bandwidths", "cpu:scalar", 1, patience=0.0)
    assert caught.value.died
    assert remote._process is None


def test_a_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "openvino.py").write_text("raise ImportError('hidden')\n")
    monkeypatch.setenv("PYTHONPATH", str(workers.ROOT))
    monkeypatch.setattr(workers, "ROOT", tmp_path)  # comes first
    remote = Remote("openvino", processors(1), "best")
    with pytest.raises(Failed, match="^'openvino' is not installed.$"):
        remote.ask("versions")
    remote.close()


def test_the_environment_keeps_everybody_to_the_same() -> None:
    base = {"HOME": "/x", "ONEDNN_MAX_CPU_ISA": "SSE41", "OMP_NUM_THREADS": "7"}
    found = environment("avx2", 2, base)
    assert (found["ONEDNN_MAX_CPU_ISA"], found["ATEN_CPU_CAPABILITY"]) == ("AVX2", "avx2")
    assert (found["OMP_NUM_THREADS"], found["HOME"]) == ("2", "/x")
    assert found["FBGEMM_ENABLE_INSTRUCTIONS"] == "AVX2"
    assert "ONEDNN_MAX_CPU_ISA" not in environment("best", 2, base)
    found = environment("avx512_vnni", 1, base)
    assert (found["ONEDNN_MAX_CPU_ISA"], found["ATEN_CPU_CAPABILITY"]) == ("AVX512_CORE_VNNI", "avx512")


def test_every_limit_is_a_target_of_ours() -> None:
    assert {f"cpu:{name}" for name in workers.ISA if name != "best"} < set(NAMES)
