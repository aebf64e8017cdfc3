"""The object cache: misses, damage, folders that are not to be trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from convjit.runtime import cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CONVJIT_CACHE_DIR", str(tmp_path / "objects"))
    monkeypatch.delenv("CONVJIT_CACHE", raising=False)
    return tmp_path / "objects"


def test_an_entry_is_made_once(folder: Path) -> None:
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        return b"code"

    name = cache.key("text", "haswell", "+avx2")
    assert [cache.cached(name, make), cache.cached(name, make)] == [b"code", b"code"]
    assert made == [1]
    assert cache.info().entries == 1
    assert cache.info().bytes == len(b"convjit object 1\n") + 32 + 4
    assert cache.info().folder == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_keys_tell_everything_apart() -> None:
    keys = {
        cache.key(*parts) for parts in ((), ("a",), ("b",), ("a", "b"), ("ab",), (("a", "b"),), (1,), ("1",))
    }
    assert len(keys) == 8


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "other"])
def test_a_damaged_entry_is_a_miss(folder: Path, damage: str) -> None:
    name, other = cache.key("one"), cache.key("two")
    assert cache.put(name, b"machine code")
    assert cache.put(other, b"another")
    path = folder / f"{name}.obj"
    content = path.read_bytes()
    damaged = {
        "cut": content[:-1],
        "flip": content[:-1] + bytes([content[-1] ^ 1]),
        "empty": b"",
        "other": (folder / f"{other}.obj").read_bytes(),
    }
    path.write_bytes(damaged[damage])
    assert cache.get(name) is None
    assert cache.cached(name, lambda: b"again") == b"again"
    assert cache.get(name) == b"again"


def test_clear_removes_entries_and_nothing_else(folder: Path) -> None:
    for text in "abc":
        cache.put(cache.key(text), b"x")
    (folder / "notes.txt").write_text("mine")
    assert cache.clear() == 3
    assert cache.info().entries == 0
    assert (folder / "notes.txt").read_text() == "mine"
    assert cache.clear() == 0


def test_it_can_be_turned_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = cache.key("one")
    cache.put(name, b"x")
    monkeypatch.setenv("CONVJIT_CACHE", "0")
    assert cache.get(name) is None
    assert not cache.put(name, b"y")
    assert cache.info().problem == "The cache is turned off (CONVJIT_CACHE=0)."


def test_a_folder_that_everybody_may_write_is_not_used(folder: Path) -> None:
    name = cache.key("one")
    cache.put(name, b"x")
    folder.chmod(0o777)
    assert cache.get(name) is None
    assert not cache.put(name, b"y")
    assert cache.info().problem == (
        f"Everybody may write into {folder}, and code from it is not run: chmod o-w {folder}"
    )


def test_a_folder_of_another_user_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = cache.key("one")
    cache.put(name, b"x")
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    assert cache.get(name) is None
    assert (
        cache.info().problem == f"The folder {folder} belongs to another user, and code from it is not run."
    )


def test_a_file_in_its_place_is_no_error(folder: Path) -> None:
    folder.write_text("I am a file")
    name = cache.key("one")
    assert cache.get(name) is None
    assert not cache.put(name, b"x")
    assert cache.cached(name, lambda: b"made") == b"made"
    assert cache.info() == cache.CacheInfo(folder, 0, 0, f"{folder} is not a folder.")


def test_a_folder_that_cannot_be_read_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.parent.joinpath("file").write_text("")
    monkeypatch.setenv("CONVJIT_CACHE_DIR", str(folder.parent / "file" / "below"))
    assert cache.get("x" * 64) is None
    assert cache.info().problem == f"The folder {folder.parent}/file/below cannot be read: Not a directory."


def test_no_space_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_source: str, _target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert not cache.put(cache.key("one"), b"x")
    assert list(folder.iterdir()) == []


def test_the_users_own_folder_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONVJIT_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.folder() == Path("/somewhere/convjit")
