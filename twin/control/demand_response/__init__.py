"""The 5 %: prepare, hold, and give back where the load has room."""
