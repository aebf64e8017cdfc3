"""Calls on a GPU, through a driver that interprets kernels: results, launches, memory, streams."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import convjit
from convjit import api
from convjit.runtime.compiled import BoundConv, CompiledConv
from convjit.runtime.device_array import DeviceArray
from convjit.spec.reference import reference
from convjit.targets import CALLABLES
from tests.gpu.cases import CASES, Case, arrays
from tests.gpu.fake import Driver, Launch, OnDevice

BY_NAME = {case.name: case for case in CASES}
SMALL = Case(
    "small",
    "input x : f32[N=1, H=3, W=4, C=2]; weight w : f32[KH=3, KW=3, OC=4, IC]; bias b : f32[OC]; pad 1; then relu",
    "n:block oh:block ow:block oc/4:thread [y] kh kw c [w] oc:unroll\npack w: kh kw c oc",
)


def compiled(driver: Driver, case: Case, machine: str = "cuda:sm_90a") -> CompiledConv:
    """The case as a callable, its kernels known to the driver."""
    c = case.on(machine)
    driver.add(c.kernels)
    return CALLABLES["cuda"](c, None)


def on_device(driver: Driver, given: dict[str, np.ndarray[Any, Any]], **how: Any) -> dict[str, OnDevice]:
    return {name: OnDevice(driver, array, **how) for name, array in given.items()}


@pytest.mark.parametrize("name", ["depthwise", "input_stationary", "dot_box", "dot_first_layer"])
def test_results_are_exact(driver: Driver, name: str) -> None:
    case = BY_NAME[name]
    kernel, given = compiled(driver, case), arrays(case)
    result = kernel(**on_device(driver, given))
    assert isinstance(result, DeviceArray)
    np.testing.assert_array_equal(result.numpy(), reference(kernel.spec, *given.values()))


def test_vectors_of_the_program_lie_beside_the_arrays(driver: Driver) -> None:
    clauses = "input x : f32[N=1, H=3, W=4, C=2]; weight w : f32[KH=3, KW=3, OC=4, IC]; param s : f32[OC] = (1, 2, 3, 4); then scale s per OC"
    case = Case("held", clauses, "n:block oh:block ow:block oc/4:thread [y] kh kw c [w] oc:unroll\npack w: kh kw c oc")
    c = case.on("cuda:sm_90a")
    driver.add(c.kernels)
    kernel, given = api.finish(c, None), arrays(case)
    other = given.pop("s")
    device = on_device(driver, given)
    for call in (kernel, kernel.bind(w=device["w"])):
        result = call(**{k: v for k, v in device.items() if k == "x" or call is kernel})
        np.testing.assert_array_equal(result.numpy(), reference(kernel.spec, **given))
    for call in (kernel, kernel.bind()):
        assert call(**device).numpy().shape == (1, 1, 2, 4)
    named = kernel(**device, **on_device(driver, {"s": other}))
    np.testing.assert_array_equal(named.numpy(), reference(kernel.spec, **given, s=other))


def test_a_bound_kernel_packs_once(driver: Driver) -> None:
    kernel, given = compiled(driver, SMALL), arrays(SMALL)
    device = on_device(driver, given)
    bound = kernel.bind(device["w"], b=device["b"])
    assert isinstance(bound, BoundConv)
    assert [launch.name for launch in driver.launches] == ["small$pack"]
    want = reference(kernel.spec, *given.values())
    for _ in range(2):
        np.testing.assert_array_equal(bound(device["x"]).numpy(), want)
    assert [launch.name for launch in driver.launches] == ["small$pack", "small", "small"]
    assert ("temporary" not in {entry[0] for entry in driver.log}) and ("wait", 0) in driver.log


def test_every_call_has_temporaries_of_its_own(driver: Driver) -> None:
    kernel, device = compiled(driver, SMALL), on_device(driver, arrays(SMALL), stream=7)
    kernel(**device)
    events = [entry for entry in driver.log if entry[0] in ("temporary", "free temporary")]
    assert events == [("temporary", 512, 7), ("free temporary", 7)]  # 288 bytes of packed weights
    assert {launch.stream for launch in driver.launches} == {7}


def test_memory_is_given_back(driver: Driver) -> None:
    kernel, device = compiled(driver, SMALL), on_device(driver, arrays(SMALL))
    before = set(driver.memory)
    bound = kernel.bind(w=device["w"])
    y = bound(device["x"], device["b"])
    assert len(set(driver.memory) - before) == 2  # packed weights, the result
    del bound, y
    gc.collect()
    assert set(driver.memory) == before


def test_geometry_of_the_launches(driver: Driver) -> None:
    case, driver.runs = BY_NAME["matrix_async"], False
    kernel = compiled(driver, case, "cuda:sm_80")
    given = arrays(case)
    result = kernel(**on_device(driver, given))
    pack, main = driver.launches
    pixels, taps = 2 * 6 * 9, 9 * 16 * 64
    assert (pack.name, pack.blocks, pack.threads, pack.shared) == ("matrix_async$pack", taps // 256, 256, 0)
    assert (main.name, main.blocks, main.threads, main.shared) == ("matrix_async", -(-pixels // 64), 128, case.shared)
    assert (pack.words[0], main.words[0]) == (given["w"].ctypes.data, given["x"].ctypes.data)
    assert pack.words[1] == main.words[1]
    assert main.words[2] == result.memory.address


def test_more_than_48_kilobytes_of_shared_memory_are_asked_for(driver: Driver) -> None:
    case = Case("wide", BY_NAME["matrix_async"].clauses, BY_NAME["matrix_async"].schedule.replace("ring 3", "ring 6"))
    kernel, driver.runs = compiled(driver, case, "cuda:sm_80"), False
    kernel(**on_device(driver, arrays(case)))
    assert driver.asked_shared == {"wide": 2 * BY_NAME["matrix_async"].shared}
    assert driver.launches[-1].shared == 2 * BY_NAME["matrix_async"].shared


def test_open_sizes_are_blocks_and_arguments(driver: Driver) -> None:
    case = BY_NAME["open_batch"]
    kernel = compiled(driver, case)
    for n in (1, 3):
        given = arrays(case, N=n)
        result = kernel(**on_device(driver, given))
        np.testing.assert_array_equal(result.numpy(), reference(kernel.spec, *given.values()))
        assert driver.launches[-1].blocks == n * 5 * 9
        assert driver.launches[-1].words[-1] == n
    bound = kernel.bind(OnDevice(driver, given["w"]))
    np.testing.assert_array_equal(bound(OnDevice(driver, given["x"])).numpy(), result.numpy())


def test_an_empty_batch_starts_nothing(driver: Driver) -> None:
    case = BY_NAME["open_batch"]
    kernel, given = compiled(driver, case), arrays(case, N=0)
    bound = kernel.bind(OnDevice(driver, given["w"]))
    before = len(driver.launches)
    assert bound(OnDevice(driver, given["x"])).shape == (0, 9, 9, 20)
    assert len(driver.launches) == before


def test_out_is_written_in_place(driver: Driver) -> None:
    kernel, given = compiled(driver, SMALL), arrays(SMALL)
    out = OnDevice(driver, np.full((1, 3, 4, 4), 7, np.float32))
    assert kernel(**on_device(driver, given), out=out) is out
    np.testing.assert_array_equal(out.data, reference(kernel.spec, *given.values()))


def test_streams_wait_for_each_other(driver: Driver) -> None:
    kernel, given = compiled(driver, SMALL), arrays(SMALL)
    x = OnDevice(driver, given["x"], stream=5)
    w, b = (OnDevice(driver, given[name], stream=1) for name in "wb")  # 1 and 2 are default streams
    kernel(x, w, b)
    orders = [entry[1:] for entry in driver.log if entry[0] == "order"]
    assert orders == [(0, 5), (5, 0)]
    assert {launch.stream for launch in driver.launches} == {5}


def test_a_thread_without_a_context_gets_the_primary_one(driver: Driver) -> None:
    kernel, given = compiled(driver, SMALL), arrays(SMALL)
    device, want = on_device(driver, given), reference(kernel.spec, *given.values())
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: kernel(**device).numpy(), range(8)))
    assert all(np.array_equal(result, want) for result in results)
    assert [entry for entry in driver.log if entry[0] in ("retain", "load")] == [("retain", 0), ("load", 0)]
    assert driver._stack() == []


def test_another_context_is_current_again_afterwards(driver: Driver) -> None:
    kernel, device = compiled(driver, SMALL), on_device(driver, arrays(SMALL))
    driver._stack().append(4321)
    kernel(**device)
    assert driver._stack() == [4321]


def test_code_is_loaded_on_each_device(driver: Driver) -> None:
    driver.sms = (90, 90)
    kernel, given = compiled(driver, SMALL), arrays(SMALL)
    result = kernel(**on_device(driver, given, device=1))
    assert result.device == 1
    assert [entry for entry in driver.log if entry[0] == "load"] == [("load", 0), ("load", 1)]


def test_what_is_bound_decides_where_the_rest_must_be(driver: Driver) -> None:
    driver.sms = (90, 90)
    kernel, given = compiled(driver, SMALL), arrays(SMALL)
    device = on_device(driver, given, device=1)
    everything = kernel.bind(x=device["x"], w=device["w"], b=device["b"])
    result = everything()
    assert result.device == 1
    np.testing.assert_array_equal(result.numpy(), reference(kernel.spec, *given.values()))
    bound = kernel.bind(device["w"], device["b"])
    with pytest.raises(ValueError) as caught:
        bound(OnDevice(driver, given["x"].copy()))
    assert str(caught.value) == "x is on cuda:0, the bound arrays are on cuda:1; put them together."


def test_threads_mean_nothing_here(driver: Driver) -> None:
    c = SMALL.on("cuda:sm_90a")
    kernel = CALLABLES["cuda"](c, 16)
    assert kernel.threads == 1
    assert kernel.function == kernel.__call__


def test_calls_are_printed_on_demand(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CONVJIT_VERBOSE", "calls")
    kernel = compiled(driver, SMALL)
    kernel(**on_device(driver, arrays(SMALL)))
    assert capsys.readouterr().err.startswith("convjit: small ")


def test_the_target_is_the_gpu_that_is_present(driver: Driver) -> None:
    kernel = convjit.compile(SMALL.text, target="cuda")
    assert isinstance(kernel, CompiledConv)
    assert ".target sm_90a\n" in kernel.dump("ptx")
    assert kernel.explain().startswith("small on cuda:sm_90a\n")
    assert Launch not in map(type, driver.launches)
