"""Joules of a call, by counters that are played."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from convjit.study import joules, meters
from convjit.study.joules import Joules, measure, why_not
from convjit.study.meters import Absent, NvmlEnergy, NvmlPower, Rapl, meter

RANGE = 1_000_000_000


def powercap(root: Path, *values: int, name: str = "package") -> list[Path]:
    """A tree as Linux shows it: packages, the cores of the first one, and the whole system."""
    counters = []
    for number, value in enumerate(values):
        for folder, what in ((f"intel-rapl:{number}", f"{name}-{number}"), (f"intel-rapl:{number}:0", "core")):
            (root / folder).mkdir(parents=True)
            (root / folder / "name").write_text(f"{what}\n")
            (root / folder / "energy_uj").write_text(f"{value}\n")
            (root / folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
        counters.append(root / f"intel-rapl:{number}" / "energy_uj")
    return counters


def drawing(counter: Path, microjoules: int) -> Callable[[], None]:
    """A call that moves a counter, which starts anew beyond its range."""

    def call() -> None:
        counter.write_text(f"{(int(counter.read_text()) + microjoules) % RANGE}\n")

    return call


def test_joules_of_a_call_with_a_counter_that_starts_anew(tmp_path: Path) -> None:
    first, _ = powercap(tmp_path, RANGE - 5_000_000, 7)
    found = measure(drawing(first, 2_000_000), 0.02, root=tmp_path)
    assert found is not None
    assert found.calls >= 1
    assert found.joules == pytest.approx(2.0)
    assert (found.gross, found.idle_watts, found.label) == (pytest.approx(2.0), 0.0, "package, idle-subtracted")
    assert found.seconds >= 0.02
    assert why_not(root=tmp_path) == ""


def test_idle_is_subtracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (counter,) = powercap(tmp_path, 0)
    clock = SimpleNamespace(now=0.0)

    def passes(seconds: float, watts: float) -> None:
        clock.now += seconds
        drawing(counter, round(watts * seconds * 1e6))()

    played = SimpleNamespace(perf_counter=lambda: clock.now, sleep=lambda s: passes(s, 20))
    monkeypatch.setattr(joules, "time", played)
    found = measure(lambda: passes(0.25, 52), 1.0, root=tmp_path)
    assert found == Joules(8.0, 13.0, 20.0, 4, 1.0, "package, idle-subtracted")
    assert str(found) == "8 J (package, idle-subtracted; idle 20 W; 4 calls)"


def test_machines_without_a_counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measure(lambda: None, root=tmp_path) is None
    assert why_not(root=tmp_path) == f"this machine has no RAPL counters (no package below {tmp_path})"
    (counter,) = powercap(tmp_path, 1, name="psys")
    assert why_not(root=tmp_path).startswith("this machine has no RAPL counters")  # a whole system is no package
    (tmp_path / "intel-rapl:0" / "name").write_text("package-0")
    counter.write_text("many\n")
    assert why_not(root=tmp_path).startswith("the RAPL counters cannot be read: invalid literal")

    def denied(path: Path) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(meters, "read", denied)
    assert why_not(root=tmp_path) == f"{counter} may not be read by this user (root may)"
    (tmp_path / "intel-rapl:0" / "name").unlink()
    assert why_not(root=tmp_path).startswith("this machine has no RAPL counters")


def test_packages_are_added(tmp_path: Path) -> None:
    counters = powercap(tmp_path, 100, 200)
    found = meter("cpu", tmp_path)
    assert isinstance(found, Rapl)
    with found:
        for counter in counters:
            drawing(counter, 3_000_000)()
        assert found.joules() == pytest.approx(6.0)


# --- NVML -------------------------------------------------------------------------------------------------------


class NvmlError(Exception):
    """As the library's."""


class Nvml:
    """A driver that knows so much."""

    NVMLError = NvmlError

    def __init__(self, *knows: str) -> None:
        self.knows, self.millijoules = knows, 0

    def answer(self, what: str, value: int) -> int:
        if what not in self.knows:
            raise NvmlError(f"no {what}")
        return value

    def nvmlInit(self) -> None:
        self.answer("driver", 0)

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:
        return self.answer("device", number)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        self.millijoules += 500
        return self.answer("energy", self.millijoules)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        return self.answer("power", 90_000)


@pytest.mark.parametrize(
    ("knows", "reason"),
    [
        ((), "NVML finds no GPU: no driver"),
        (("driver",), "NVML finds no GPU: no device"),
        (("driver", "device"), "the GPU tells neither its energy nor its power: no power"),
    ],
)
def test_gpus_without_a_counter(knows: tuple[str, ...], reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml(*knows))  # type: ignore[arg-type]
    assert meter("cuda") == Absent(reason)
    assert measure(lambda: None, kind="cuda") is None


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert why_not("cuda") == "the package nvidia-ml-py is not installed (`pip install convjit[energy]`)"


def test_a_gpu_with_a_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml("driver", "device", "energy"))  # type: ignore[arg-type]
    assert isinstance(meter("cuda"), NvmlEnergy)
    found = measure(lambda: None, 0.01, kind="cuda")
    assert found is not None
    assert found.gross * found.calls == pytest.approx(0.5)  # the counter moves by that between two readings
    assert found.label == "GPU board, idle-subtracted"


def test_a_gpu_whose_power_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", Nvml("driver", "device", "power"))  # type: ignore[arg-type]
    assert isinstance(meter("cuda"), NvmlPower)
    found = measure(lambda: None, 0.1, kind="cuda")
    assert found is not None
    assert found.idle_watts == pytest.approx(90, rel=0.2)
    assert found.gross * found.calls == pytest.approx(90 * found.seconds, rel=0.2)
    assert abs(found.joules) < found.gross
