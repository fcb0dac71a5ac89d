"""The commands of ``iron-runtime``, their options, and what each option means.

Owns the command line. What a command does stands in the module of its name.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from iron_adapters.cli.complaint import complain

_JSON = Annotated[bool, typer.Option("--json", help="Write JSON, for machines.")]

app = typer.Typer(
    help="Hold an agent's model calls to a policy.",
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
    mode: Annotated[str | None, typer.Option(help="What to be: router. Not in this version.")] = None,
    port: Annotated[int, typer.Option(help="Where a router listens.", hidden=True)] = 8080,
    *,
    told: Annotated[
        bool, typer.Option("--version", callback=lambda value: _tell_version(asked=value), is_eager=True)
    ] = False,
) -> None:
    """Hold an agent's model calls to a policy."""
    del port, told
    if mode is not None:
        complain(
            f"--mode={mode}: this version has no router and no control plane yet; govern the agent in its own process: "
            "iron-runtime run -- python agent.py",
            code=2,
        )
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


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
