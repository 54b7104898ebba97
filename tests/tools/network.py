"""A small world of network namespaces: a switchroom behind a NAT, a browser and a TURN server out in the world, and us.

in ──── nat ──── world (a bridge) ──┬── out     the browser
10.213.N.2   .1  198.18.N.1         ├── turn    coturn, .3
                                    └── here    .254: the tests, and who calls by SIP
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


class NotPermitted(Exception):
    """This machine gives us no namespaces or no packet filter; says why."""


@dataclass(frozen=True)
class World:
    """The names and addresses of one world."""

    name: str
    net: int

    def namespace(self, role: str) -> str:
        return f"{self.name}-{role}"

    @property
    def public(self) -> str:
        """The NAT's address in the world."""
        return f"198.18.{self.net}.1"

    @property
    def browser(self) -> str:
        return f"198.18.{self.net}.2"

    @property
    def elsewhere(self) -> str:
        """The browser's address after it has moved."""
        return f"198.18.{self.net}.7"

    @property
    def turn(self) -> str:
        return f"198.18.{self.net}.3"

    @property
    def world(self) -> str:
        return f"198.18.{self.net}.0/24"

    @property
    def private(self) -> str:
        """The switchroom's own address."""
        return f"10.213.{self.net}.2"

    def within(self, role: str) -> tuple[str, ...]:
        """Words before a command that is to run in a namespace."""
        return ("nsenter", f"--net=/var/run/netns/{self.namespace(role)}", "--")

    def filter(self, role: str, rules: str) -> None:
        """Give a namespace these packet filter rules (nft)."""
        _run(*self.within(role), "nft", "-f", "-", text=rules)

    def forward(self, *, tcp: int, udp: int, rtp: str) -> None:
        """What the NAT sends on: the pages, SIP, media; nobody in the world can reach the private address itself."""
        self.filter(
            "nat",
            f"""
            table ip forward {{
              chain before {{
                type nat hook prerouting priority dstnat;
                ip daddr {self.public} tcp dport {tcp} dnat to {self.private}
                ip daddr {self.public} udp dport {{ {udp}, {rtp} }} dnat to {self.private}
              }}
              chain after {{
                type nat hook postrouting priority srcnat;
                oifname "world" ip saddr {self.private} masquerade
              }}
              chain between {{
                type filter hook forward priority filter;
                ct state established,related accept
                ct status dnat accept
                ip daddr {self.private} drop
              }}
            }}
            """,
        )

    def only_turn(self, port: int) -> None:
        """Let the browser's namespace speak UDP with nothing but this port, as many a company's firewall does."""
        self.filter(
            "out",
            f"""
            table inet strict {{
              counter refused {{ }}
              chain leave {{
                type filter hook output priority filter;
                oifname != "lo" meta l4proto udp udp dport != {port} counter name refused drop
              }}
              chain come {{
                type filter hook input priority filter;
                iifname != "lo" meta l4proto udp udp sport != {port} counter name refused drop
              }}
            }}
            """,
        )

    def refused(self) -> int:
        """Datagrams that `only_turn` dropped."""
        said = _run(*self.within("out"), "nft", "list", "counter", "inet", "strict", "refused")
        return int(said.split("packets")[1].split()[0])

    def unplug(self) -> None:
        """Take the browser's machine off its network; what it had opened there hears nothing of that."""
        _run("ip", "-n", self.namespace("out"), "link", "set", "eth0", "down")

    def plug(self, address: str) -> None:
        """Give the browser's machine a network again, where it has this address and no other; from then on nothing is lost."""
        space = ["-n", self.namespace("out")]
        _run("ip", *space, "address", "flush", "dev", "eth0")
        _run("ip", *space, "link", "set", "eth0", "up")
        while "state forwarding" not in _run("bridge", "-n", self.namespace("nat"), "link", "show", "dev", "out"):
            time.sleep(0.005)
        _address(space, "eth0", f"{address}/24", via=self.public)

    def chromium(self, folder: Path) -> Path:
        """A Chromium that runs out in the world."""
        wrapper = folder / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(self.within("out"))} /usr/bin/chromium "$@"\n')
        wrapper.chmod(0o755)
        return wrapper


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Build one, take it apart; raises NotPermitted."""
    missing = [tool for tool in ("ip", "nsenter", "nft") if shutil.which(tool) is None]
    if missing:
        raise NotPermitted(f"needs {', '.join(missing)}")
    if os.geteuid() != 0:
        raise NotPermitted("network namespaces need root")
    made = World(f"sw{os.getpid()}", os.getpid() % 250 + 1)
    try:
        try:
            _build(made)
        except subprocess.CalledProcessError as error:
            raise NotPermitted(f"no network namespaces here: {(error.stderr or '').strip()}") from error
        yield made
    finally:
        for role in ("in", "nat", "out", "turn"):
            subprocess.run(["ip", "netns", "del", made.namespace(role)], capture_output=True, check=False)
        subprocess.run(["ip", "link", "del", made.name], capture_output=True, check=False)


def _build(made: World) -> None:
    spaces = {role: made.namespace(role) for role in ("in", "nat", "out", "turn")}
    for space in spaces.values():
        _run("ip", "netns", "add", space)
        _run("ip", "-n", space, "link", "set", "lo", "up")
    nat = spaces["nat"]
    _run("ip", "-n", nat, "link", "add", "world", "type", "bridge")
    _run("ip", "-n", nat, "address", "add", f"{made.public}/24", "dev", "world")
    _run("ip", "-n", nat, "link", "set", "world", "up")
    for role, address in (("out", made.browser), ("turn", made.turn)):
        _run("ip", "link", "add", "eth0", "netns", spaces[role], "type", "veth", "peer", "name", role, "netns", nat)
        _join(nat, role)
        _address(["-n", spaces[role]], "eth0", f"{address}/24", via=made.public)
    _run("ip", "link", "add", made.name, "type", "veth", "peer", "name", "here", "netns", nat)
    _join(nat, "here")
    _address([], made.name, f"198.18.{made.net}.254/24")
    _run("ip", "link", "add", "eth0", "netns", spaces["in"], "type", "veth", "peer", "name", "lan", "netns", nat)
    _address(["-n", nat], "lan", f"10.213.{made.net}.1/24")
    _address(["-n", spaces["in"]], "eth0", f"{made.private}/24", via=f"10.213.{made.net}.1")
    _run(*made.within("nat"), "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def _join(space: str, device: str) -> None:
    _run("ip", "-n", space, "link", "set", device, "master", "world", "up")


def _address(space: list[str], device: str, address: str, via: str = "") -> None:
    _run("ip", *space, "address", "add", address, "dev", device)
    _run("ip", *space, "link", "set", device, "up")
    if via:
        _run("ip", *space, "route", "add", "default", "via", via)


def _run(*words: str, text: str | None = None) -> str:
    return subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout
