"""Results: the run directory, its figures, runs side by side, the page."""
