"""The 20 %: which circuits are opened by which measure, held, turned and restored."""
