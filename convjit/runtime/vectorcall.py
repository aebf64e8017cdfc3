"""A base class whose instances are called by machine code, without a Python frame in between.

An instance holds two words behind its object head: the address of a vectorcall function (PEP 590) and the address of
the record that this function reads. `function_object` gives the same call as a built-in function object
(METH_FASTCALL | METH_KEYWORDS), which Python 3.11 calls faster than an instance of a Python class.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from convjit.runtime.argument import HEAD
from convjit.runtime.call import RECORD

T = TypeVar("T")

_TP_CALL, _TP_DOC, _TP_MEMBERS = 50, 56, 72
_BASETYPE, _HAVE_VECTORCALL = 1 << 10, 1 << 11
_SSIZE, _READONLY = 19, 1
_FASTCALL_KEYWORDS = 0x80 | 0x02


class _Member(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("function", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("basicsize", ctypes.c_int),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.POINTER(_Slot)),
    ]


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("method", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_members = (_Member * 4)(
    _Member(b"__vectorcalloffset__", _SSIZE, HEAD, _READONLY, None),
    _Member(b"_entry", _SSIZE, HEAD, 0, None),
    _Member(b"_record", _SSIZE, RECORD, 0, None),
    _Member(),
)
_slots = (_Slot * 4)(
    _Slot(_TP_CALL, ctypes.cast(ctypes.pythonapi.PyVectorcall_Call, ctypes.c_void_p)),
    _Slot(_TP_MEMBERS, ctypes.cast(_members, ctypes.c_void_p)),
    _Slot(_TP_DOC, ctypes.cast(ctypes.c_char_p(b"An object that machine code calls."), ctypes.c_void_p)),
    _Slot(),
)
_spec = _Spec(b"convjit.runtime.vectorcall.MachineCallable", HEAD + 16, 0, _BASETYPE | _HAVE_VECTORCALL, _slots)


def _make_type() -> Any:
    make = ctypes.pythonapi.PyType_FromSpec
    make.restype, make.argtypes = ctypes.py_object, [ctypes.POINTER(_Spec)]
    return make(_spec)


if TYPE_CHECKING:

    class MachineCallable:
        """What `PyType_FromSpec` makes: `_entry` and `_record` are addresses, 0 until they are set."""

        _entry: int
        _record: int

        def __call__(self, *arrays: Any, **named: Any) -> Any: ...

else:
    MachineCallable = _make_type()


def called_directly(cls: type[T]) -> type[T]:
    """The class, whose instances the interpreter calls without packing arguments into a tuple and a dictionary.

    Before Python 3.12 a class made by a `class` statement does not inherit that; a subclass made in C can have it.
    """
    if sys.version_info >= (3, 12):
        return cls
    slots = (_Slot * 2)(_Slot(_TP_CALL, ctypes.cast(ctypes.pythonapi.PyVectorcall_Call, ctypes.c_void_p)), _Slot())
    name = f"{cls.__module__}.{cls.__qualname__}".encode()
    spec = _Spec(name, 0, 0, _BASETYPE | _HAVE_VECTORCALL, slots)
    make = ctypes.pythonapi.PyType_FromSpecWithBases
    make.restype, make.argtypes = ctypes.py_object, [ctypes.POINTER(_Spec), ctypes.py_object]
    made: type[T] = make(spec, (cls,))
    made.__doc__ = cls.__doc__
    _kept.append((name, slots, spec))
    return made


_kept: list[object] = []

_new_function = ctypes.pythonapi.PyCFunction_NewEx
_new_function.restype = ctypes.py_object
_new_function.argtypes = [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p]


def method_definition(name: str, doc: str, entry: int) -> ctypes.Structure:
    """A `PyMethodDef` for `function_object`."""
    return _MethodDef(name.encode(), entry, _FASTCALL_KEYWORDS, doc.encode())


def function_object(definition: ctypes.Structure, owner: MachineCallable) -> Callable[..., Any]:
    """A built-in function that calls `owner`'s entry. It keeps `owner` alive, which must keep `definition` alive."""
    made: Callable[..., Any] = _new_function(ctypes.addressof(definition), owner, None)
    return made
