"""Every environment variable that convjit reads, each as one typed descriptor.

A value is read when it is asked for, so that a test or a user may change the environment of a running process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

from convjit.errors import ConvError

T = TypeVar("T")


class Setting(Generic[T]):
    """An environment variable: its name, how its text becomes a value, what holds when it is unset."""

    def __init__(self, variable: str, read: Callable[[str], T], default: T, meaning: str) -> None:
        self.variable = variable
        self.read = read
        self.default = default
        self.meaning = meaning

    def __get__(self, owner: object, owner_type: type | None = None) -> T:
        text = os.environ.get(self.variable, "").strip()
        if not text:
            return self.default
        try:
            return self.read(text)
        except ValueError as error:
            raise ConvError.of(
                f"The environment variable {self.variable} is '{text}': {error}.",
                note=f"{self.variable}: {self.meaning}.",
                hint=f"Correct it, or run `unset {self.variable}`.",
            ) from None


def _switch(text: str) -> bool:
    if text.lower() in ("1", "on", "true", "yes"):
        return True
    if text.lower() in ("0", "off", "false", "no"):
        return False
    raise ValueError("it must be 0 or 1")


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 4096:
        raise ValueError("it must be a whole number from 1 to 4096")
    return int(text)


def _words(text: str) -> frozenset[str]:
    words = frozenset(text.replace(",", " ").split())
    unknown = sorted(words - {"profile", "calls"})
    if unknown:
        raise ValueError(f"it knows the words profile and calls, not '{unknown[0]}'")
    return words


class Settings:
    """The settings as attributes: `settings.threads`, `settings.cache`, …"""

    verbose = Setting("CONVJIT_VERBOSE", _words, frozenset[str](), "words: profile (time of each stage), calls")
    cache = Setting("CONVJIT_CACHE", _switch, True, "0 turns the cache of compiled objects off")
    cache_dir = Setting[str | None]("CONVJIT_CACHE_DIR", str, None, "folder of the cache of compiled objects")
    verify = Setting("CONVJIT_VERIFY", _switch, False, "1 checks the intermediate form after every pass")
    target = Setting[str | None]("CONVJIT_TARGET", str, None, "target where neither spec nor call names one")
    threads = Setting[int | None]("CONVJIT_THREADS", _count, None, "number of CPU workers")
    debug = Setting("CONVJIT_DEBUG", _switch, False, "1 makes the command line show where a bug was met")
    perf_map = Setting("CONVJIT_PERF_MAP", _switch, False, "1 writes symbol names for Linux perf")


settings = Settings()


def all_settings() -> tuple[Setting[object], ...]:
    """The descriptors, in the order in which they are written above."""
    return tuple(value for value in vars(Settings).values() if isinstance(value, Setting))
