"""Our own certificate, for HTTPS and for SIP over TLS: one pair of files for both, made and renewed by the supervisor.

    cert_path, key_path = ensure_certificate(keys_dir, names)

The supervisor calls it before it starts the others (and once a day, to renew), and hands both paths to the exchange and the
edge on their command line or in their environment; neither makes a certificate itself. The files keep their names when they
are renewed, so a process that holds them looks at their age and loads them again (`ssl.SSLContext.load_cert_chain` on the
context in use serves new connections). `Settings.certificate_names()` gives the names.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from exchange.settings import Settings

CERTIFICATE = "switchroom.crt"
KEY = "switchroom.key"

VALID = datetime.timedelta(days=820)
"""Apple refuses more than 825 days, also from those who trusted the certificate by hand."""

RENEW = datetime.timedelta(days=30)
EARLIER = datetime.timedelta(days=1)
"""Clocks differ: it is valid since yesterday."""


class CertificateError(ValueError):
    """A certificate or key that cannot be used; the text is a sentence for the operator."""


@dataclass(frozen=True)
class Certificate:
    """What is to be known of a certificate."""

    self_signed: bool
    fingerprint: str
    """SHA-256, as browsers show it."""
    ends: datetime.datetime
    names: frozenset[str]


def own_paths(keys_dir: Path) -> tuple[Path, Path]:
    """Where our own certificate and its key are."""
    return keys_dir / CERTIFICATE, keys_dir / KEY


def ensure_certificate(keys_dir: Path, names: Iterable[str], *, now: datetime.datetime | None = None) -> tuple[Path, Path]:
    """Paths of a self-signed certificate (PEM) for these host names and addresses, and of its key.

    What is there stays while it covers all names and does not end within 30 days; else both files are made anew.
    """
    moment = now or datetime.datetime.now(datetime.UTC)
    wanted = list(dict.fromkeys(names))
    certificate, key = own_paths(keys_dir)
    if not _fits(certificate, key, wanted, moment):
        _make(certificate, key, wanted, moment)
    return certificate, key


def files(settings: Settings) -> tuple[Path, Path]:
    """Certificate and key for HTTPS: those given, else our own."""
    if settings.https_certificate is not None and settings.https_key is not None:
        return settings.https_certificate, settings.https_key
    return own_paths(settings.data / "keys")


def sip_files(settings: Settings) -> tuple[Path, Path]:
    """Certificate and key for SIP over TLS: those given for it, else those of HTTPS."""
    if settings.sips_certificate is not None and settings.sips_key is not None:
        return settings.sips_certificate, settings.sips_key
    return files(settings)


def check_certificate(certificate: Path, key: Path) -> Certificate:
    """Read a pair of files as a server would; raises CertificateError."""
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        key.read_bytes()
    except OSError as error:
        raise CertificateError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise CertificateError(f"{certificate} is not a certificate in PEM.") from error
    try:
        # An empty word for a key that has a passphrase: nobody is there to type it at the next restart.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, ValueError) as error:
        raise CertificateError(
            f"{key} is not the key of {certificate} (PEM, without a passphrase): {getattr(error, 'reason', None) or error}."
        ) from error
    first = chain[0]
    return Certificate(
        self_signed=first.issuer == first.subject,
        fingerprint=first.fingerprint(hashes.SHA256()).hex(":").upper(),
        ends=first.not_valid_after_utc,
        names=frozenset(names_of(first)),
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def names_of(certificate: x509.Certificate) -> set[str]:
    """Host names and addresses that a certificate speaks for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {*found.get_values_for_type(x509.DNSName), *(str(a) for a in found.get_values_for_type(x509.IPAddress))}


def _fits(certificate: Path, key: Path, names: list[str], now: datetime.datetime) -> bool:
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return (
        secret.public_key() == found.public_key()
        and set(names) <= names_of(found)
        and found.not_valid_before_utc <= now < found.not_valid_after_utc - RENEW
    )


def _make(certificate: Path, key: Path, names: list[str], now: datetime.datetime) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Switchroom"),
            x509.NameAttribute(NameOID.COMMON_NAME, (names[0] if names else "switchroom")[:64]),
        ]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False)
        .sign(secret, hashes.SHA256())
    )
    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    plain = secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(key, plain, 0o600)
    _write(certificate, made.public_bytes(serialization.Encoding.PEM), 0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, also when the machine stops in between."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
