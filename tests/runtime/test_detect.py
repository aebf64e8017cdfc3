"""What machine this is, from files as Linux writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from convjit import machine as machines
from convjit.errors import Unavailable
from convjit.runtime import detect
from convjit.runtime.assemble import assemble
from tests.runtime import kernels

CPUINFO = """processor : 0
model name : Example 9000
flags : fpu sse4_1 avx avx2 fma f16c avx512f avx512_vnni
cpu MHz : 2500.5
physical id : 0
core id : 0

processor : 1
model name : Example 9000
flags : fpu
cpu MHz : 2500.5
physical id : 0
core id : 0
"""


def machine(root: Path, files: dict[str, str]) -> detect.Host:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return detect.read(root)


def claim(monkeypatch: pytest.MonkeyPatch, *features: str) -> None:
    monkeypatch.setattr(
        "llvmlite.binding.get_host_cpu_features", lambda: dict.fromkeys(features, True) | {"no": False}
    )


def test_this_machine() -> None:
    host = detect.host()
    assert host.cores >= 1
    assert host.threads >= host.cores
    assert "sse2" in host.features
    assert assemble(kernels.SCALE, host.target).startswith(b"\x7fELF")


def test_a_machine_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(
        monkeypatch, "sse4.1", "avx", "avx2", "fma", "avx512f", "avx512vnni", "avx512bf16", "amx-tile", "bmi"
    )
    caches = "sys/devices/system/cpu/cpu0/cache/"
    files = {"proc/cpuinfo": CPUINFO, caches + "index9/level": "9"}
    for index, kind, level, size in ((0, "Data", 1, "48K"), (1, "Instruction", 1, "32K"), (2, "Unified", 2, "2M"),
                                     (3, "Unified", 3, "32768K")):  # fmt: skip
        files |= {
            f"{caches}index{index}/{n}": f"{v}\n"
            for n, v in (("type", kind), ("level", level), ("size", size))
        }
    host = machine(tmp_path, files)
    assert (host.name, host.cores, host.threads) == ("Example 9000", 1, 2)
    assert (host.l1, host.l2, host.l3) == (48 * 1024, 2 * 1024**2, 32 * 1024**2)
    assert host.megahertz == 2500.5
    assert host.features == {"sse4.1", "avx", "avx2", "fma", "avx512f", "avx512vnni", "bmi"}
    assert host.target.features == "+avx,+avx2,+avx512f,+avx512vnni,+bmi,+fma,+sse4.1"


def test_the_greatest_frequency_where_it_is_known(tmp_path: Path) -> None:
    path = "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"
    assert machine(tmp_path, {"proc/cpuinfo": CPUINFO, path: "4500000\n"}).megahertz == 4500


def test_without_files_llvm_alone_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(monkeypatch, "avx2")
    host = detect.read(tmp_path)
    assert host.features == {"avx2"}
    assert (host.name, host.l1, host.l2, host.l3, host.megahertz) == ("unknown processor", 0, 0, 0, 0)
    assert host.cores >= 1


def test_registers_that_the_system_does_not_save_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(monkeypatch, "avx", "avx2", "fma", "avx512f", "sse4.1")
    host = machine(tmp_path, {"proc/cpuinfo": "flags : fpu sse4_1\n"})
    assert host.features == {"sse4.1"}


TARGETS = {
    "cpu:scalar": (),
    "cpu:avx2": ("avx2", "fma"),
    "cpu:avx512": ("avx512f",),
    "cpu:avx512_vnni": ("avx512f", "avx512vnni"),
}


@pytest.mark.parametrize(
    ("features", "name"),
    [((), "cpu:scalar"), (("avx2",), "cpu:scalar"), (("avx2", "fma"), "cpu:avx2"),
     (("avx2", "fma", "avx512f"), "cpu:avx512"), (("avx512f", "avx512vnni"), "cpu:avx512_vnni")],
)  # fmt: skip
def test_the_best_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, features: tuple[str, ...], name: str
) -> None:
    claim(monkeypatch, *features)
    assert detect.best(TARGETS, detect.read(tmp_path)) == name


def test_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(monkeypatch, "avx2")
    host = detect.read(tmp_path)
    assert detect.missing(("avx2", "fma", "avx512f"), host) == ("fma", "avx512f")
    with pytest.raises(Unavailable) as caught:
        detect.best({"cpu:avx512": ("avx512f",)}, host)
    assert str(caught.value) == (
        "error: This processor, unknown processor, runs none of the targets cpu:avx512.\n"
        "  hint: `convjit targets` shows what each of them needs."
    )


def test_the_named_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(monkeypatch, "sse2")
    plain = detect.read(tmp_path)
    assert detect.best_target(machines.MACHINES, plain) == "cpu:scalar"
    flags = " ".join(("sse2", *machines.get("cpu:avx512_bf16").required))
    newest = machine(tmp_path, {"proc/cpuinfo": f"flags : {flags}\n"})
    assert detect.best_target(machines.MACHINES, newest) == "cpu:avx512_bf16"
    assert detect.best_target(machines.MACHINES).startswith("cpu:")
