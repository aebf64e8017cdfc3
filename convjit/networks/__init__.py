"""Whole networks: what an arithmetic does to the task that a network was made for.

`digits` trains a small one, `ocr` reads text with one that was trained elsewhere. Each has a `study` that returns its table as rows.
"""
