"""suitwin's wires, clocks and hardware: the testbed around the twin.

`hil` may import `twin`, never the reverse. Its layers stand as an import contract in
`pyproject.toml`; the rooms are built with the wire.
"""
