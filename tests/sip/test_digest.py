"""Digest: the RFCs' own examples, both sides against each other, and anything as input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.digest import Challenge, Credentials, read, strongest

pytestmark = pytest.mark.unit

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=20)


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616(algorithm: str, response: str) -> None:
    sent = Credentials.parse(
        'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", '
        f'algorithm={algorithm}, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
        f'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, response="{response}", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    assert sent.proves("GET", "Mufasa", "Circle of Life")
    assert not sent.proves("GET", "Mufasa", "Circle of life")
    assert not sent.proves("PUT", "Mufasa", "Circle of Life")
    assert not sent.proves("GET", "Nala", "Circle of Life")


def test_the_example_of_rfc_2069_has_no_quality() -> None:
    sent = Credentials.parse(
        'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
        'uri="/dir/index.html", response="670fd8c2df070c60b045671b8b24ff02"'
    )
    assert sent.proves("GET", "Mufasa", "Circle Of Life")


@given(TEXT, TEXT, TEXT, st.sampled_from(["md5", "sha-256"]), st.sampled_from(["auth", ""]))
def test_what_we_answer_we_accept(username: str, password: str, realm: str, algorithm: str, qop: str) -> None:
    challenge = Challenge(realm, "nonce", algorithm, qop)
    if qop:
        assert Challenge.parse(str(challenge)) == challenge
    sent = Credentials.parse(challenge.answered("REGISTER", "sip:example.com", username, password))
    assert sent.proves("REGISTER", username, password)
    assert not sent.proves("REGISTER", username, password + "x")


def test_the_strongest_challenge_is_answered() -> None:
    values = [
        'Digest realm="a", nonce="1"',
        'Digest realm="a", nonce="2", algorithm=SHA-256, qop="auth-int,auth"',
        'Digest realm="a", nonce="3", algorithm=SHA-512-256',
        "Basic x",
        'Digest realm="a", nonce="4", qop="auth-int"',
    ]
    assert strongest(values).nonce == "2"
    assert strongest(values[:1]).qop == ""
    with pytest.raises(ValueError, match="no challenge"):
        strongest(values[2:])


@given(st.one_of(st.text(max_size=60), st.text('a="\\, =x', max_size=40).map("Digest ".__add__)))
def test_any_text_is_read_or_a_value_error(text: str) -> None:
    for reader in (read, Credentials.parse, Challenge.parse):
        try:
            reader(text)
        except ValueError:
            continue
