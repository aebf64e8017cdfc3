"""`convjit run`: data from files and made, results checked, statuses."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from convjit.cli import run, runner
from convjit.cli.stored import Array
from convjit.dsl.parse import parse
from convjit.spec.check import Verdict
from convjit.spec.from_ast import lower
from convjit.spec.reference import reference
from tests.cli.helpers import OPEN, SMALL, CommandLine

SPEC = lower(parse(SMALL))["small"]
TWO = SMALL + SMALL.replace("small", "second").replace("C=3", "C=2")


def arrays(seed: int = 0) -> tuple[Array, Array]:
    """Whole numbers, so that every order of adding up is exact."""
    stream = np.random.default_rng(seed)
    x = stream.integers(-4, 5, (1, 5, 6, 3)).astype(np.float32)
    return x, stream.integers(-4, 5, (3, 3, 4, 3)).astype(np.float32)


def test_data_is_made_and_the_result_is_right(convjit: CommandLine) -> None:
    outcome = convjit("run", convjit.file(SMALL), "--target", "cpu:scalar", "--threads", "1")
    assert (outcome.status, outcome.err) == (0, "")
    text = re.sub(
        r"\d+\.\d+ (ms|us)|\d+(\.\d+)?(e-\d+)?%?(?= GFLOP|%|,| \(| of the|: right)", "#", outcome.out
    )
    lines = text.splitlines()
    assert lines[0] == "small: output_stationary (auto) on cpu:scalar, 1 thread"
    assert lines[1] == "  x  f32[N=#, H=#, W=#, C=3]      made, seed 0"
    assert lines[-2].startswith("  NRMSE ") and lines[-2].endswith(": right")
    assert lines[-1].startswith("  median time ") and lines[-1].endswith("measured with scalar fma")


def test_the_same_seed_makes_the_same_data(convjit: CommandLine) -> None:
    path = convjit.file(SMALL)
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert convjit("run", path, "--seed", seed, "--out", f"{name}.npy").status == 0
    a, b, c = (np.load(f"{name}.npy") for name in "abc")
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_npy_in_npy_out(convjit: CommandLine) -> None:
    x, w = arrays()
    np.save("x.npy", x)
    np.save("w.npy", w)
    outcome = convjit(
        "run", convjit.file(SMALL), "--tensor", "x=x.npy", "--weight", "w.npy", "--out", "y.npy"
    )
    assert outcome.status == 0
    assert "from x.npy" in outcome.out and "from w.npy" in outcome.out and "written to y.npy" in outcome.out
    assert "NRMSE 0, max error 0 (0.0% of the bound): right" in outcome.out
    np.testing.assert_array_equal(np.load("y.npy"), reference(SPEC, x, w))


def test_orders_and_byte_orders_of_npy(convjit: CommandLine) -> None:
    x, w = arrays()
    np.save("x.npy", np.asfortranarray(x).astype(">f4"))
    np.save("w.npy", np.asfortranarray(w))
    assert (
        convjit("run", convjit.file(SMALL), "--input", "x.npy", "--weight", "w.npy", "--out", "y.npy").status
        == 0
    )
    np.testing.assert_array_equal(np.load("y.npy"), reference(SPEC, x, w))


def test_npz_by_key_and_alone(convjit: CommandLine) -> None:
    x, w = arrays()
    np.savez("both.npz", first=x, second=w)
    np.savez_compressed("one.npz", w)
    path = convjit.file(SMALL)
    words = ["--tensor", "x=both.npz:first", "--weight", "one.npz", "--out", "y.npy"]
    outcome = convjit("run", path, *words)
    assert outcome.status == 0, outcome.err
    assert "from both.npz:first" in outcome.out and "from one.npz:arr_0" in outcome.out
    np.testing.assert_array_equal(np.load("y.npy"), reference(SPEC, x, w))


def write_bin(path: str, array: Array) -> None:
    Path(path).write_bytes(np.array(array.shape, "<i4").tobytes() + array.astype("<f4").tobytes())


def test_bin_is_turned_into_the_order_of_the_program(convjit: CommandLine) -> None:
    x, w = arrays()
    write_bin("x.bin", x)
    write_bin("w.bin", w)
    text = SMALL.replace("[N=1, H=5, W=6, C=3]", "[N=1, C=3, W=6, H=5]").replace(
        "[KH=3, KW=3, OC=4, IC=3]", "[OC=4, IC=3, KH=3, KW=3]"
    )
    text = text.replace("[N, OH, OW, OC]", "[N, OH, OW, OC]")
    outcome = convjit("run", convjit.file(text), "--input", "x.bin", "--weight", "w.bin", "--out", "y.npy")
    assert outcome.status == 0, outcome.err
    np.testing.assert_array_equal(np.load("y.npy"), reference(SPEC, x, w))


def test_several_blocks_run_one_after_the_other(convjit: CommandLine) -> None:
    outcome = convjit("run", convjit.file(TWO), "--out", "y.npy")
    assert outcome.status == 0
    assert [line.split(":")[0] for line in outcome.out.splitlines() if line and line[0] != " "] == [
        "small",
        "second",
    ]
    assert np.load("y-small.npy").shape == np.load("y-second.npy").shape == (1, 5, 6, 4)


def test_a_tensor_of_one_block(convjit: CommandLine) -> None:
    np.save("x.npy", arrays()[0])
    outcome = convjit("run", convjit.file(TWO), "--tensor", "small.x=x.npy")
    assert outcome.status == 0
    assert outcome.out.count("from x.npy") == 1


def test_a_wrong_block_does_not_keep_the_others_from_running(convjit: CommandLine) -> None:
    np.save("x.npy", arrays()[0])
    outcome = convjit("run", convjit.file(TWO), "--tensor", "x=x.npy")
    assert outcome.status == 2
    assert "small: output_stationary" in outcome.out and "second" not in outcome.out
    assert "'x.npy' has the shape [1, 5, 6, 3]; 'x' needs [N=1, H=5, W=6, C=2]." in outcome.err


def test_open_sizes_by_option_by_file_and_by_default(convjit: CommandLine) -> None:
    path = convjit.file(OPEN)
    assert "x  f32[N=4, H=9, W=6, C=3]" in convjit("run", path, "--size", "N=4", "--size", "H=9").out
    np.save("x.npy", np.ones((2, 7, 6, 3), np.float32))
    assert "x  f32[N=2, H=7, W=6, C=3]" in convjit("run", path, "--input", "x.npy").out
    assert "x  f32[N=1, H=56, W=6, C=3]" in convjit("run", path).out


def test_an_open_size_that_the_file_does_not_have(convjit: CommandLine) -> None:
    np.save("x.npy", np.ones((2, 7, 6, 3), np.float32))
    outcome = convjit("run", convjit.file(OPEN), "--input", "x.npy", "--size", "N=3")
    assert outcome.status == 2
    assert "'x.npy' has the shape [2, 7, 6, 3]; 'x' needs [N=3, H=7, W=6, C=3]." in outcome.err
    assert "N is 3 here, 2 there" in outcome.err


def test_an_open_size_that_is_too_small(convjit: CommandLine) -> None:
    outcome = convjit("run", convjit.file(OPEN), "--size", "H=2")
    assert outcome.status == 2
    assert "error: H=2 leaves nothing of the output of 'open'." in outcome.err
    assert "note: The kernel spans 3 along H." in outcome.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "N"], "'--size N' is no size.\n  hint: Write --size N=4: an axis and a number from 1."),
        (["--size", "N=0"], "'--size N=0' is no size.\n  hint: Write --size N=4: an axis and a number from 1."),
        (["--size", "N=-3"], "'--size N=-3' is no size.\n  hint: Write --size N=4: an axis and a number from 1."),
        (["--size", "N=4", "--size", "N=5"], "--size gives N twice, 4 and 5."),
        (["--size", "W=4"], "'--size W=4' is for an axis that is open, and 'W' is not.\n"
         "  note: Open are H, N.\n  hint: Write W=? there."),
        (["--size", "M=4"], "'--size M=4' is for an axis that is open, and 'M' is not.\n  note: Open are H, N."),
        (["--tensor", "x"], "'--tensor x' is no array.\n  hint: Write --tensor x=x.npy: a tensor and a file."),
        (["--tensor", "x=a.npy", "--tensor", "x=b.npy"], "--tensor gives 'x' twice: a.npy and b.npy."),
        (["--tensor", "xx=a.npy"], "--tensor xx=a.npy: there is no tensor 'xx' that takes data.\n"
         "  note: The tensors are w, x.\n  hint: Did you mean 'x'?"),
        (["--tensor", "y=a.npy"], "--tensor y=a.npy: there is no tensor 'y' that takes data.\n"
         "  note: The tensors are w, x.\n  hint: 'y' is the output; --out writes it."),
        (["--out", "y.txt"], "The output 'y.txt' must be an .npy file.\n  hint: Write y.npy."),
        (["--out", "no/y.npy"], "The output 'no/y.npy' cannot be written: there is no folder 'no'."),
        (["--threads", "0"], "The number of threads is 0; it must be a whole number from 1 to 1024."),
        (["--threads", "x"], "Invalid value for '--threads': 'x' is not a valid integer.\n"
         "  hint: `convjit run --help` shows what it takes."),
        (["--target", "cpu:axv2"], "Unknown target 'cpu:axv2'."),
    ],
)  # fmt: skip
def test_wrong_options(convjit: CommandLine, words: list[str], message: str) -> None:
    outcome = convjit("run", convjit.file(OPEN), *words)
    assert outcome.status == 2
    assert outcome.err.startswith(f"error: {message}\n")
    assert not outcome.out


def test_two_files_for_one_tensor(convjit: CommandLine) -> None:
    outcome = convjit("run", convjit.file(SMALL), "--input", "a.npy", "--tensor", "x=b.npy")
    assert outcome.status == 2
    assert "error: Two files are given for 'x': a.npy and b.npy.\n" in outcome.err


def test_a_shape_that_does_not_fit_is_shown_in_the_program(convjit: CommandLine) -> None:
    np.save("x.npy", np.ones((1, 5, 6, 4), np.float32))
    path = convjit.file(SMALL)
    outcome = convjit("run", path, "--tensor", "x=x.npy")
    assert outcome.status == 2
    assert outcome.err == (
        f"{path}:2:12: error: 'x.npy' has the shape [1, 5, 6, 4]; 'x' needs [N=1, H=5, W=6, C=3].\n"
        "    2 |     input  x : f32[N=1, H=5, W=6, C=3]\n"
        "      |            ^ C is 3 here, 4 there\n"
    )


def test_a_bin_file_that_does_not_fit_is_shown_in_the_program(convjit: CommandLine) -> None:
    write_bin("x.bin", np.ones((1, 5, 6, 4), np.float32))
    text = SMALL.replace("[N=1, H=5, W=6, C=3]", "[N=1, C=3, H=5, W=6]")
    outcome = convjit("run", convjit.file(text), "--tensor", "x=x.bin")
    assert outcome.status == 2
    assert "'x.bin' has the shape [1, 5, 6, 4]; 'x' needs [N=1, H=5, W=6, C=3]." in outcome.err
    assert "^ C is 3 here, 4 there" in outcome.err


def test_all_files_that_do_not_fit_are_named_at_once(convjit: CommandLine) -> None:
    np.save("x.npy", np.ones((1, 3, 5, 6), np.float32))
    np.save("w.npy", np.ones((3, 3, 4), np.float64))
    outcome = convjit("run", convjit.file(SMALL), "--input", "x.npy", "--weight", "w.npy")
    assert outcome.status == 2
    assert "hint: The file's order would be [N, C, H, W]." in outcome.err
    assert "'w.npy' does not have the type of 'w', f32." in outcome.err
    assert "holds float64\n  hint: Convert it: array.astype('float32')." in outcome.err
    assert "4 axes here, 3 in the file" in outcome.err


def test_equal_sizes_in_another_order(convjit: CommandLine) -> None:
    np.save("w.npy", np.ones((4, 3, 3, 3), np.float32))
    outcome = convjit("run", convjit.file(SMALL), "--weight", "w.npy")
    assert "hint: The file has the same sizes in another order." in outcome.err


def test_bin_of_a_one_dimensional_convolution(convjit: CommandLine) -> None:
    write_bin("x.bin", np.ones((1, 5, 6, 4), np.float32))
    text = "conv c { input x : f32[N=1, W=6, C=3]; weight w : f32[KW=3, OC=4, IC=3] }"
    outcome = convjit("run", convjit.file(text), "--input", "x.bin")
    assert outcome.status == 2
    assert (
        "'x.bin' is for a 2-D convolution: a .bin file of this kind has the axes N, H, W, C." in outcome.err
    )


def test_sizes_beyond_memory_are_refused_before_anything_is_allocated(convjit: CommandLine) -> None:
    path = convjit.file(SMALL.replace("H=5", "H=2^20").replace("W=6", "W=2^20"))
    outcome = convjit("run", path)
    assert outcome.status == 2
    assert "error: The tensors of 'small' do not fit into memory." in outcome.err
    assert "^ 16.0 TiB\n  note: 'small' and its check take about 168.0 TiB; " in outcome.err


def test_open_sizes_beyond_memory(convjit: CommandLine) -> None:
    outcome = convjit("run", convjit.file(OPEN), "--size", "N=999999999999999")
    assert outcome.status == 2
    assert "error: The tensors of 'open' do not fit into memory." in outcome.err


def test_a_target_that_this_machine_lacks(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "missing", lambda required: ("avx512f",))
    outcome = convjit("run", convjit.file(SMALL), "--target", "cpu:avx512")
    assert outcome.status == 3
    assert outcome.err == (
        "error: This machine cannot run cpu:avx512: it has no avx512f.\n"
        "  hint: `convjit dump FILE --stage asm --target cpu:avx512` shows its code; `convjit targets` what runs here.\n"
    )


def test_a_wrong_result_is_status_1(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoiled(*words: object) -> runner.Measured:
        measured = runner.run_on(*words)  # type: ignore[arg-type]
        measured.result[0, 2, 3, 1] += 1
        return measured

    monkeypatch.setattr(run, "run_on", spoiled)
    outcome = convjit("run", convjit.file(SMALL))
    assert outcome.status == 1
    text = (
        "WRONG: 1 elements are further from the reference than rounding explains, the first at [0, 2, 3, 1]"
    )
    assert text in outcome.out


def test_the_gravest_of_several_statuses(convjit: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Verdict(1.0, 1.0, 2.0, 3, (0, 0, 0, 0), exact=True)
    monkeypatch.setattr(run, "compare", lambda *words: wrong)
    np.save("x.npy", arrays()[0])
    outcome = convjit("run", convjit.file(TWO), "--tensor", "x=x.npy")
    assert outcome.status == 1
    assert "WRONG: 3 elements differ from the exact result, the first at [0, 0, 0, 0]" in outcome.out
    assert "'x.npy' has the shape" in outcome.err


def test_an_output_that_cannot_be_written(convjit: CommandLine) -> None:
    (convjit.folder / "y.npy").mkdir()
    outcome = convjit("run", convjit.file(SMALL), "--out", "y.npy")
    assert outcome.status == 2
    assert outcome.err == "error: The output 'y.npy' cannot be written: Is a directory.\n"
    assert sorted(path.name for path in convjit.folder.iterdir()) == ["a.conv", "cache", "y.npy"]


def test_the_interpreter_runs_too(convjit: CommandLine) -> None:
    outcome = convjit("run", convjit.file(SMALL), "--target", "interpret")
    assert outcome.status == 0
    assert outcome.out.startswith("small: output_stationary (auto) on interpret, the kernel for cpu:scalar\n")
    assert ": right\n" in outcome.out


AUTO = """\
conv auto {
    input  x : f32[N=?, H=5, W=6, C=3]
    weight w : f32[KH=3, KW=3, OC=4, IC=3]
    param  s : f32[OC] = (1, 2, 3, 4)
    compute i8 scale auto
    then scale s per OC
}
"""


def test_scales_are_found_for_the_data_of_the_run(convjit: CommandLine) -> None:
    outcome = convjit("run", convjit.file(AUTO), "--target", "cpu:scalar")
    assert (outcome.status, outcome.err) == (0, "")
    found = re.search(r"calibrated on these data: (compute i8 scale x \S+, w \S+ round half_even)\n", outcome.out)
    assert found and re.search(r"  s  f32\[OC=4\] +of the program\n", outcome.out)
    fixed = convjit("run", convjit.file(AUTO.replace("compute i8 scale auto", found[1])), "--target", "cpu:scalar")
    line = next(line for line in outcome.out.splitlines() if "exact: every element" in line)
    assert line in fixed.out and "calibrated" not in fixed.out


def test_scales_that_data_do_not_have(convjit: CommandLine) -> None:
    np.save(convjit.folder / "x.npy", np.zeros((1, 5, 6, 3), np.float32))
    outcome = convjit("run", convjit.file(AUTO), "--input", "x.npy")
    assert outcome.status == 2 and "The array 'x' holds nothing but zeros." in outcome.err


@pytest.mark.parametrize("command", [("explain",), ("dump", "--stage", "nest")])
def test_without_data_there_are_no_scales(convjit: CommandLine, command: tuple[str, ...]) -> None:
    outcome = convjit(command[0], convjit.file(AUTO), *command[1:])
    assert outcome.status == 3 and outcome.out == ""
    assert "'scale auto' needs data to take its scales from." in outcome.err
    assert "hint: convjit.calibrate(spec, x, w) finds the scales for data" in outcome.err
