"""Our own certificate: what it is for, when it is made anew, and what is said of one that was given and is no use."""

from __future__ import annotations

import datetime
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from exchange.certificates import RENEW, VALID, CertificateError, check_certificate, ensure_certificate, files
from exchange.settings import load

pytestmark = pytest.mark.unit

NAMES = ["switch.example", "198.51.100.1", "localhost", "::1"]
NOW = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)


def test_it_is_for_all_names_and_its_key_is_ours_alone(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path / "keys", NAMES)
    found = check_certificate(certificate, key)
    assert found.names == set(NAMES)
    assert found.self_signed
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert sorted(path.name for path in certificate.parent.iterdir()) == ["switchroom.crt", "switchroom.key"]
    whole = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert whole.not_valid_after_utc - whole.not_valid_before_utc <= datetime.timedelta(days=825), "Apple's limit"


def test_who_trusts_the_file_can_verify_every_name(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path, NAMES)
    for name in NAMES:
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=certificate)
        server.load_cert_chain(certificate, key)
        _shake_hands(server, client, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        _shake_hands(server, client, "elsewhere.example")


def test_it_stays_until_it_is_near_its_end(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path, NAMES, now=NOW)
    before = certificate.read_bytes(), key.read_bytes()
    ensure_certificate(tmp_path, NAMES[:2], now=NOW + VALID - RENEW - datetime.timedelta(minutes=1))
    assert (certificate.read_bytes(), key.read_bytes()) == before
    ensure_certificate(tmp_path, NAMES[:2], now=NOW + VALID - RENEW)
    assert certificate.read_bytes() != before[0]
    assert check_certificate(certificate, key).ends == NOW + VALID - RENEW + VALID


def test_a_new_name_makes_a_new_one(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path, NAMES)
    ensure_certificate(tmp_path, [*NAMES, "192.0.2.9"])
    assert "192.0.2.9" in check_certificate(certificate, key).names


@pytest.mark.parametrize("damage", ["switchroom.crt", "switchroom.key"])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str) -> None:
    ensure_certificate(tmp_path, NAMES)
    (tmp_path / damage).write_bytes(b"-----BEGIN NONSENSE-----\n")
    check_certificate(*ensure_certificate(tmp_path, NAMES))


def test_a_key_of_another_certificate_is_made_again(tmp_path: Path) -> None:
    _, key = ensure_certificate(tmp_path / "a", NAMES)
    _, other = ensure_certificate(tmp_path / "b", NAMES)
    key.write_bytes(other.read_bytes())
    check_certificate(*ensure_certificate(tmp_path / "a", NAMES))


def test_a_given_pair_that_is_no_use_is_refused_with_a_sentence(tmp_path: Path) -> None:
    certificate, key = ensure_certificate(tmp_path / "a", NAMES)
    _, other = ensure_certificate(tmp_path / "b", NAMES)
    with pytest.raises(CertificateError, match=r"nowhere\.pem cannot be read: No such file"):
        check_certificate(tmp_path / "nowhere.pem", key)
    with pytest.raises(CertificateError, match=r"switchroom.key is not a certificate in PEM\.$"):
        check_certificate(key, key)
    with pytest.raises(CertificateError, match="is not the key of"):
        check_certificate(certificate, other)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"word"),
        )
    )
    with pytest.raises(CertificateError, match="without a passphrase"):
        check_certificate(certificate, locked)


def test_https_takes_what_was_given_else_our_own(tmp_path: Path) -> None:
    assert files(load(data=tmp_path)) == (tmp_path / "keys" / "switchroom.crt", tmp_path / "keys" / "switchroom.key")
    given = load(data=tmp_path, https_certificate=tmp_path / "c.pem", https_key=tmp_path / "k.pem")
    assert files(given) == (tmp_path / "c.pem", tmp_path / "k.pem")


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """A handshake in memory; raises what the client raises."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not ends
