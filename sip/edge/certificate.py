"""The certificate that TLS shows: one that the operator gives, else our own, made once and kept."""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

log = structlog.get_logger()

OWN_DAYS = 3_650
RENEW_DAYS = 30


class CertificateError(ValueError):
    """No certificate can be used; the text is a sentence for the operator."""


class TlsSecurity:
    """Contexts for both directions; `reload` takes up a certificate that was renewed on disk."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._seen = self._times()
        self._clients: dict[str, ssl.SSLContext] = {}
        self._authorities: dict[str, Path | None] = {}
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.minimum_version = ssl.TLSVersion.TLSv1_2
        self._load(self.server)

    def trust(self, authorities: dict[str, str]) -> None:
        """Which CA file vouches for a name; empty: the system's. Raises CertificateError."""
        wanted = {name: Path(file) if file else None for name, file in authorities.items()}
        for name, file in wanted.items():
            _verifying(name, file)
        self._authorities = wanted
        self._clients.clear()

    def client(self, name: str) -> ssl.SSLContext:
        """For connections that we open: with a name the peer must prove it, without one it is encrypted and no more."""
        known = self._clients.get(name)
        if known is None:
            if name:
                known = _verifying(name, self._authorities.get(name))
            else:
                known = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                known.check_hostname = False
                known.verify_mode = ssl.CERT_NONE
            known.minimum_version = ssl.TLSVersion.TLSv1_2
            self._load(known)  # shown to carriers that ask
            self._clients[name] = known
        return known

    def reload(self) -> bool:
        """Use the files as they are now, for connections to come; a broken pair is logged and the old one stays."""
        times = self._times()
        if times == self._seen:
            return False
        self._seen = times
        try:
            self._load(self.server)
        except CertificateError as error:
            log.error("the renewed certificate cannot be used", error=str(error))
            return False
        self._clients.clear()
        log.info("certificate renewed", file=str(self._files[0]))
        return True

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(*self._files)
        except (OSError, ValueError) as error:
            raise CertificateError(f"{self._files[0]} with {self._files[1]} cannot be used: {error}.") from error

    def _times(self) -> tuple[float, ...]:
        try:
            return tuple(file.stat().st_mtime for file in self._files)
        except OSError:
            return ()


def _verifying(name: str, authorities: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=None if authorities is None else str(authorities))
    except (OSError, ValueError) as error:
        raise CertificateError(f"The CA file {authorities} for {name} cannot be used: {error}.") from error


def own_pair(folder: Path, names: Iterable[str]) -> tuple[Path, Path]:
    """Our own certificate and its key, made at the first run, again when it ends soon or lacks a name. Raises OSError."""
    certificate, key = folder / "sip.crt", folder / "sip.key"
    wanted = sorted({*names, "localhost", "127.0.0.1", socket.gethostname()} - {"", "0.0.0.0", "::"})  # noqa: S104
    if not (key.exists() and _serves(certificate, wanted)):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = ec.generate_private_key(ec.SECP256R1())
        private = secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write(key, private, 0o600)
        _write(certificate, _signed(secret, wanted).public_bytes(serialization.Encoding.PEM), 0o644)
        log.info("a certificate of our own is made", file=str(certificate))
    return certificate, key


def _signed(secret: ec.EllipticCurvePrivateKey, names: list[str]) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Switchroom")])
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=OWN_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general(text) for text in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)  # so that it can be trusted as it is
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .sign(secret, hashes.SHA256())
    )


def _general(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _serves(file: Path, names: list[str]) -> bool:
    try:
        found = x509.load_pem_x509_certificate(file.read_bytes())
        have = set(found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=RENEW_DAYS)
    return found.not_valid_after_utc > soon and {_general(text) for text in names} <= have


def _write(file: Path, data: bytes, mode: int) -> None:
    fresh = file.with_name(file.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(data)
    fresh.replace(file)
