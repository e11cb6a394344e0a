"""What a machine must have for N devices on the network, and how to give it."""

from __future__ import annotations

import errno
import os
import resource
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from twin.errors import InputProblems, Problem

__all__ = ["Finding", "Need", "check", "file_problems", "need_of", "port_problems"]

RESERVED_FILES = 256  # of a process for everything that is no connection
# Measured with `make bench-wire`: what one device adds to the serving process.
KIB_PER_DEVICE = 24.0
BASE_MIB = 450.0
LAST_PORT = 65_535
MOST_ADDRESSES = 254 * 2**16  # of 127.0.0.0/8, those that end neither in 0 nor in 255


@dataclass(frozen=True, slots=True)
class Need:
    """What a fleet wants.

    Attributes
    ----------
    devices, listeners, connections : of the serving process
    addresses : own loopback addresses
    ports : (address, port) that must be free
    """

    devices: int
    listeners: int
    connections: int
    addresses: int
    ports: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: what there is, what is needed, and the fix where it does not do."""

    what: str
    value: str
    needed: str
    good: bool
    fix: str = ""


def need_of(mode: str, devices: int, address: str, port: int, units: int) -> Need:
    """Return what `devices` in addressing `mode` want.

    Raises InputProblems where there are not so many ports or loopback addresses.
    """
    if mode == "port" and port + devices - 1 > LAST_PORT:
        allowed = f"{LAST_PORT - port + 1} at most from this port on, or --address ip"
        raise InputProblems([Problem("--port", "ports", f"{devices} from {port} on", allowed)])
    if mode == "ip" and devices > MOST_ADDRESSES:
        allowed = f"{MOST_ADDRESSES} at most, or --address unit"
        raise InputProblems([Problem("devices", "addresses", f"{devices}", allowed)])
    if mode == "port":
        ports = tuple(("127.0.0.1", port + i) for i in range(devices))
        return Need(devices, devices, devices, 1, ports)
    endpoints = devices if mode == "ip" else -(-devices // units)
    return Need(devices, 1, endpoints, endpoints, ((address, port),))


def check(need: Need) -> list[Finding]:
    """Return everything looked at; nothing is changed."""
    return [
        _files(need),
        _threads_bound(),
        *_ports(need.ports),
        *_loopback(need),
        _memory(need),
    ]


def _files(need: Need) -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = need.listeners + need.connections + RESERVED_FILES
    good = wanted <= soft
    fix = ""
    if not good and wanted <= hard:
        fix = f"ulimit -n {wanted}"
    elif not good:
        fix = (
            f"ulimit -n {wanted} needs a higher hard limit ({hard}): as root, 'suitwin - nofile "
            f"{wanted}' in /etc/security/limits.conf; or --address unit; or --limit"
        )
    return Finding("open files", f"{soft} (hard {hard})", f"{wanted}", good, fix)


def file_problems(listeners: int, connections: int) -> list[Problem]:
    """Return why a process cannot hold so many sockets, with the fix; empty where it can."""
    found = _files(Need(connections, listeners, connections, connections, ()))
    if found.good:
        return []
    allowed = f"{found.needed} ({found.fix})"
    return [Problem("this machine", "open files", found.value, allowed)]


def _threads_bound() -> Finding:
    """Say whether one listener can stand on the wildcard address, bound to the loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        except (OSError, AttributeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return Finding(
                "listener bound to lo", f"not permitted ({reason})", "permitted, or a listener an "
                "address", True, "setcap cap_net_raw+ep on the interpreter, or run as root",
            )  # fmt: skip
    return Finding("listener bound to lo", "permitted", "permitted", True)


def _refusal(address: str, port: int) -> str | None:
    """Return why nobody can listen there, None where somebody can."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return error.strerror or str(error)
    return None


def port_problems(ports: Iterable[tuple[str, int]]) -> list[Problem]:
    """Return the ports that cannot be had, each once, tried one after the other."""
    found: dict[int, Problem] = {}
    for address, port in ports:
        if port not in found and (reason := _refusal(address, port)) is not None:
            fix = "another wire.port; `ss -ltnp` shows who listens"
            found[port] = Problem("address", f"{address}:{port}", reason, fix)
    return list(found.values())


def _ports(ports: Sequence[tuple[str, int]]) -> list[Finding]:
    taken = [f"{a}:{p} ({reason})" for a, p in ports if (reason := _refusal(a, p)) is not None]
    count = len(ports)
    shown = ", ".join(taken[:5]) + (f" and {len(taken) - 5} more" if len(taken) > 5 else "")
    fix = "another wire.port; `ss -ltnp` shows who listens" if taken else ""
    return [Finding("ports", shown or "free", f"{count} free", not taken, fix)]


def _loopback(need: Need) -> list[Finding]:
    """Say whether every address of 127.0.0.0/8 answers, as on Linux."""
    if need.addresses <= 1:
        return []
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.254.254.254", 0))
        except OSError:
            fix = "on macOS: for each address, sudo ifconfig lo0 alias ADDRESS; or --address port"
            return [
                Finding("loopback addresses", "127.0.0.1 only", f"{need.addresses}", False, fix)
            ]
    return [Finding("loopback addresses", "all of 127.0.0.0/8", f"{need.addresses}", True)]


def _memory(need: Need) -> Finding:
    wanted = BASE_MIB + need.devices * KIB_PER_DEVICE / 1024.0
    free = _available_mib()
    if free is None:
        return Finding("memory", "unknown", f"{wanted:,.0f} MiB", True)
    fix = "" if wanted <= free else "--limit, or a machine with more memory"
    return Finding("memory", f"{free:,.0f} MiB free", f"{wanted:,.0f} MiB", wanted <= free, fix)


def _available_mib() -> float | None:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
        return pages * size / 2**20 if pages > 0 else None
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return float(rows["MemAvailable"].split()[0]) / 1024.0
