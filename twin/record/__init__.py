"""What engine, control, verify and results share."""
