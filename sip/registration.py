"""Registering with a carrier: what to say next and when. Pure: responses and time come in, requests and delays go out.

RFC 3261 §10.2; digest by `sip.digest`; delays after failures grow as in RFC 5626 §4.5.
"""

from __future__ import annotations

import random
import secrets
from dataclasses import dataclass, field
from typing import Literal

from sip.digest import Challenge, strongest
from sip.message import Headers, Request, Response
from sip.uri import NameAddress, split_list

State = Literal["registering", "registered", "refused", "unreachable"]

WANTED_SECONDS = 600
LEAST_SECONDS = 30
"""A registrar that grants less is asked again after so long all the same."""

FIRST_RETRY = 2.0
LONGEST_RETRY = 300.0
REFUSED_RETRY = 60.0
"""Seconds: a wrong password is not tried every other second, or the carrier locks the account."""


@dataclass(frozen=True)
class Account:
    """Who registers where."""

    domain: str
    """The registrar's Request-URI is sip:DOMAIN, the address of record sip:USERNAME@DOMAIN."""
    username: str
    password: str
    scheme: str = "sip"

    @property
    def registrar(self) -> str:
        return f"{self.scheme}:{self.domain}"

    @property
    def address(self) -> str:
        return f"<{self.scheme}:{self.username}@{self.domain}>"


@dataclass
class Registration:
    """One account at one registrar."""

    account: Account
    call_id: str = field(default_factory=lambda: f"{secrets.token_hex(12)}@switchroom")
    random: random.Random = field(default_factory=random.Random)
    state: State = "registering"
    until: float = 0.0
    """When the registrar forgets us, on the clock of `now`; 0 while it does not know us."""
    code: int = 0
    detail: str = ""
    _wanted: int = WANTED_SECONDS
    _cseq: int = 0
    _tag: str = field(default_factory=lambda: secrets.token_hex(6))
    _failures: int = 0
    _challenge: Challenge | None = None
    _proxy: bool = False
    _answers: int = 0
    """How often the present challenge was answered: the nonce count."""
    _tries: int = 0
    """Challenges met in a row, without a final answer in between."""

    def request(self, via: str, contact: str, *, leave: bool = False) -> Request:
        """The next REGISTER; `contact` is a URI of ours, `via` the whole Via. `leave` takes the registration back."""
        self._cseq += 1
        account = self.account
        headers = Headers()
        headers.add("Via", via)
        headers.add("Max-Forwards", "70")
        headers.add("From", f"{account.address};tag={self._tag}")
        headers.add("To", account.address)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{self._cseq} REGISTER")
        headers.add("Contact", f"<{contact}>")
        headers.add("Expires", "0" if leave else str(self._wanted))
        headers.add("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS")
        headers.add("User-Agent", "Switchroom")
        if self._challenge is not None:
            self._answers += 1
            text = self._challenge.answered(
                "REGISTER", account.registrar, account.username, account.password, count=self._answers
            )
            headers.add("Proxy-Authorization" if self._proxy else "Authorization", text)
        headers.add("Content-Length", "0")
        return Request("REGISTER", account.registrar, b"", headers)

    def answered(self, response: Response, contact: str, now: float) -> float:
        """Seconds until the next request: 0 is at once."""
        self.code, self.detail = response.code, response.phrase
        if response.code in (401, 407):
            return self._challenged(response, now)
        self._tries = 0
        if response.code == 423:
            least = (response.headers.get("Min-Expires") or "").strip()
            if least.isdigit() and len(least) < 7 and int(least) > self._wanted:
                self._wanted = int(least)
                return 0.0
        if 200 <= response.code < 300:
            granted = granted_seconds(response, contact, self._wanted)
            if granted > 0:
                self.state, self.until, self._failures = "registered", now + granted, 0
                # Early enough for a few more tries, and not all trunks in one moment.
                return max(granted * self.random.uniform(0.75, 0.9), min(granted, LEAST_SECONDS) * 0.5)
            self.detail = "the registrar does not keep our contact"
        return self._failed("refused" if 300 <= response.code < 500 else "unreachable", now)

    def silent(self, now: float) -> float:
        """No answer came, or no connection; seconds until the next request."""
        self.code, self.detail, self._tries = 0, "no answer", 0
        return self._failed("unreachable", now)

    def _challenged(self, response: Response, now: float) -> float:
        self._proxy = response.code == 407
        known = self._challenge
        try:
            values = response.headers.getlist("Proxy-Authenticate" if self._proxy else "WWW-Authenticate")
            challenge = strongest(values)
        except ValueError as error:
            self.detail = str(error)
            return self._failed("refused", now)
        self._challenge, self._answers = challenge, 0
        self._tries += 1
        wrong = known is not None and self._tries > 1 and not challenge.stale
        if wrong or self._tries > 3 or not self.account.password:
            self._challenge, self._tries = None, 0
            self.detail = "user name or password is wrong"
            return self._failed("refused", now)
        return 0.0

    def _failed(self, state: State, now: float) -> float:
        self._failures += 1
        if self.until > now and state == "unreachable":
            state = "registered"  # what was granted holds until it runs out
        else:
            self.until = 0.0
        self.state = state
        first = REFUSED_RETRY if state == "refused" else FIRST_RETRY
        longest = min(LONGEST_RETRY, first * 2.0 ** min(self._failures - 1, 16))
        return longest * self.random.uniform(0.5, 1.0)


def granted_seconds(response: Response, contact: str, wanted: int) -> int:
    """How long our contact is kept: its own `expires`, else the Expires header, else what we asked for; 0: it is not kept."""
    overall = (response.headers.get("Expires") or "").strip()
    default = int(overall) if overall.isdigit() and len(overall) < 10 else wanted
    contacts = [item for value in response.headers.getlist("Contact") for item in split_list(value)]
    if not contacts:
        return default  # some registrars list nothing
    for item in contacts:
        try:
            found = NameAddress.parse(item)
        except ValueError:
            continue
        if str(found.uri).lower() == contact.lower() or _same(str(found.uri), contact):
            own = found.parameter("expires") or ""
            return int(own) if own.isdigit() and len(own) < 10 else default
    return 0


def _same(one: str, other: str) -> bool:
    """User, host and port agree: registrars add and drop parameters."""
    try:
        first, second = NameAddress.parse(f"<{one}>").uri, NameAddress.parse(f"<{other}>").uri
    except ValueError:
        return False
    return (first.user, first.address) == (second.user, second.address)
