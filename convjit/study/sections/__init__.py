"""The parts of a study: each computes its results, and turns them into a section, tables and drawings."""
