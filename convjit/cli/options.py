"""Arguments and options that several commands share."""

from __future__ import annotations

import click

FILE = click.argument("file", metavar="FILE")
TARGET = click.option(
    "--target",
    metavar="T",
    help="What to compile for, such as cpu:avx2 or cuda:sm_80; `convjit targets` lists them.",
)
THREADS = click.option("--threads", type=int, metavar="N", help="Number of CPU workers.")
BLOCK = click.option("--block", metavar="NAME", help="Only this block of the file.")
