"""TLS for emulated devices: Modbus/TCP Security as the bench meets it in the field.

Modbus/TCP Security Protocol Specification (MB-TCP-Security-v21): TLS 1.2 or newer around the
same frames, port 802, certificates on both sides; a device may or may not ask for the client's.
The portable server carries it, so that every manner and limit of it holds under TLS too.
"""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from twin.errors import InputProblems, Problem

__all__ = ["Identity", "make_identity", "server_context"]

VALID_DAYS = 30
SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate that signed itself, and its private key, as PEM files."""

    certificate: Path
    key: Path


def make_identity(folder: Path, name: str, address: str = "127.0.0.1") -> Identity:
    """Make a certificate for an emulated device or a client of one; for emulation only.

    It is valid for `VALID_DAYS`; the key file can be read by its owner alone. Whoever trusts the
    certificate itself trusts this device and no other.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    made = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    made.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return made


def server_context(identity: Identity, clients: Path | None = None) -> ssl.SSLContext:
    """Return how a device speaks TLS; give it to `hil.server.Server`.

    Raises InputProblems where a file cannot be used.

    Parameters
    ----------
    clients : PEM file of who may connect, by their certificate; None: anybody
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(identity.certificate, identity.key)
        if clients is not None:
            context.load_verify_locations(cafile=clients)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as error:
        problem = Problem(
            str(identity.certificate), "TLS", str(error), "PEM files that belong together"
        )
        raise InputProblems([problem]) from None
    return context
