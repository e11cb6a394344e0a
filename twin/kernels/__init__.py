"""Compiled physics: plain functions of arrays, one file a physics; the only home of numba."""
