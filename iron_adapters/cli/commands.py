"""The commands of ``iron-runtime``, their options, and what each option means.

Owns the command line. What a command does stands in the module of its name.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated, NoReturn

import typer

from iron_adapters.cli.complaint import complain
from iron_adapters.cli.quick_start import without_collector

_JSON = Annotated[bool, typer.Option("--json", help="Write JSON, for machines.")]

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
policy_app = typer.Typer(help="Look at policy documents.", no_args_is_help=True, rich_markup_mode=None)
audit_app = typer.Typer(help="Look at audit files.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(policy_app, name="policy")
app.add_typer(audit_app, name="audit")


def _tell_version(*, asked: bool) -> None:
    if asked:
        typer.echo(f"iron-runtime {version('iron-adapters')}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    *,
    mode: Annotated[
        str | None, typer.Option(metavar="router", help="Be a router, a server that calls go through.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="The policy; else of $IRON_POLICY, else built in.")
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 is any free port.")] = 8080,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes serve.")] = 1,
    token: Annotated[
        str | None,
        typer.Option(help="What callers send as API key. Better in $IRON_RUNTIME_TOKEN or a file."),
    ] = None,
    token_file: Annotated[Path | None, typer.Option(help="The file with that token.")] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="USD", help="The most it may spend until it ends.")
    ] = None,
    max_body_mb: Annotated[int, typer.Option(min=1, help="The largest request, in MiB.")] = 64,
    grace_seconds: Annotated[
        int, typer.Option(min=0, help="How long calls may go on after a signal to end.")
    ] = 30,
    log_json: Annotated[bool, typer.Option("--log-json", help="Write a line for each request.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say in JSON what it does.")] = False,
    told: Annotated[
        bool, typer.Option("--version", callback=lambda value: _tell_version(asked=value), is_eager=True)
    ] = False,
) -> None:
    """Hold an agent's model calls to a policy.

    With --mode=router, to which all the other options below belong, be a server that speaks OpenAI's and Anthropic's APIs, until SIGTERM or Ctrl-C: calls under way
    then end first, unless a second signal comes. Keys come from OPENAI_API_KEY, ANTHROPIC_API_KEY, and NAME_API_KEY for an
    upstream of that name.
    """
    del told
    if mode is None:
        _refuse_routers_options(context)
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
        return
    if mode != "router" or context.invoked_subcommand is not None:
        _refuse_mode(mode, context.invoked_subcommand, as_json=as_json)
    with without_collector():
        from iron_adapters.cli.router import run_router
        from iron_adapters.cli.router_options import RouterOptions
    run_router(
        RouterOptions(
            policy=policy,
            host=host,
            port=port,
            workers=workers,
            token=token,
            token_file=token_file,
            budget=budget,
            max_body_mb=max_body_mb,
            grace_seconds=grace_seconds,
            log_json=log_json,
            as_json=as_json,
        )
    )


def _refuse_mode(mode: str, command: str | None, *, as_json: bool) -> NoReturn:
    """Say what is wrong with a *mode*, and what to do instead."""
    if mode == "router":
        problem = f"--mode=router: a router takes no command; leave {command!r} out"
    elif mode == "control":
        problem = "--mode=control: this version has no control plane yet; it has a router: iron-runtime --mode=router"
    else:
        problem = f"--mode={mode}: there is no such mode; there is router: iron-runtime --mode=router"
    if not as_json:
        complain(problem, code=2)
    typer.echo(json.dumps({"event": "failed", "message": problem, "exit_code": 2}), err=True)
    raise typer.Exit(2)


def _refuse_routers_options(context: typer.Context) -> None:
    """Refuse what would be ignored without ``--mode=router``."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in {"mode", "told"} and source is not None and source.name == "COMMANDLINE":
            complain(_misplaced(name, context), code=2)


def _misplaced(name: str, context: typer.Context) -> str:
    """Return what to do about an option that belongs to the router, or stands before the command that it is meant for."""
    option = "json" if name == "as_json" else name.replace("_", "-")
    value = "" if isinstance(context.params[name], bool) else f"={context.params[name]}"
    if name in {"token", "token_file"}:
        value = "=…"
    problem = f"--{option} belongs to the router: write iron-runtime --mode=router --{option}{value}"
    if name in {"policy", "as_json"} and context.invoked_subcommand is not None:
        problem += f", or give it after {context.invoked_subcommand!r}"
    return problem


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(help="The program and its arguments, after --.")],
    policy: Annotated[
        Path | None, typer.Option(help="The policy; else of $IRON_POLICY, else built in.")
    ] = None,
    *,
    as_json: _JSON = False,
) -> None:
    """Run a program with every Python in it governed, and tell on stderr what it did.

    Exits as the program does; 2 where it was not started, 3 where it succeeded and no Python of it was governed, 78
    where its Python cannot be governed, 126 and 127 where there is no such program.
    """
    from iron_adapters.cli.run import run_governed

    run_governed(command, policy, as_json=as_json)


@policy_app.command("check")
def policy_check(file: Path, *, as_json: _JSON = False) -> None:
    """Name every fault of a policy document; exit 1 if it has any."""
    from iron_adapters.cli.policy import check

    check(file, as_json=as_json)


@policy_app.command("schema")
def policy_schema() -> None:
    """Write the JSON Schema of the policy document."""
    from iron_adapters.cli.policy import write_schema

    write_schema()


@app.command()
def scan(
    file: Annotated[str, typer.Argument(help="A text in UTF-8; - is standard input.")] = "-",
    *,
    as_json: _JSON = False,
) -> None:
    """List the kinds and places of personal data, secrets and injections, never what they are; exit 1 if there are any."""
    from iron_adapters.cli.scan import scan_file

    scan_file(file, as_json=as_json)


@audit_app.command("verify")
def audit_verify(file: Path, *, as_json: _JSON = False) -> None:
    """Check that nobody changed an audit file since it was written; exit 1 if somebody did."""
    from iron_adapters.cli.audit import check

    check(file, as_json=as_json)
