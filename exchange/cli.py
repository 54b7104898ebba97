"""The command line `switchroom`. Imports happen inside the commands, so that each starts as fast as it can.

Exit codes: 0 done; 1 not done (the sentence says why); 2 wrong usage or settings, and of `config plan`: something would
change; 3 already running; 4 something does not start.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from exchange.lab import commands

app = typer.Typer(
    name="switchroom",
    help="A contact centre that a company can run itself.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
flow = typer.Typer(help="Flow documents.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(flow, name="flow")

config = typer.Typer(
    help="Queues, agents and all other routing rules as one document.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(config, name="config")

Data = Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Directory that holds everything.")]


@app.command()
def serve(
    data: Data = None,
    http: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where browsers reach us.")] = None,
    sip: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where SIP reaches us.")] = None,
    sips: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where SIP over TLS reaches us.")] = None,
    rtp: Annotated[str | None, typer.Option(metavar="FIRST-LAST", help="UDP ports of audio.")] = None,
    public: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Our address as others see it, behind NAT.")] = None,
    lines: Annotated[int | None, typer.Option(metavar="N", help="Calls at the same time.")] = None,
    allow: Annotated[list[str] | None, typer.Option(metavar="CIDR", help="Serve SIP from there too; repeatable.")] = None,
    demo_password: Annotated[str | None, typer.Option(metavar="WORD", help="Password of the demo accounts.")] = None,
    demo: Annotated[bool | None, typer.Option("--demo/--no-demo", help="Demo accounts, queues and number 5000.")] = None,
    desk_cards: Annotated[int | None, typer.Option(metavar="N", help="Processes that hold browsers' connections.")] = None,
    bridge_rate: Annotated[int | None, typer.Option(metavar="HZ", help="16000 or 8000.")] = None,
    recordings: Annotated[bool | None, typer.Option("--recordings/--no-recordings", help="Record calls with agents.")] = None,
    drain_seconds: Annotated[float | None, typer.Option(metavar="S", help="How long a stop waits for calls.")] = None,
    log_level: Annotated[str | None, typer.Option(metavar="LEVEL", help="debug, info, warning or error.")] = None,
) -> None:
    """Run the exchange; Ctrl-C waits for running calls and stops, a second Ctrl-C stops at once."""
    flags: dict[str, Any] = {name: value for name, value in locals().items() if name != "flags"}
    if allow is not None:
        from exchange.settings import LOOPBACK

        flags["allow"] = (*LOOPBACK, *(word for value in allow for word in value.split(",") if word))
    from exchange.settings import SettingsError, load
    from exchange.supervisor.errors import SupervisorError
    from exchange.supervisor.serve import run

    try:
        run(load(**flags))
    except SettingsError as error:
        _fail(str(error), 2)
    except SupervisorError as error:
        for row in error.details:
            typer.echo(f"    {row}", err=True)
        _fail(error.message, error.code)


@app.command()
def status(
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Show processes, cards, lines, calls and agents; exit code 1 when nothing runs."""
    import asyncio

    import msgspec

    from exchange import rundir
    from exchange import status as report
    from media.control.logs import configure

    configure("error", stream=sys.stderr)
    try:
        taken = asyncio.run(report.take(_data(data)))
    except rundir.RunDirectoryError as error:
        _fail(str(error), 1)
    typer.echo(msgspec.json.encode(taken).decode() if as_json else report.text(taken))
    if not taken.processes:
        raise typer.Exit(1)


@app.command()
def stop(
    data: Data = None,
    now: Annotated[bool, typer.Option("--now", help="Do not wait for running calls.")] = False,
) -> None:
    """Stop the exchange that runs on a data directory."""
    import asyncio

    from exchange.rundir import run_directory
    from exchange.supervisor import ask
    from exchange.supervisor.messages import Stop
    from media.control.envelope import ControlError

    try:
        asyncio.run(ask.tell(run_directory(_data(data)) / "supervisor.ctl", Stop(now)))
    except ControlError as error:
        _fail(error.message, 1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def call(context: typer.Context) -> None:
    """Call as a SIP caller: dials, sends digits and a tone, saves what it hears (call --help)."""
    from sip.caller import main as caller

    sys.exit(caller(context.args))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def agent(context: typer.Context) -> None:
    """Work as a headless agent: logs in, answers, sends a tone, saves what it hears (agent --help)."""
    from media.agent import main as worker

    sys.exit(worker(context.args))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def loopback(context: typer.Context) -> None:
    """Chat as customers do, by a script: they write, wait, lose patience, leave (loopback --help)."""
    from exchange.loopback import main as customers

    sys.exit(customers(context.args))


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"switchroom {installed('switchroom')}")


@flow.command("check")
def flow_check(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The flow document, YAML.")],
) -> None:
    """Check a flow document; exit code 1 when it has faults."""
    from ivr.validation import check

    try:
        problems = check(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        _fail(f"{file} is not text in UTF-8: {error.reason} at byte {error.start}.", 1)
    for problem in problems:
        typer.echo(str(problem))
    if problems:
        raise typer.Exit(1)
    typer.echo(f"{file} can be run.")


Document = Annotated[Path, typer.Argument(metavar="FILE", help="The document, YAML; - is the standard input.")]


@config.command("export")
def config_export(data: Data = None) -> None:
    """Print the document in force, as YAML."""
    from exchange.configuration import command

    try:
        typer.echo(command.export(_data(data)), nl=False)
    except command.CommandError as error:
        _fail(str(error), 1)


@config.command("check")
def config_check(file: Document) -> None:
    """Check a document without an exchange; exit code 1 when it could not be taken."""
    from acd.errors import BadDocument
    from exchange.configuration import command

    try:
        problems = command.checked(file)
    except BadDocument as error:
        problems = error.problems
    except command.CommandError as error:
        _fail(str(error), 1)
    for problem in problems:
        typer.echo(f"{'error' if problem.blocks else 'warning'}: {problem}")
    if any(problem.blocks for problem in problems):
        raise typer.Exit(1)
    typer.echo(f"{file} can be taken.")


@config.command("plan")
def config_plan(file: Document, data: Data = None) -> None:
    """Say what a document would change; exit code 0: nothing, 2: something, 1: it cannot be taken."""
    _configure(file, data, apply=False)


@config.command("apply")
def config_apply(file: Document, data: Data = None) -> None:
    """Make a document the one in force, all or nothing; exit code 1 when nothing was done."""
    _configure(file, data, apply=True)


def _configure(file: Path, data: Path | None, *, apply: bool) -> None:
    from acd.errors import BadDocument
    from exchange.configuration import command

    try:
        wanted, lines = command.read(file)
        planned = (command.apply if apply else command.plan)(_data(data), wanted)
    except BadDocument as error:
        for sentence in command.problems(error):
            typer.echo(sentence)
        _fail(f"{file} cannot be taken.", 1)
    except command.CommandError as error:
        _fail(str(error), 1)
    for line in command.report(planned, lines):
        typer.echo(line)
    if command.blocked(planned):
        _fail(planned.refused or f"{file} cannot be taken: see above.", 1)
    if planned.applied:
        typer.echo("It is in force now.")
    elif planned.changes:
        raise typer.Exit(2)


commands.register(app)


def _data(given: Path | None) -> Path:
    from exchange.settings import SettingsError, load

    try:
        return load(data=given).data
    except SettingsError as error:
        _fail(str(error), 2)


def _fail(message: str, code: int) -> NoReturn:
    typer.echo(f"switchroom: {message}", err=True)
    raise typer.Exit(code)


def main() -> None:
    """The program's entry point."""
    app()


if __name__ == "__main__":
    main()
