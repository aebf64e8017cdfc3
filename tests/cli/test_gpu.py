"""`convjit run` on a GPU: with a driver that interprets kernels, and on a real one where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from convjit import api
from convjit.errors import Unavailable
from convjit.spec.reference import reference
from tests.cli.helpers import SMALL, CommandLine
from tests.gpu import fake
from tests.gpu.conftest import driver

__all__ = ["driver"]


def test_data_go_there_and_the_result_comes_back(convjit: CommandLine, driver: fake.Driver) -> None:
    path = convjit.file(SMALL)
    spec, syntax = api.read(path)["small"]
    driver.add(api.compilation(spec, syntax, "cuda").kernels)
    stream = np.random.default_rng(0)
    x = stream.integers(-4, 5, (1, 5, 6, 3)).astype(np.float32)
    w = stream.integers(-4, 5, (3, 3, 4, 3)).astype(np.float32)
    np.savez("a.npz", x=x, w=w)
    words = ["--target", "cuda", "--tensor", "x=a.npz:x", "--tensor", "w=a.npz:w", "--out", "y.npy"]
    outcome = convjit("run", path, *words)
    assert outcome.status == 0, outcome.err
    first, *_, time = outcome.out.splitlines()
    assert first.startswith("small: output_stationary (auto) on cuda:sm_90a, ")
    assert "% of the peak of " in time and "computed from 132 x 128 units at " in time
    np.testing.assert_array_equal(np.load("y.npy"), reference(spec, x, w))


def test_code_for_another_gpu_is_not_to_be_run(convjit: CommandLine, driver: fake.Driver) -> None:
    driver.sms = (80,)
    outcome = convjit("run", convjit.file(SMALL), "--target", "cuda:sm_90a")
    assert outcome.status == 3
    assert outcome.err.startswith("error: The GPU here cannot run cuda:sm_90a.\n")


def test_without_a_gpu_it_is_not_to_be_had(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> tuple[()]:
        raise Unavailable.of("There is no GPU to be had here.")

    monkeypatch.setattr("convjit.cli.runner.cuda.devices", absent)
    outcome = convjit("run", convjit.file(SMALL), "--target", "cuda:sm_80")
    assert (outcome.status, outcome.err) == (3, "error: There is no GPU to be had here.\n")


@pytest.mark.gpu
def test_on_the_gpu_that_is_here(convjit: CommandLine) -> None:
    outcome = convjit("run", convjit.file(SMALL), "--target", "cuda", "--out", "y.npy")
    assert outcome.status == 0, outcome.err
    assert "on cuda:sm_" in outcome.out and ": right\n" in outcome.out
    assert np.load("y.npy").shape == (1, 5, 6, 4)


def test_targets_say_what_the_gpu_runs(convjit: CommandLine, driver: fake.Driver) -> None:
    driver.sms = (80,)
    lines = convjit("targets").out.splitlines()
    assert lines[1].endswith(": target cuda is cuda:sm_80 here")
    here = {line.split()[0]: "  yes  " in line for line in lines[3:]}
    assert (here["cuda:sm_75"], here["cuda:sm_80"], here["cuda:sm_90a"]) == (True, True, False)
