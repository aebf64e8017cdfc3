"""On a real GPU: the arrays' streams, CUDA graphs, threads, memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import numpy as np
import pytest

import convjit
from bench.gpu_shapes import SHAPES
from tests.gpu.cases import CASES
from tests.gpu.device import compiled, tensors, wanted
from tests.gpu.test_call import SMALL, arrays

pytestmark = [pytest.mark.gpu, pytest.mark.filterwarnings("default")]


def slow(torch: Any) -> None:
    """Keep the current stream busy for some milliseconds."""
    torch.cuda._sleep(20_000_000)


def test_the_current_stream_is_used(torch: Any) -> None:
    """What a stream computes slowly is waited for by a call on that stream, and by nobody else."""
    kernel, given = compiled(SMALL.text), tensors(torch)
    bound, want = kernel.bind(given["w"], given["b"]), wanted(kernel)
    late = torch.zeros_like(given["x"])
    torch.cuda.synchronize()
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        slow(torch)
        late.copy_(given["x"])
        result = bound(late)
        unbound = kernel(late, given["w"], given["b"])
    assert not stream.query()
    elsewhere = bound(given["x"])
    torch.cuda.current_stream().synchronize()
    np.testing.assert_array_equal(elsewhere.cpu().numpy(), want)
    stream.synchronize()
    np.testing.assert_array_equal(result.cpu().numpy(), want)
    np.testing.assert_array_equal(unbound.cpu().numpy(), want)


def test_streams_of_two_libraries_wait_for_each_other(torch: Any, cupy: Any) -> None:
    kernel, given = compiled(SMALL.text), arrays(SMALL)
    w, b = (torch.from_numpy(given[name]).cuda() for name in "wb")
    late = cupy.zeros(given["x"].shape, cupy.float32)
    source = torch.from_numpy(given["x"]).cuda()
    torch.cuda.synchronize()
    stream = cupy.cuda.Stream(non_blocking=True)
    outer = torch.cuda.ExternalStream(stream.ptr)
    with torch.cuda.stream(outer):
        slow(torch)
        torch.from_dlpack(late).copy_(source)
    with stream:
        result = kernel(w=w, b=b, x=late)
    torch.cuda.synchronize()
    np.testing.assert_array_equal(cupy.asnumpy(result), wanted(kernel))


def test_calls_are_captured_in_a_graph(torch: Any) -> None:
    kernel, given = compiled(SMALL.text), tensors(torch)
    bound = kernel.bind(given["w"], given["b"])
    x, out = torch.zeros_like(given["x"]), torch.zeros(wanted(kernel).shape, device="cuda")
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        bound(x, out=out)
        made = bound(x)
        unbound = kernel(x, given["w"], given["b"])
    for sign in (1.0, -1.0):
        x.copy_(given["x"] * sign)
        graph.replay()
        want = convjit.reference(kernel.spec, *(t.cpu().numpy() for t in (x, given["w"], given["b"])))
        for result in (out, made, unbound):
            np.testing.assert_array_equal(result.cpu().numpy(), want.astype(np.float32))


CAPTURE = """
import torch, convjit
from tests.gpu.test_call import SMALL
from tests.gpu.device import compiled, tensors
kernel, given = compiled(SMALL.text), tensors(torch)
with torch.cuda.graph(torch.cuda.CUDAGraph()):
    kernel.bind(given["w"], given["b"])
"""


def test_binding_inside_a_capture_says_what_to_do() -> None:
    """In a process of its own: the capture is lost with it."""
    done = subprocess.run([sys.executable, "-c", CAPTURE], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "While a CUDA graph is captured, waiting for a stream cannot be done." in done.stderr


def test_many_threads_call_at_once(torch: Any) -> None:
    case = next(c for c in CASES if c.name == "matrix_ragged")
    kernel, given = compiled(case.text), tensors(torch, case)
    bound, want = kernel.bind(given["w"]), wanted(kernel, case)
    good: list[bool] = []

    def call() -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(20):
                for result in (bound(given["x"]), kernel(given["x"], given["w"])):
                    good.append(bool(np.array_equal(result.cpu().numpy(), want)))

    torch.cuda.synchronize()
    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert good == [True] * 320


def test_compiling_from_many_threads(torch: Any) -> None:
    given, results = tensors(torch), []

    def compile_and_call() -> None:
        results.append(compiled(SMALL.text)(**given).cpu().numpy())

    threads = [threading.Thread(target=compile_and_call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want = wanted(compiled(SMALL.text))
    assert len(results) == 8 and all(np.array_equal(result, want) for result in results)


def test_memory_is_given_back(torch: Any) -> None:
    text = SHAPES[3].text(1)  # 9 MB of packed weights
    kernel = compiled(text)
    w = torch.randn(3, 3, 512, 512, device="cuda")
    kernel.bind(w)
    torch.cuda.synchronize()
    before = torch.cuda.mem_get_info()[0]
    for _ in range(50):
        kernel.bind(w)
    torch.cuda.synchronize()
    assert before - torch.cuda.mem_get_info()[0] < 64 << 20
