"""`switchroom serve`: puts the supervisor together from the settings, and says on the terminal how to use what runs."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import structlog

from exchange import logs, rundir
from exchange.demo import ORDER_VARIABLE
from exchange.settings import WILDCARDS, HostPort, Settings, variable
from exchange.supervisor import accounts, https, postgres, records
from exchange.supervisor.errors import StartFailed, SupervisorError
from exchange.supervisor.lock import DataLock
from exchange.supervisor.screen import Screen
from exchange.supervisor.specs import Spec
from exchange.supervisor.supervisor import Supervisor
from exchange.supervisor.table import Site, table
from media.control import logs as process_logs

log = structlog.get_logger()

ORDER_FILE = "accounts.order"


def run(settings: Settings) -> None:
    """Serve until stopped; raises SupervisorError."""
    accounts.check(settings)
    with DataLock(settings.data):
        try:
            run_directory = rundir.prepare(settings.data)
        except (rundir.RunDirectoryError, OSError) as error:
            raise StartFailed(str(error)) from error
        site = Site(settings.data, run_directory)
        site.logs.mkdir(parents=True, exist_ok=True)
        check_addresses(settings, site.run)
        https.prepare(settings, site)
        logs.rotate(site.logs / "supervisor.log")
        with (site.logs / "supervisor.log").open("a", buffering=1) as out:
            process_logs.configure(settings.log_level, personal=settings.log_personal, stream=out)
            asyncio.run(_serve(settings, site, Screen()))


async def _serve(settings: Settings, site: Site, screen: Screen) -> None:
    screen.say(f"Switchroom starts on {site.data} (process {os.getpid()}); logs are in {site.logs}")
    order = accounts.order(settings)
    order_file = site.run / ORDER_FILE
    accounts.hand_over(order_file, order)
    log.info("serving", data=str(site.data), run=str(site.run), lines=settings.lines, desk_cards=settings.desk_cards)

    embedded: list[Spec] = []
    database_url = settings.database_url.get_secret_value()
    if not database_url:
        spec, database_url = await postgres.prepare(site.data, site.run, screen)
        embedded.append(spec)

    async def ready() -> None:
        new = {name: order.passwords[name] for name in accounts.collect(order_file)}
        for row in farewell(settings, site, new, demo=order.demo):
            screen.say(row)

    renewal = asyncio.create_task(https.keep(settings, site), name="certificate")
    try:
        lines_each = await asyncio.to_thread(lines_of_a_card)
        environment = {
            ORDER_VARIABLE: str(order_file),
            variable("database_url"): database_url,
            variable("lines_each"): str(lines_each),
        }
        supervisor = Supervisor(
            table(
                settings,
                site,
                lines_each=lines_each,
                proxy=inside_address(site.run),
                database=embedded,
                secrets=environment,
            ),
            run=site.run,
            logs=site.logs,
            screen=screen,
            drain_seconds=settings.drain_seconds,
            on_ready=ready,
        )
        await supervisor.run()
    finally:
        renewal.cancel()
        accounts.collect(order_file)


def lines_of_a_card() -> int:
    """Calls that one line card can hold, as the build of pjsua2 says; the import is left to a process of its own."""
    question = "import pjsua2; print(pjsua2.EpConfig().uaConfig.maxCalls)"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=False)
    if answer.returncode != 0 or not answer.stdout.strip().isdigit():
        raise StartFailed("pjsua2, the SIP media library, cannot be loaded:", answer.stderr.strip().splitlines()[-5:])
    return int(answer.stdout)


def inside_address(run: Path) -> str:
    """The edge's address towards the cards, known to both before either runs; it stays while one of them lives."""
    file = run / "edge.inside"
    living = any(record.role in ("edge", "linecard") and records.alive(record) for record in records.read_all(run))
    if not living or not file.exists():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            file.write_text(f"127.0.0.1:{probe.getsockname()[1]}")
    return file.read_text().strip()


def check_addresses(settings: Settings, run: Path) -> None:
    """Say at once which address is taken by another program; raises SupervisorError."""
    living = {record.role for record in records.read_all(run) if records.alive(record)}
    if "edge" not in living:
        _check(settings.sip, "--sip", socket.SOCK_DGRAM)
        _check(settings.sip, "--sip", socket.SOCK_STREAM)
        if settings.sips is not None:
            _check(settings.sips, "--sips", socket.SOCK_STREAM)
    if "exchange" not in living:
        _check(settings.http, "--http", socket.SOCK_STREAM)


def _check(address: HostPort, flag: str, kind: socket.SocketKind) -> None:
    try:
        family, _, _, _, where = socket.getaddrinfo(address.host, address.port, type=kind)[0]
    except socket.gaierror:
        raise StartFailed(f"{flag} {address}: there is no address of that name.") from None
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except OSError as error:
            reasons = {
                errno.EADDRINUSE: "another program uses it; stop that one or choose another port",
                errno.EADDRNOTAVAIL: "it is no address of this machine",
                errno.EACCES: "this user may not listen there; choose a port above 1023",
            }
            reason = reasons.get(error.errno or 0, error.strerror or str(error))
            raise SupervisorError(f"{flag} {address} cannot be used: {reason}.") from None


def farewell(settings: Settings, site: Site, new: dict[str, str], *, demo: bool) -> list[str]:
    """What to dial, what to open, who can log in, how to stop."""
    rows = ["", "Switchroom is ready.", ""]
    own = "127.0.0.1" if settings.sip.host in WILDCARDS else settings.sip.host
    outside = settings.public if settings.public and not settings.sip.loopback else own
    number = f"sip:5000@{HostPort(own, settings.sip.port)}"
    if demo:
        rows.append(f"  Dial        sip:5000@{HostPort(outside, settings.sip.port)}        press 1 for sales, 2 for support")
    rows.append(f"  Open        {settings.web}/desk        agents' desk")
    rows.append(f"              {settings.web}/recordings  supervisors' and admins' recordings")
    if demo and settings.web_cards:
        rows.append(f"              {settings.web}/call        calls that number from the browser, without a telephone")
    public = f"{settings.scheme}://{HostPort(settings.public, settings.http.port)}"
    if settings.public and not settings.http.loopback and public != settings.web:
        rows.append(f"              {public}/desk        the same from outside the NAT")
    rows += https.rows(settings)
    names = "agent1 and agent2 (agents), supervisor, admin" if demo else "admin"
    rows.append(f"  Log in as   {names}")
    given = settings.demo_password.get_secret_value()
    if given:
        rows.append("  Password    the one given with --demo-password")
    elif new:
        rows.append("  Passwords   shown now and never again:")
        rows += [f"                {name:<12} {password}" for name, password in new.items()]
    else:
        rows.append("  Passwords   as they were set before")
    if demo:
        rows.append(f"  Try         switchroom call {number} --digits 1 --tone 440 --seconds 8 --save heard.wav")
    rows.append(f"  Look        switchroom status --data {site.data}")
    rows += ["  Stop        Ctrl-C (waits for running calls; twice: at once)", ""]
    return rows
