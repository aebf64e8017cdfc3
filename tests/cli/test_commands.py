"""Commands and their words: what each prints, and what a wrong word gets."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from convjit import __version__, machine
from convjit.cli.commands import COMMANDS, LATER
from convjit.pipeline import STAGES
from tests.cli.helpers import OPEN, SMALL, CommandLine

SECOND = SMALL.replace("small", "second")


def test_without_a_command_the_help_is_shown(convjit: CommandLine) -> None:
    outcome = convjit()
    assert outcome.status == 2
    assert all(name in outcome.err for name in (*COMMANDS, *LATER))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(convjit: CommandLine, command: str) -> None:
    outcome = convjit(command, "--help")
    assert outcome.status == 0
    assert outcome.out.startswith(f"Usage: convjit {command}")


def test_version(convjit: CommandLine) -> None:
    assert convjit("--version").out == f"convjit, version {__version__}\n"


def test_an_unknown_command_is_answered_with_the_nearest(convjit: CommandLine) -> None:
    outcome = convjit("dmp", "a.conv")
    assert outcome.status == 2
    assert outcome.err == (
        "error: There is no command 'dmp'. Did you mean 'dump'?\n  hint: `convjit --help` shows what it takes.\n"
    )


def test_an_unknown_option(convjit: CommandLine) -> None:
    outcome = convjit("run", "--tenser", "x=x.npy", "a.conv")
    assert outcome.status == 2
    assert "No such option" in outcome.err and "--tensor" in outcome.err


@pytest.mark.parametrize("command", LATER)
def test_what_is_not_implemented_says_so(convjit: CommandLine, command: str) -> None:
    outcome = convjit(command, "a.conv", "--any", "thing")
    assert (outcome.status, outcome.err) == (3, f"error: 'convjit {command}' is not implemented yet.\n")


def test_targets_lists_every_machine_once(convjit: CommandLine) -> None:
    outcome = convjit("targets")
    first, _, head, *rows = outcome.out.splitlines()
    assert outcome.status == 0
    assert "target cpu is cpu:" in first
    assert head.split()[0] == "target"
    assert [row.split()[0] for row in rows] == list(machine.NAMES)
    assert next(row for row in rows if row.startswith("cpu:scalar")).endswith("GFLOP/s")


def test_cache_counts_and_clears(convjit: CommandLine) -> None:
    assert "objects: 0\n" in convjit("cache").out
    assert convjit("run", convjit.file(SMALL)).status == 0
    shown = convjit("cache", "info").out
    assert str(convjit.folder / "cache") in shown and "objects: 0\n" not in shown
    assert convjit("cache", "clear").out.startswith("removed: ")
    assert "objects: 0\n" in convjit("cache").out


def test_cache_that_is_turned_off_says_so(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVJIT_CACHE", "0")
    assert "not used: The cache is turned off (CONVJIT_CACHE=0)." in convjit("cache").out


def test_cache_with_an_unknown_action(convjit: CommandLine) -> None:
    outcome = convjit("cache", "clean")
    assert outcome.status == 2
    assert outcome.err == "error: The cache has no action 'clean'.\n  hint: Did you mean 'clear'?\n"


@pytest.mark.parametrize("stage", [s.name for s in STAGES if "cpu" in s.runners])
def test_dump_of_every_stage_of_the_cpu(convjit: CommandLine, stage: str) -> None:
    outcome = convjit("dump", convjit.file(SMALL), "--stage", stage, "--target", "cpu:avx2")
    assert outcome.status == 0
    assert len(outcome.out) > 50 and not outcome.err


def test_dump_of_code_that_cannot_run_here(convjit: CommandLine) -> None:
    path = convjit.file(SMALL.replace("OC=4", "OC=32"))
    assert "zmm" in convjit("dump", path, "--stage", "asm", "--target", "cpu:avx512").out
    assert "zmm" not in convjit("dump", path, "--stage", "asm", "--target", "cpu:avx2").out


def test_dump_of_an_unknown_stage(convjit: CommandLine) -> None:
    outcome = convjit("dump", convjit.file(SMALL), "--stage", "nets")
    assert outcome.status == 2
    assert outcome.err.startswith(
        "error: There is no stage 'nets'.\n  note: The stages are ast spec schedule nest "
    )
    assert outcome.err.endswith("  hint: Did you mean 'nest'?\n")


def test_dump_of_what_cannot_be_compiled_yet(convjit: CommandLine) -> None:
    path = convjit.file(SMALL.replace("conv small", "conv small transposed").replace("pad same", ""))
    assert "conv small transposed {" in convjit("dump", path, "--stage", "spec").out
    outcome = convjit("dump", path, "--stage", "nest")
    assert outcome.status == 3
    assert "A transposed convolution is not implemented yet." in outcome.err


def test_dump_of_one_block_and_of_all(convjit: CommandLine) -> None:
    path = convjit.file(SMALL + SECOND)
    both = convjit("dump", path, "--stage", "spec").out
    assert "conv small {" in both and "conv second {" in both
    one = convjit("dump", path, "--stage", "spec", "--block", "second").out
    assert "conv small {" not in one and "conv second {" in one


def test_dump_of_an_unknown_block(convjit: CommandLine) -> None:
    outcome = convjit("dump", convjit.file(SMALL), "--stage", "spec", "--block", "smal")
    assert outcome.status == 2
    assert outcome.err == (
        f"error: '{convjit.folder / 'a.conv'}' has no block 'smal'.\n"
        "  note: Its blocks are small.\n  hint: Did you mean 'small'?\n"
    )


def test_what_dump_prints_compiles_again(convjit: CommandLine) -> None:
    path = convjit.file(SMALL)
    again = convjit.file(convjit("dump", path, "--stage", "spec").out, "b.conv")
    assert convjit("dump", again, "--stage", "llvm").out == convjit("dump", path, "--stage", "llvm").out


def test_explain_names_dataflow_and_instructions(convjit: CommandLine) -> None:
    outcome = convjit("explain", convjit.file(SMALL), "--target", "cpu:avx2")
    assert outcome.status == 0
    assert "small on cpu:avx2" in outcome.out and "dataflow" in outcome.out and "fma" in outcome.out


def test_bench_without_peers_times_ours(convjit: CommandLine) -> None:
    outcome = convjit("bench", convjit.file(SMALL), "--target", "cpu:scalar", "--threads", "1")
    assert outcome.status == 0
    assert outcome.out.startswith("small on cpu:scalar, 1 thread\n")
    assert outcome.out.splitlines()[-1].startswith("convjit ")


def test_bench_with_an_unknown_peer(convjit: CommandLine) -> None:
    outcome = convjit("bench", convjit.file(SMALL), "--against", "tourch")
    assert outcome.status == 2
    assert outcome.err == (
        "error: There is no peer 'tourch'.\n  note: The peers are torch, onnxruntime, openvino.\n"
        "  hint: Did you mean 'torch'?\n"
    )


def test_bench_with_a_peer_that_is_not_there(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    outcome = convjit("bench", convjit.file(SMALL), "--against", "openvino")
    assert outcome.status == 3
    assert outcome.err.startswith("error: 'openvino' is not installed.\n  hint: pip install openvino")


def test_bench_of_steps_that_peers_do_not_know(convjit: CommandLine) -> None:
    path = convjit.file(SMALL.replace("pad same", "pad same\n    then relu6"))
    outcome = convjit("bench", path, "--against", "torch")
    assert outcome.status == 3
    assert outcome.err == "error: The comparison with torch does not know 'then relu6'.\n"


@pytest.mark.parametrize("peer", ["torch", "onnxruntime", "openvino"])
def test_bench_beside_a_peer(convjit: CommandLine, peer: str) -> None:
    pytest.importorskip(peer)
    pytest.importorskip("onnx")
    bias = SMALL.replace("    output", "    bias   b : f32[OC]\n    output").replace(
        "pad same", "pad ((1, 0), (2, 1))\n then relu"
    )
    outcome = convjit("bench", convjit.file(bias), "--against", peer, "--threads", "1")
    assert outcome.status == 0, outcome.err
    assert any(line.startswith(peer) for line in outcome.out.splitlines())


def test_bench_with_open_sizes(convjit: CommandLine) -> None:
    outcome = convjit("bench", convjit.file(OPEN), "--size", "N=2", "--size", "H=7")
    assert outcome.status == 0


@pytest.mark.parametrize("command", ["run", "explain", "bench", "dump"])
def test_a_file_that_is_not_there(convjit: CommandLine, command: str) -> None:
    more = ["--stage", "nest"] if command == "dump" else []
    outcome = convjit(command, "nothing.conv", *more)
    assert outcome.status == 2
    assert outcome.err == "error: There is no file 'nothing.conv'.\n"


@pytest.mark.parametrize("command", ["run", "explain", "bench", "dump"])
def test_an_unknown_target(convjit: CommandLine, command: str) -> None:
    more = ["--stage", "nest"] if command == "dump" else []
    outcome = convjit(command, convjit.file(SMALL), "--target", "cpu:avx3", *more)
    assert outcome.status == 2
    assert outcome.err.startswith("error: Unknown target 'cpu:avx3'.\n")
    assert "Did you mean 'cpu:avx2'?" in outcome.err


@pytest.mark.parametrize("name", sorted(p.stem for p in Path(__file__).parents[1].glob("errors/*.conv")))
def test_every_wrong_program_is_refused(convjit: CommandLine, name: str) -> None:
    path = Path(__file__).parents[1] / "errors" / f"{name}.conv"
    calibrates = name == "unavailable_auto_scale"  # `run` has data for it
    outcome = convjit("dump", path, "--stage", "nest") if calibrates else convjit("run", path)
    assert outcome.status == (3 if name.startswith("unavailable") else 2), outcome.err
    assert not outcome.out
    assert "error: " in outcome.err


def test_a_folder_is_no_program(convjit: CommandLine) -> None:
    outcome = convjit("run", convjit.folder)
    assert outcome.status == 2
    assert outcome.err == f"error: '{convjit.folder}' cannot be read: Is a directory.\n"


def test_damaged_programs_are_refused_or_printed(convjit: CommandLine) -> None:
    """Whatever is in a file, the status is one of those that are promised."""
    stream = random.Random(0)
    good = [path.read_bytes() for path in sorted((Path(__file__).parents[2] / "examples").glob("*.conv"))]
    path = convjit.folder / "a.conv"
    seen = set()
    for _ in range(150):
        content = bytearray(stream.choice(good))
        for _ in range(stream.randrange(6)):
            at = stream.randrange(len(content))
            content[at : at + stream.randrange(3)] = stream.randbytes(stream.randrange(3))
        path.write_bytes(content)
        outcome = convjit("dump", path, "--stage", stream.choice(["ast", "spec"]))
        seen.add(outcome.status)
        assert outcome.status in (0, 2), outcome.err
        assert bool(outcome.out) == (outcome.status == 0)
        assert bool(outcome.err) == (outcome.status != 0)
    assert seen == {0, 2}


def test_a_file_s_name_may_look_like_a_program(convjit: CommandLine) -> None:
    path = convjit.file(SMALL, "conv {1}.conv")
    assert convjit("dump", path, "--stage", "spec").status == 0
