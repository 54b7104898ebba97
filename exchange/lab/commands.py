"""The lab's part of the command line: explain, replay, what-if, shadow, and the log as a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from exchange.lab.entries import Log
    from storage.database import Database

T = TypeVar("T")

log = typer.Typer(help="The event log as a file.", no_args_is_help=True, rich_markup_mode=None)
shadow = typer.Typer(help="Other rules on the live events, without acting.", no_args_is_help=True, rich_markup_mode=None)

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Directory that holds everything.")]
LogOption = Annotated[Path | None, typer.Option("--log", metavar="FILE", help="A file of `log export`, or a data directory.")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Like 2026-11-25T09:30 or 2026-11-25.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="As --from; default: the log's end.")]
Day = Annotated[str | None, typer.Option("--day", metavar="DATE", help="The whole day; default: yesterday.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Zone = Annotated[str | None, typer.Option("--zone", metavar="NAME", help="Time zone; default: this machine's.")]


def register(app: typer.Typer) -> None:
    """Hang the commands into the program's."""
    app.command()(explain)
    app.command()(replay)
    app.command()(whatif)
    app.add_typer(log, name="log")
    log.command("export")(log_export)
    app.add_typer(shadow, name="shadow")
    shadow.command("start")(shadow_start)
    shadow.command("stop")(shadow_stop)
    shadow.command("report")(shadow_report)


def explain(
    contact: Annotated[str, typer.Argument(help="The contact's id.")],
    everybody: Annotated[bool, typer.Option("--all", help="Every candidate of each decision, by replay.")] = False,
    data: Data = None,
    file: LogOption = None,
    as_json: Json = False,
    zone: Zone = None,
) -> None:
    """Say in sentences what happened to a contact and why; exit code 1 when the log does not know it."""
    from exchange.lab import explaining
    from exchange.lab.times import zone_of

    def work(where: Log, recordings: bool) -> Coroutine[Any, Any, explaining.Story]:
        return explaining.explain(where, contact, zone_of(zone), everybody=everybody, recordings=recordings)

    story = _with_log(data, file, work)
    typer.echo(explaining.as_json(story) if as_json else explaining.text(story, _guard(lambda: zone_of(zone))))


def replay(
    start: From = None,
    end: To = None,
    data: Data = None,
    file: LogOption = None,
    as_json: Json = False,
    zone: Zone = None,
) -> None:
    """Run the log through this version's engine: identical, or the first difference (exit code 1)."""
    import msgspec

    from exchange.lab import replay as lab
    from exchange.lab.times import moment, zone_of

    here = _guard(lambda: zone_of(zone))
    times = _guard(lambda: [moment(text, here) if text is not None else None for text in (start, end)])

    def work(where: Log, recordings: bool) -> Coroutine[Any, Any, lab.Report]:
        return lab.replay(where, times[0], times[1], recordings=recordings)

    report = _with_log(data, file, work)
    typer.echo(msgspec.json.encode(report).decode() if as_json else lab.text(report, here))
    if not report.identical:
        raise typer.Exit(1)


def whatif(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="The changed configuration document.")] = None,
    day: Day = None,
    start: From = None,
    end: To = None,
    data: Data = None,
    file: LogOption = None,
    agents: Annotated[list[str] | None, typer.Option(metavar="±N@QUEUE", help="More or fewer agents; repeatable.")] = None,
    synthetic: Annotated[Path | None, typer.Option(metavar="FILE", help="Poisson arrivals instead of the log's.")] = None,
    present: Annotated[Path | None, typer.Option(metavar="FILE", help="Present rules for --synthetic.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=200, help="Runs of each side.")] = 4,
    processes: Annotated[int, typer.Option(min=0, help="At the same time; 0: one for each core.")] = 0,
    as_json: Json = False,
    zone: Zone = None,
) -> None:
    """Run a day again under other rules or staffing, and compare."""
    from exchange.lab import asking

    question = asking.Question(config, day, start, end, agents or [], synthetic, present, seeds, processes, zone)
    if synthetic is not None and present is not None:
        answer = _guard(lambda: asking.of_files(question))
    else:
        day_read = _with_log(data, file, lambda where, _: asking.read(question, where))
        answer = _guard(lambda: asking.answer(question, day_read, _progress()))
    typer.echo(asking.as_json(answer) if as_json else asking.text(answer))


def log_export(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; a name that ends in .gz is compressed.")],
    day: Day = None,
    start: From = None,
    end: To = None,
    data: Data = None,
    zone: Zone = None,
) -> None:
    """Write a day of the event log, with what is needed to replay it, into a file of JSON lines."""
    from exchange.lab import daylight, files
    from exchange.lab.asking import span
    from exchange.lab.database import DatabaseLog

    first, last = _guard(lambda: span(day, start, end, zone))

    async def work(where: Log, _: bool) -> int:
        if not isinstance(where, DatabaseLog):
            raise TypeError("only a database is exported")
        return await files.export(where, first, last, daylight.RUN_UP, target)

    count = _with_log(data, None, work)
    typer.echo(f"{count:,} events are in {target}.")


def shadow_start(
    rules: Annotated[Path, typer.Argument(metavar="FILE", help="The configuration document that is tried.")],
    data: Data = None,
    lag: Annotated[float, typer.Option(min=60, help="Seconds behind the live events.")] = 900.0,
) -> None:
    """Try other rules on what happens from now on; takes the place of the shadow before."""
    from exchange.lab import shadowing

    for warning in _with_database(data, lambda database: shadowing.start(database, rules, lag), write=True):
        typer.echo(f"Note: {warning}")
    typer.echo(f"The shadow of {rules} begins within a few seconds, if the exchange is running.")


def shadow_stop(data: Data = None) -> None:
    """End the shadow; its report stays until the next one is started."""
    from exchange.lab import shadowing

    _with_database(data, shadowing.stop, write=True)
    typer.echo("The shadow is stopped.")


def shadow_report(
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only contacts queued from then on.")] = None,
    data: Data = None,
    as_json: Json = False,
    zone: Zone = None,
) -> None:
    """Say who would have waited more or less."""
    import msgspec

    from exchange.lab import shadowing
    from exchange.lab.times import moment, zone_of

    here = _guard(lambda: zone_of(zone))
    first = _guard(lambda: moment(since, here)) if since is not None else None
    report = _with_database(data, lambda database: shadowing.report(database, first))
    typer.echo(msgspec.json.encode(report).decode() if as_json else shadowing.text(report, here))


# --- around them --------------------------------------------------------------------------------------------------


def _with_log(data: Path | None, file: Path | None, work: Callable[[Log, bool], Coroutine[Any, Any, T]]) -> T:
    """Open the log of a data directory, or a file of it."""
    import asyncio

    from exchange.lab.database import DatabaseLog
    from exchange.lab.files import FileLog
    from exchange.lab.reach import reach
    from exchange.settings import SettingsError, load
    from media.control.logs import configure

    configure("error", stream=sys.stderr)
    if file is not None and file.is_dir():
        data, file = file, None
    try:
        settings = load(data=data)
    except SettingsError as error:
        _fail(str(error), 2)

    async def run() -> T:
        if file is not None:
            return await work(FileLog(file), settings.recordings)
        url = settings.database_url.get_secret_value()
        async with reach(settings.data, url) as database:
            return await work(DatabaseLog(database, (url and "the database") or str(settings.data)), settings.recordings)

    return _guard(lambda: asyncio.run(run()))


def _with_database(data: Path | None, work: Callable[[Database], Coroutine[Any, Any, T]], *, write: bool = False) -> T:
    """Open the database of a data directory."""
    import asyncio

    from exchange.lab.reach import reach
    from exchange.settings import SettingsError, load
    from media.control.logs import configure

    configure("error", stream=sys.stderr)
    try:
        settings = load(data=data)
    except SettingsError as error:
        _fail(str(error), 2)

    async def run() -> T:
        async with reach(settings.data, settings.database_url.get_secret_value(), write=write) as database:
            return await work(database)

    return _guard(lambda: asyncio.run(run()))


def _guard(work: Callable[[], T]) -> T:
    from exchange.lab.errors import LabError
    from storage.errors import StorageError

    try:
        return work()
    except (LabError, StorageError) as error:
        _fail(str(error), 1)


def _progress() -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(done: int, of: int) -> None:
        sys.stderr.write(f"\r{done} of {of} runs" if done < of else "\r" + " " * 30 + "\r")
        sys.stderr.flush()

    return show


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"switchroom: {message}", err=True)
    raise typer.Exit(code)
