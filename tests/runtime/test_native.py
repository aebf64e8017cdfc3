"""The runtime's own code: made once, reset in forked children on old and new C libraries."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import pytest

from convjit.errors import InternalError
from convjit.runtime import native
from convjit.runtime.assemble import assemble, load


def test_it_is_made_once() -> None:
    assert native.native() is native.native()


@pytest.mark.parametrize("name", ["pthread_atfork", "__register_atfork"])
def test_a_fork_handler_that_cannot_be_set_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text = "define void @convjit.after_fork() {\n  ret void\n}\n"
    library = load(assemble(text, native.TARGET), ["convjit.after_fork"])
    given: list[tuple[object, ...]] = []

    def register(*handlers: object) -> int:
        given.append(handlers)
        return 12

    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(**{name: register}))
    with pytest.raises(InternalError, match="pthread_atfork failed with status 12"):
        native._on_fork(library)
    assert [getattr(h, "value", h) for h in given[0][:3]] == [
        None,
        None,
        library.address("convjit.after_fork"),
    ]
