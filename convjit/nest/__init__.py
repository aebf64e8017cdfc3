"""The loop nest: statements over logical indices, loops with a kind, buffers with a level."""
