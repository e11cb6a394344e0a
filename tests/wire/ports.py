"""Ports that nobody listens on."""

from __future__ import annotations

import socket


def free_port() -> int:
    """Return a port that is free on every address of this machine just now."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])
