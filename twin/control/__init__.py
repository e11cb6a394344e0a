"""The reference platform logic: readings in, set-points and reports out; no I/O."""
