"""The certificate that TLS shows, taken up again when it is renewed on disk, and what vouches for those of others.

The supervisor says which files it is in; nothing is made here.
"""

from __future__ import annotations

import ssl
from pathlib import Path

import structlog

log = structlog.get_logger()


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
