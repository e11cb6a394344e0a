"""Ed25519 key pairs: made, kept and read; what certificates are signed and verified with.

The private key is a PKCS#8 PEM file that only its owner can read, the public one a PEM file
(SubjectPublicKeyInfo, RFC 8410) to be handed out. A key's id is securesystemslib's: the SHA-256
of its canonical description.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from twin.errors import InputProblems, Problem

__all__ = [
    "PRIVATE_MARK", "KeyFiles", "load_public", "load_publics", "load_signer", "load_signers",
    "new_pair",
]  # fmt: skip

# Stands in every PEM file with a private key, of whatever kind.
PRIVATE_MARK = b"PRIVATE KEY-----"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OTHERS = stat.S_IRWXG | stat.S_IRWXO
MOST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """A new pair: where its halves are, and the id under which it signs."""

    private: Path
    public: Path
    keyid: str


def new_pair(name: str, directory: Path) -> KeyFiles:
    """Make a key pair ``<name>.key`` (mode 0600) and ``<name>.pub``; nothing is overwritten.

    Raises InputProblems where the name is no file name, a file is there already, or the folder
    holds the record of a certification, in which a private key has no place.
    """
    found: list[Problem] = []
    if NAME.fullmatch(name) is None:
        allowed = "letters, digits, dot, dash and underscore, 64 at most"
        raise InputProblems([Problem("hil keys new", "name", repr(name), allowed)])
    private, public = directory / f"{name}.key", directory / f"{name}.pub"
    for path in (private, public):
        if path.exists() or path.is_symlink():
            found.append(Problem(str(path), "key", "is there already", "another name or folder"))
    if (directory / "record.json").exists():
        allowed = "a folder that is not handed out"
        found.append(Problem(str(directory), "folder", "holds evidence", allowed))
    if found:
        raise InputProblems(found)
    signer = CryptoSigner.generate_ed25519()
    raw = bytes.fromhex(str(signer.public_key.keyval["public"]))
    pem = Ed25519PublicKey.from_public_bytes(raw).public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _write(public, pem, 0o644)  # first: where it fails, no private key is left behind
        _write(private, signer.private_bytes, 0o600)
    except OSError as error:
        said = error.strerror or str(error)
        raise InputProblems([Problem(str(directory), "folder", said, "one to write to")]) from None
    return KeyFiles(private, public, signer.public_key.keyid)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a new file that has its mode from the first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def load_signer(path: Path) -> CryptoSigner:
    """Read a private key; raises InputProblems, also where others may read its file."""
    data = _read(path, "private key", "a .key file of `hil keys new`")
    allowed = "a private Ed25519 key in PEM, as `hil keys new` makes it"
    try:
        key = load_pem_private_key(data, None)
    except TypeError:
        raise _unfit(path, "private key", "is locked by a pass phrase", allowed) from None
    except (ValueError, UnsupportedAlgorithm):
        what = "a public key" if b"PUBLIC KEY-----" in data else "no key"
        raise _unfit(path, "private key", what, allowed) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unfit(path, "private key", "a key of another kind", allowed)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & OTHERS:
        fix = f"0600: chmod 600 {path}"
        raise _unfit(path, "mode", f"{mode:04o}, others may read it", fix)
    return CryptoSigner(key)


def load_public(path: Path) -> SSlibKey:
    """Read a public key; raises InputProblems."""
    data = _read(path, "public key", "a .pub file of `hil keys new`")
    allowed = "a public Ed25519 key in PEM, as `hil keys new` makes it"
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        what = "a private key: keep it to yourself" if PRIVATE_MARK in data else "no key"
        raise _unfit(path, "public key", what, allowed) from None
    if not isinstance(key, Ed25519PublicKey):
        raise _unfit(path, "public key", "a key of another kind", allowed)
    return SSlibKey.from_crypto(key)


def load_signers(paths: Sequence[Path]) -> list[CryptoSigner]:
    """Read private keys, all that is wrong at once; raises InputProblems."""
    found: list[Problem] = []
    signers: list[CryptoSigner] = []
    for path in paths:
        try:
            signers.append(load_signer(path))
        except InputProblems as error:
            found += error.problems
    if found:
        raise InputProblems(found)
    return signers


def load_publics(paths: Sequence[Path]) -> list[SSlibKey]:
    """Read public keys, all that is wrong at once; raises InputProblems."""
    found: list[Problem] = []
    keys: list[SSlibKey] = []
    for path in paths:
        try:
            keys.append(load_public(path))
        except InputProblems as error:
            found += error.problems
    if found:
        raise InputProblems(found)
    return keys


def _read(path: Path, place: str, allowed: str) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _unfit(path, place, "too large for a key", allowed)
        return path.read_bytes()
    except OSError as error:
        raise _unfit(path, place, error.strerror or str(error), allowed) from None


def _unfit(path: Path, place: str, value: str, allowed: str) -> InputProblems:
    return InputProblems([Problem(str(path), place, value, allowed)])
