"""What the supervisor is made of: run directory, records, logs, accounts, addresses, command line."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import structlog

from exchange import logs, rundir
from exchange.demo import SeedDone
from exchange.settings import load
from exchange.supervisor import accounts, records, serve
from exchange.supervisor.errors import SupervisorError
from exchange.supervisor.lock import DataLock
from exchange.supervisor.screen import Screen
from exchange.supervisor.table import Site, table
from media.control import logs as process_logs

pytestmark = pytest.mark.layer


# --- run directory ------------------------------------------------------------------------------------------------


def test_a_short_data_directory_holds_its_run_directory(tmp_path: Path) -> None:
    data = Path("/d")
    assert rundir.run_directory(data) == Path("/d/run")
    made = rundir.prepare(tmp_path / "x")
    assert made.stat().st_mode & 0o777 == 0o700
    assert rundir.prepare(tmp_path / "x") == made


def test_a_long_one_gets_a_short_private_place(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30)
    run = rundir.prepare(data)
    try:
        assert len(os.fsencode(run)) + 1 + rundir.LONGEST_NAME <= rundir.SOCKET_PATH_LIMIT
        assert run == rundir.run_directory(data)
        assert run != rundir.run_directory(tmp_path / ("lung" * 30))
        assert run.stat().st_mode & 0o777 == 0o700
        assert run.stat().st_uid == os.geteuid()
    finally:
        (run / "dialogs").rmdir()
        run.rmdir()


@pytest.fixture
def short() -> Iterator[Path]:
    """A data directory whose path is short enough to hold its run directory, however deep pytest's own is."""
    with tempfile.TemporaryDirectory(prefix="sw") as name:
        yield Path(name)


def test_a_run_directory_of_others_is_refused(short: Path, tmp_path: Path) -> None:
    data = short / "data"
    run = data / "run"
    run.mkdir(parents=True, mode=0o700)
    run.chmod(0o755)
    with pytest.raises(rundir.RunDirectoryError, match="open to other users"):
        rundir.prepare(data)
    run.rmdir()
    run.symlink_to(tmp_path)
    with pytest.raises(rundir.RunDirectoryError, match="not a directory"):
        rundir.prepare(data)


# --- records, logs ------------------------------------------------------------------------------------------------


def test_records_tell_the_living_from_the_dead(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    ticks = records.start_ticks(child.pid)
    assert ticks is not None
    record = records.ProcessRecord("edge", "edge", child.pid, ticks, 0.0, "d")
    records.write(tmp_path, record)
    assert records.read(tmp_path, "edge") == record
    assert records.alive(record)
    assert not records.alive(msgspec.structs.replace(record, ticks=ticks + 1))
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not records.alive(record), "a corpse is not alive"
    child.communicate()
    (tmp_path / "bad.json").write_text("{")
    assert records.read_all(tmp_path) == [record]


def test_log_files_rotate_and_old_ones_go(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    for number in range(8):
        path.write_text(f"{number}" * 10)
        assert logs.rotate(path, limit=5)
        assert not logs.rotate(path, limit=5)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a.log.{n}" for n in range(1, logs.KEPT + 1)]
    assert (tmp_path / "a.log.1").read_text() == "7" * 10


def test_an_open_log_is_cut_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = logs.open_log(path)
    os.write(file, b"old" * 10)
    assert logs.rotate_open(path, limit=5)
    os.write(file, b"new")
    os.close(file)
    assert path.read_text() == "new"
    assert (tmp_path / "a.log.1").read_text() == "old" * 10


@pytest.mark.parametrize(("personal", "shown"), [(False, "…89"), (True, "+49123456789")])
def test_personal_data_is_masked_unless_asked_for(personal: bool, shown: str) -> None:
    out = io.StringIO()
    try:
        process_logs.configure("info", personal=personal, stream=out)
        structlog.get_logger().info("call arrived", call="c1", **{"pii.ani": "+49123456789"})
    finally:
        structlog.reset_defaults()
    said = json.loads(out.getvalue())
    assert (said["event"], said["call"], said["pii.ani"]) == ("call arrived", "c1", shown)


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    out = io.StringIO()
    out.close()
    screen = Screen(out)
    screen.say("one")
    screen.say("two")


# --- accounts -----------------------------------------------------------------------------------------------------


def test_demo_accounts_are_not_made_where_others_reach_them_unasked(tmp_path: Path) -> None:
    with pytest.raises(accounts.Unsafe, match=re.escape("--http 0.0.0.0:8080 can be reached")) as caught:
        accounts.check(load(data=tmp_path, http="0.0.0.0:8080"))
    assert caught.value.code == 2
    for said in ({"demo_password": "word"}, {"demo": True}, {"demo": False}):
        settings = load(data=tmp_path, http="0.0.0.0:8080", **said)
        accounts.check(settings)
        expected = {"admin"} if said == {"demo": False} else {"agent1", "agent2", "supervisor", "admin"}
        assert set(accounts.order(settings).passwords) == expected


def test_passwords_are_the_given_one_or_all_different(tmp_path: Path) -> None:
    given = accounts.order(load(data=tmp_path, demo_password="word"))
    assert set(given.passwords.values()) == {"word"}
    assert given.reset
    random = accounts.order(load(data=tmp_path))
    assert len(set(random.passwords.values())) == 4
    assert not random.reset
    assert all(re.fullmatch(r"[a-z]{4}(-[a-z]{4}){2}", word) for word in random.passwords.values())


def test_the_order_is_private_and_gone_when_collected(tmp_path: Path) -> None:
    path = tmp_path / "accounts.order"
    accounts.hand_over(path, accounts.order(load(data=tmp_path)))
    assert path.stat().st_mode & 0o777 == 0o600
    accounts.done_path(path).write_bytes(msgspec.json.encode(SeedDone(["admin"])))
    assert accounts.collect(path) == ["admin"]
    assert list(tmp_path.iterdir()) == []
    assert accounts.collect(path) == []


# --- the table, addresses -----------------------------------------------------------------------------------------


def test_lines_and_ports_are_split_among_the_cards(tmp_path: Path) -> None:
    settings = load(data=tmp_path, lines=10, rtp="40000-44999", desk_cards=2, demo_password="geheim")
    site = Site(tmp_path, tmp_path / "run")
    specs = [
        spec
        for group in table(settings, site, lines_each=4, proxy="127.0.0.1:1", database=[], secrets={"X": "geheim"})
        for spec in group
    ]
    arguments = {spec.name: dict(zip(spec.argv, spec.argv[1:], strict=False)) for spec in specs}
    assert [arguments[f"linecard{n}"]["--lines"] for n in range(3)] == ["4", "4", "2"]
    ports = [arguments[name]["--rtp"] for name in ("linecard0", "linecard1", "linecard2", "deskcard0", "deskcard1", "webcard0")]
    bounds = [int(end) for one in ports for end in one.split("-")]
    assert bounds == sorted(set(bounds)), "no port belongs to two cards"
    assert bounds[0] == 40000
    assert 44990 < bounds[-1] <= 44999
    assert not any("geheim" in word for spec in specs for word in spec.argv), "command lines can be read by everybody"


def test_a_taken_address_is_named(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        settings = load(data=tmp_path, sip=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SupervisorError, match=r"--sip 127.0.0.1:\d+ cannot be used: another program uses it"):
            serve.check_addresses(settings, tmp_path)
    with pytest.raises(SupervisorError, match="it is no address of this machine"):
        serve.check_addresses(load(data=tmp_path, sip="192.0.2.1:5060"), tmp_path)


# --- the command line ---------------------------------------------------------------------------------------------


def switchroom(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exchange.cli", *words], capture_output=True, text=True, check=False, timeout=60
    )


def test_status_of_a_directory_where_nothing_runs(tmp_path: Path) -> None:
    done = switchroom("status", "--data", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, f"Switchroom on {tmp_path}: stopped\n")
    done = switchroom("status", "--data", str(tmp_path), "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert {"processes", "lines", "cards", "calls", "agents", "queues"} <= set(report)


def test_a_second_serve_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with DataLock(tmp_path):
        done = switchroom("serve", "--data", str(tmp_path))
    assert done.returncode == 3
    assert f"Switchroom is already running on {tmp_path} (process {os.getpid()})." in done.stderr


def test_a_wrong_setting_is_a_sentence_and_code_2(tmp_path: Path) -> None:
    done = switchroom("serve", "--data", str(tmp_path), "--http", "8080")
    assert (done.returncode, done.stderr) == (2, "switchroom: --http: '8080' is not HOST:PORT.\n")


def test_flow_check_says_what_is_wrong(tmp_path: Path) -> None:
    demo = Path(__file__).parents[2] / "ivr" / "demo.yaml"
    good = switchroom("flow", "check", str(demo))
    assert (good.returncode, good.stdout) == (0, f"{demo} can be run.\n")
    bad = tmp_path / "bad.yaml"
    bad.write_text(demo.read_text().replace("entry: answer", "entry: anser"))
    done = switchroom("flow", "check", str(bad))
    assert done.returncode == 1
    assert "did you mean 'answer'" in done.stdout
