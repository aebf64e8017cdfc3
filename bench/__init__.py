"""Measurements of the whole, run by hand: `python bench/compare.py --help`."""
