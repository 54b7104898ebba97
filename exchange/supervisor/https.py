"""The certificate's place in `switchroom serve`: made or checked before the start, renewed every day, told on the screen."""

from __future__ import annotations

import asyncio
import datetime

import structlog

from exchange import certificates
from exchange.settings import Settings
from exchange.supervisor.errors import SupervisorError
from exchange.supervisor.table import Site

log = structlog.get_logger()

LOOK_EVERY = 24 * 3600.0
WARN = datetime.timedelta(days=14)


class BadCertificate(SupervisorError):
    """The certificate that was given cannot be used."""

    code = 2


def prepare(settings: Settings, site: Site) -> None:
    """See that there is a certificate which can be used; raises BadCertificate."""
    try:
        certificates.ensure_certificate(site.data / "keys", settings.certificate_names())
        if settings.scheme == "https":
            certificates.check_certificate(*certificates.files(settings))
        if settings.sips is not None:
            certificates.check_certificate(*certificates.sip_files(settings))
    except certificates.CertificateError as error:
        raise BadCertificate(str(error)) from error
    except OSError as error:
        raise BadCertificate(f"Our own certificate cannot be written to {site.data / 'keys'}: {error.strerror}.") from error


async def keep(settings: Settings, site: Site) -> None:
    """Renew our own in time, for ever; those who use it look at the files."""
    while True:
        await asyncio.sleep(LOOK_EVERY)
        try:
            await asyncio.to_thread(certificates.ensure_certificate, site.data / "keys", settings.certificate_names())
        except OSError as error:
            log.error("own certificate cannot be renewed", error=str(error))


def rows(settings: Settings) -> list[str]:
    """What the screen says of it, below the addresses of the pages."""
    if settings.scheme != "https":
        return []
    found = certificates.check_certificate(*certificates.files(settings))
    left = found.ends - datetime.datetime.now(datetime.UTC)
    said = []
    if left < datetime.timedelta(0):
        said.append("  Certificate THE CERTIFICATE HAS EXPIRED: browsers will refuse the pages.")
    elif left < WARN:
        said.append(f"  Certificate ends in {left.days} days. A renewed file is taken up within a minute, without a restart.")
    if found.self_signed:
        half = len(found.fingerprint) // 2
        said += [
            "  Certificate our own: browsers warn of it once. Compare before you go on (SHA-256):",
            f"                {found.fingerprint[: half + 1].rstrip(':')}",
            f"                {found.fingerprint[half + 1 :].lstrip(':')}",
        ]
    return said
