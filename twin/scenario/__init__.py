"""From a scenario file to a city ready to run, and its runs."""
