"""The loop nest: statements over logical indices, loops with a kind, buffers with a level."""

from convjit.nest import text as text  # gives the nodes their `str`
