"""What runs: every process of a data directory, in the order of start, from the settings."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from exchange import certificates
from exchange.settings import Settings
from exchange.supervisor.spare import Spare
from exchange.supervisor.specs import Spec, greets, listens
from exchange.supervisor.zygote import forked_by
from media.control import logs

ZYGOTE = "linecards"
ZYGOTE_SOCKET = "linecards.zyg"


@dataclass(frozen=True)
class Site:
    """The directories of one data directory."""

    data: Path
    run: Path

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def prompts(self) -> Path:
        return self.data / "prompts"

    @property
    def vault(self) -> Path:
        return self.data / "vault"

    @property
    def master_key(self) -> Path:
        return self.data / "keys" / "master.key"


def python(module: str, *arguments: object) -> tuple[str, ...]:
    """The command that runs a module of ours with this very interpreter."""
    return (sys.executable, "-m", module, *(str(argument) for argument in arguments))


def table(
    settings: Settings, site: Site, *, lines_each: int, proxy: str, database: list[Spec], secrets: dict[str, str]
) -> list[list[Spec]]:
    """All processes in groups; a group is started when the one before it is ready."""
    told = {name: settings.environment()[name] for name in (logs.LEVEL, logs.PERSONAL)}
    ours = [
        [_speech(site), _vault(site), _bookkeeper(settings, site, secrets), _zygote(site)],
        [*_line_cards(settings, site, lines_each, proxy), *_desk_cards(settings, site)],
        [_edge(settings, site)],
        [_exchange(settings, site, secrets)],
    ]
    return [database, *([replace(spec, environment={**told, **spec.environment}) for spec in group] for group in ours)]


def _speech(site: Site) -> Spec:
    argv = python("media.speech", "--run", site.run, "--name", "speech", "--cache", site.prompts)
    return Spec("speech", "speech", "Speech worker", argv, greets(site.run, "speech"), ready_seconds=120)


def _vault(site: Site) -> Spec:
    argv = python("media.vault", "--run", site.run, "--name", "vault", "--vault", site.vault, "--key-file", site.master_key)
    return Spec("vault", "vault", "Vault worker", argv, greets(site.run, "vault"), grace=20)


def _bookkeeper(settings: Settings, site: Site, secrets: dict[str, str]) -> Spec:
    argv = python("exchange.bookkeeper", "--run", site.run, "--name", "bookkeeper", "--data", site.data)
    return Spec(
        "bookkeeper",
        "bookkeeper",
        "Bookkeeper",
        argv,
        greets(site.run, "bookkeeper"),
        environment={**settings.environment(), **secrets},
        grace=20,
    )


def _zygote(site: Site) -> Spec:
    argv = python("sip.linecard.zygote", "--run", site.run)
    return Spec(ZYGOTE, "zygote", "Line cards' zygote", argv, listens(site.run / ZYGOTE_SOCKET))


def _line_cards(settings: Settings, site: Site, lines_each: int, proxy: str) -> list[Spec]:
    count = settings.line_cards(lines_each)
    ranges = settings.rtp.split(2)[0].split(count)
    found = []
    for number, ports in enumerate(ranges):
        name = f"linecard{number}"
        here = min(lines_each, settings.lines - number * lines_each)
        argv: list[object] = ["--run", site.run, "--name", name, "--proxy", proxy]
        argv += ["--rtp", ports, "--rate", settings.bridge_rate, "--lines", here]
        if settings.public:
            argv += ["--public", settings.public]
        found.append(
            Spec(
                name,
                "linecard",
                f"Line card {number}",
                tuple(str(word) for word in argv),
                greets(site.run, name),
                launcher=forked_by(site.run / ZYGOTE_SOCKET),
                when_changed="drain",
            )
        )
    return found


def _desk_cards(settings: Settings, site: Site) -> list[Spec]:
    labels = [(f"deskcard{n}", f"Desk card {n}") for n in range(settings.desk_cards)]
    labels += [(f"webcard{n}", f"Web callers' card {n}") for n in range(settings.web_cards)]
    ranges = settings.rtp.split(2)[1].split(len(labels))
    found = []
    for (name, label), ports in zip(labels, ranges, strict=True):
        argv: list[object] = ["--run", site.run, "--name", name, "--rtp", ports, "--rate", settings.bridge_rate]
        if settings.public:
            argv += ["--public", settings.public]
        found.append(
            Spec(
                name,
                "deskcard",
                label,
                python("media.deskcard", *argv),
                greets(site.run, name),
                when_changed="drain",
            )
        )
    return found


def _edge(settings: Settings, site: Site) -> Spec:
    argv: list[object] = ["--run", site.run, "--name", "edge", "--sip", settings.sip]
    if settings.public:
        argv += ["--public", settings.public]
    if settings.sips is not None:
        certificate, key = certificates.sip_files(settings)
        argv += ["--sips", settings.sips, "--certificate", certificate, "--key", key]
    argv += ["--flood", settings.sip_flood]
    for server in settings.dns:
        argv += ["--dns", server]
    for network in settings.allow:
        argv += ["--allow", network]
    return Spec(
        "edge",
        "edge",
        "SIP edge",
        python("sip.edge", *argv),
        greets(site.run, "edge"),
        stop_signals=(signal.SIGINT,),  # it was drained before the cards stopped; nothing is left to wait for
        hurried_from=0,
    )


def _exchange(settings: Settings, site: Site, secrets: dict[str, str]) -> Spec:
    argv = python("exchange.brain", "--run", site.run, "--data", site.data)
    return Spec(
        "exchange",
        "exchange",
        "Exchange",
        argv,
        greets(site.run, "exchange"),
        environment={**settings.environment(), **secrets},
        spare=Spare(),
        ready_seconds=300,
        grace=15,
    )
