"""Nest to nest, one pass a file. Each keeps the meaning: the interpreter agrees before and after."""
