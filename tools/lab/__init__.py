"""The lab: matrices of runs with something in the middle, swept over all cores and kept in one SQLite file."""
