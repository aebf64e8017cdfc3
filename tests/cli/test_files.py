"""Arrays in files: what is read, and what every kind of bad file gets."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from convjit.cli.files import open_array, save_array
from convjit.cli.inputs import load
from convjit.cli.stored import shape_of
from convjit.errors import ConvError, InternalError
from convjit.spec.tensor import Tensor


def header(text: str) -> bytes:
    """An .npy file without its data."""
    body = text.encode() + b" " * (118 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def refusal(place: str | os.PathLike[str], role: str = "input") -> str:
    """What is said about a file that cannot be used."""
    with pytest.raises(ConvError) as caught:
        open_array(str(place), role).load()
    return str(caught.value)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "dtype", [np.float32, np.float64, np.float16, np.int8, np.uint8, np.int16, np.int32, np.int64]
)
def test_round_trip(dtype: type) -> None:
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    save_array("a.npy", array)
    stored = open_array("a.npy", "input")
    assert (stored.shape, stored.dtype) == (array.shape, array.dtype)
    np.testing.assert_array_equal(stored.load(), array)


def test_round_trip_of_a_type_that_numpy_does_not_know() -> None:
    array = np.arange(6, dtype=np.float32).astype(ml_dtypes.bfloat16)
    save_array("a.npy", array)
    tensor = Tensor("b", "bias", "bf16", ("OC",), (6,))
    np.testing.assert_array_equal(load(tensor, open_array("a.npy", "bias")), array)


def test_saving_replaces_and_leaves_nothing_behind() -> None:
    save_array("a.npy", np.zeros(3))
    save_array("a.npy", np.ones(4))
    assert os.listdir() == ["a.npy"]
    np.testing.assert_array_equal(np.load("a.npy"), np.ones(4))
    assert os.stat("a.npy").st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o022))


def test_saving_where_nothing_can_be_written() -> None:
    Path("file").touch()
    with pytest.raises(
        ConvError, match=r"^error: The output 'file/a\.npy' cannot be written: there is no folder 'file'\.$"
    ):
        save_array("file/a.npy", np.zeros(3))


def test_a_file_that_is_not_there() -> None:
    for name in ("a.npy", "a.npz", "a.bin"):
        assert refusal(name) == f"error: The array '{name}' cannot be read: No such file or directory."


def test_a_folder() -> None:
    Path("a.npy").mkdir()
    assert refusal("a.npy") == "error: The array 'a.npy' cannot be read: Is a directory."


def test_a_name_with_a_null_byte() -> None:
    assert refusal("a\0.npy").endswith("cannot be read: embedded null byte.")


def test_an_unknown_ending() -> None:
    Path("a.txt").write_text("1 2 3")
    assert refusal("a.txt") == (
        "error: The array 'a.txt' is of no kind that is known.\n"
        "  hint: Arrays are read from .npy, .npz (file.npz:key) and .bin."
    )


def test_pickled_objects_are_not_loaded() -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, ("harm",)

    np.save("a.npy", np.array([Harm()], object), allow_pickle=True)
    text = "error: 'a.npy' holds Python objects, not numbers.\n  note: Such a file can run any code when it is loaded."
    assert refusal("a.npy") == text
    Path("b.npy").write_bytes(pickle.dumps(Harm()))
    assert refusal("b.npy").startswith("error: 'b.npy' is not an .npy file: ")
    np.savez("c.npz", np.array([Harm()], object))
    assert "holds Python objects" in refusal("c.npz")
    assert not Path("harm").exists()


def test_npy_that_is_empty_or_something_else() -> None:
    for content in (b"", b"\x93NUMPY", b"hello, this is text", b"\x93NUMPY\x09\x09" + bytes(100)):
        Path("a.npy").write_bytes(content)
        assert refusal("a.npy").startswith("error: 'a.npy' is not an .npy file: ")


def test_npy_whose_header_lies() -> None:
    shape = "(1000000, 1000000, 1000000)"
    Path("a.npy").write_bytes(
        header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}") + bytes(64)
    )
    assert refusal("a.npy") == (
        "error: 'a.npy' is cut short: its header says float32 [1000000, 1000000, 1000000], 4000000000000000000 bytes; "
        "64 are there."
    )
    Path("a.npy").write_bytes(
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }") + bytes(64)
    )
    assert "is cut short" in refusal("a.npy")


def test_npy_whose_header_is_code() -> None:
    Path("a.npy").write_bytes(
        header("{'descr': __import__('os').mkdir('harm'), 'fortran_order': 0, 'shape': ()}")
    )
    assert refusal("a.npy").startswith("error: 'a.npy' is not an .npy file: ")
    assert not Path("harm").exists()


def test_npy_that_is_cut_short() -> None:
    np.save("a.npy", np.zeros((3, 4), np.float32))
    whole = Path("a.npy").read_bytes()
    Path("a.npy").write_bytes(whole[:-1])
    text = "error: 'a.npy' is cut short: its header says float32 [3, 4], 48 bytes; 47 are there."
    assert refusal("a.npy") == text


def test_npy_that_shrinks_after_its_header_was_read() -> None:
    np.save("a.npy", np.zeros((3, 4), np.float32))
    stored = open_array("a.npy", "input")
    Path("a.npy").write_bytes(Path("a.npy").read_bytes()[:-8])
    with pytest.raises(ConvError, match=r"^error: 'a\.npy' is cut short: 40 bytes of 48 are there\.$"):
        stored.load()


def test_npz_keys() -> None:
    np.savez("a.npz", first=np.zeros(2), second=np.ones(2))
    assert refusal("a.npz") == "error: 'a.npz' holds 2 arrays: first, second.\n  hint: Name one: a.npz:first"
    assert refusal("a.npz:secnd") == (
        "error: 'a.npz' has no array 'secnd'.\n  note: Its arrays are first, second.\n  hint: Did you mean 'second'?"
    )
    assert open_array("a.npz:second", "input").load().tolist() == [1, 1]
    with zipfile.ZipFile("b.npz", "w"):
        pass
    assert refusal("b.npz") == "error: 'b.npz' holds 0 arrays: none."


def test_npz_that_is_none() -> None:
    Path("a.npz").write_bytes(b"PK but not really")
    assert refusal("a.npz") == "error: 'a.npz' is not an .npz file: File is not a zip file."


def test_npz_whose_data_are_damaged() -> None:
    np.savez("a.npz", np.arange(10_000.0))
    content = bytearray(Path("a.npz").read_bytes())
    content[70_000] ^= 255
    Path("a.npz").write_bytes(content)
    assert refusal("a.npz") == "error: 'a.npz' is damaged: Bad CRC-32 for file 'arr_0.npy'."


def test_npz_whose_array_is_shorter_than_it_says() -> None:
    memory = io.BytesIO()
    np.save(memory, np.zeros(4))
    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("x.npy", memory.getvalue()[:-1])
    assert refusal("a.npz").startswith(
        "error: 'a.npz' is cut short: its header says float64 [4], 32 bytes; 31 are there"
    )


def bin_file(shape: tuple[int, ...], data: bytes) -> None:
    Path("a.bin").write_bytes(np.array(shape, "<i4").tobytes() + data)


def test_bin() -> None:
    array = np.arange(24, dtype="<f4").reshape(1, 2, 3, 4)
    bin_file(array.shape, array.tobytes())
    for role, axes in (("input", ("N", "H", "W", "C")), ("weight", ("KH", "KW", "OC", "IC"))):
        stored = open_array("a.bin", role)
        assert stored.axes == axes
        np.testing.assert_array_equal(stored.load(), array)


def test_bin_for_a_vector() -> None:
    bin_file((1, 1, 1, 4), bytes(16))
    assert refusal("a.bin", "bias") == (
        "error: 'a.bin': a .bin file holds an input, a weight or a residual, and this is a bias.\n"
        "  hint: Give it as .npy."
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is cut short: the shape alone takes 16 bytes, 0 are there."),
        (bytes(15), "is cut short: the shape alone takes 16 bytes, 15 are there."),
        (bytes(16), "is not a .bin file: its shape would be [0, 0, 0, 0]."),
        (b"\xff" * 16, "is not a .bin file: its shape would be [-1, -1, -1, -1]."),
        (np.array([1, 2, 3, 4], "<i4").tobytes() + bytes(95), "has 111 bytes; its shape [1, 2, 3, 4] of float32 makes 112."),
        (np.array([1, 2, 3, 4], "<i4").tobytes() + bytes(97), "has 113 bytes; its shape [1, 2, 3, 4] of float32 makes 112."),
        (b"\xff\xff\xff\x7f" * 4, "has 16 bytes; its shape [2147483647, 2147483647, 2147483647, 2147483647] of float32 "
         f"makes {16 + 4 * (2**31 - 1) ** 4}."),
    ],
)  # fmt: skip
def test_bin_that_is_wrong(content: bytes, message: str) -> None:
    Path("a.bin").write_bytes(content)
    assert refusal("a.bin") == f"error: 'a.bin' {message}"


@pytest.mark.parametrize("ending", ["npy", "npz", "bin"])
def test_random_and_damaged_files_are_refused_or_read(ending: str) -> None:
    """Whatever is in a file, it is read as an array or refused with a sentence."""
    stream = random.Random(ending)
    np.save("good.npy", np.arange(60, dtype=np.float32).reshape(3, 4, 5, 1))
    np.savez("good.npz", np.arange(60, dtype=np.float32))
    Path("good.bin").write_bytes(np.array([3, 4, 5, 1], "<i4").tobytes() + bytes(240))
    good = Path(f"good.{ending}").read_bytes()
    for _ in range(300):
        content = bytearray(good)
        for _ in range(stream.randrange(1, 8)):
            content[stream.randrange(len(content) if stream.random() < 0.3 else 140)] = stream.randrange(256)
        content = content[: stream.randrange(len(content) + 1)] if stream.random() < 0.3 else content
        content = bytearray(stream.randbytes(stream.randrange(200))) if stream.random() < 0.1 else content
        Path(f"a.{ending}").write_bytes(content)
        try:
            array = open_array(f"a.{ending}", "input").load()
        except ConvError as error:
            assert str(error).startswith(("error: 'a.", "error: The array 'a."))
        else:
            assert array.nbytes <= len(content)


def test_the_shape_of_a_tensor_with_an_open_size() -> None:
    with pytest.raises(InternalError, match="^the tensor 'x' has an open size$"):
        shape_of(Tensor("x", "input", "f32", ("N", "W", "C"), (None, 3, 3)))
