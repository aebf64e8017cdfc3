"""The machine, the versions, and the commands that repeat all of it."""

from __future__ import annotations

import platform
import shlex
from dataclasses import dataclass

import numpy as np

from convjit import __version__
from convjit.errors import Unavailable
from convjit.runtime import cuda
from convjit.runtime.assemble import VERSIONS
from convjit.runtime.detect import host
from convjit.runtime.threads import default_threads
from convjit.study.clock import Clock
from convjit.study.page import Code, Facts, Section, Table
from convjit.study.part import Found, Part, Shown, Subject, Tell
from convjit.study.sheet import Sheet

TITLE = "Machine, versions and commands"

SHOWN = ("avx2", "fma", "f16c", "avx_vnni", "avxvnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16", "amx_int8")
"""Features that decide which kernels there are, as Linux calls them."""


@dataclass(frozen=True)
class Fact:
    """A name, and what it is."""

    name: str
    value: str


@dataclass(frozen=True)
class Place:
    """Where the study ran."""

    facts: tuple[Fact, ...]


def compute(subject: Subject, found: Found, clock: Clock, tell: Tell) -> Place:
    """Ask the machine."""
    here = host()
    caches = ", ".join(f"{name} {size >> 10} KiB" for name, size in (("L1", here.l1), ("L2", here.l2), ("L3", here.l3)) if size)
    facts = [
        ("processor", here.name),
        ("as LLVM knows it", here.cpu),
        ("features", " ".join(f for f in SHOWN if f in here.flags | here.features) or "none of those that matter"),
        ("cores", f"{here.cores} ({here.threads} hardware threads)"),
        ("caches", f"{caches} (L1 and L2 of a core, L3 shared)" if caches else "unknown"),
        ("threads of a call", f"1 and {subject.threads or default_threads()}"),
        ("GPU", _gpu()),
        ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        ("convjit", __version__),
        ("compiler", VERSIONS),
        ("Python", f"{platform.python_version()}, NumPy {np.__version__}"),
    ]
    facts += [("date", subject.date)] if subject.date else []
    return Place(tuple(Fact(*fact) for fact in facts))


def show(subject: Subject, found: Found, result: Place) -> Shown:
    """The facts, the targets, the command."""
    targets = [(m.name, "yes", "") for m in subject.hosts.here] + [(name, "no", why) for name, why in subject.hosts.absent]
    items = (
        Facts([(fact.name, fact.value) for fact in result.facts]),
        Table(("target", "here", "why not"), targets, "Targets of this study; those that are not here have no figures."),
        Code(subject.command, "Repeats this study"),
        Code("convjit targets", "Shows the targets, what they need, and their measured peaks"),
    )
    return Shown(Section(TITLE, items), {"machine": Sheet.of(Fact, result.facts)})


def _gpu() -> str:
    try:
        gpu = cuda.devices()[cuda.current_device()]
        return f"{gpu.name}, sm_{gpu.sm}"
    except Unavailable:
        return "none"


def command(subject: Subject, program: str, *words: str) -> str:
    """`convjit run` of a program in the study's folder, on the same arrays."""
    return shlex.join(["convjit", "run", program, *subject.data_words, *words])


PART = Part(TITLE, 0.01, compute, show)
