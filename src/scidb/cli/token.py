"""``scidb token``: who may use a database that is served, and as what."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
from typing import TYPE_CHECKING, Annotated, Final

import typer

from scidb.cli.context import DatabaseOption, JsonOption, find_database, settings_of
from scidb.cli.jsonlines import print_json_lines
from scidb.cli.tables import Column, note, print_table, time_text
from scidb.extras import require

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scidb.cli.context import Settings
    from scidbnet.auth import TokenInfo, Tokens

__all__ = ["app"]

_EXPIRES: Final = "90d"

app = typer.Typer(no_args_is_help=True, help="Say who may use a database that is served, and as what.")


@app.command("create")
def create(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Who it is for; what they save bears this name.")],
    role: Annotated[str, typer.Option("--role", metavar="reader|writer|admin", help="What they may do.")],
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="90d, 12h, 30s, a date (to its end, in UTC), or never.")
    ] = _EXPIRES,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token for somebody and show it, this once."""
    settings = settings_of(ctx, db, as_json)
    made = _tokens(settings).create(name, role, expires)
    if settings.as_json:
        print_json_lines([{"token": made.token, **dataclasses.asdict(made.info)}])
        return
    print(made.token)
    until = f"until {_moment(made.info.expires)}" if made.info.expires else "for ever"
    note(
        f"The token of {name!r}, a {made.info.role} {until}. It is not shown again: hand it over by a safe way. It is "
        "given as token= or in the environment variable SCIDB_TOKEN."
    )


@app.command("list")
def list_tokens(ctx: typer.Context, db: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List the tokens that were made, without their secrets."""
    settings = settings_of(ctx, db, as_json)
    _print(settings, _tokens(settings).infos())


@app.command("revoke")
def revoke(
    ctx: typer.Context,
    which: Annotated[str, typer.Argument(metavar="NAME|ID", help="All tokens of a name, or one by its id.")],
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let tokens be valid no more, from the next request on."""
    settings = settings_of(ctx, db, as_json)
    _print(settings, _tokens(settings).revoke(which))


def _tokens(settings: Settings) -> Tokens:
    target = find_database(settings.database)
    # By name, so that HTTP is imported where a server is asked, and nowhere else.
    if "://" in target:
        require("urllib3", "net")
        tokens: Tokens = importlib.import_module("scidbnet.client.tokens").RemoteTokens(target)
        return tokens
    from scidbnet.auth import TokenFile

    return TokenFile.beside(target)


def _print(settings: Settings, infos: Iterable[TokenInfo]) -> None:
    now = dt.datetime.now(dt.UTC)
    if settings.as_json:
        print_json_lines({**dataclasses.asdict(info), "state": info.state(now)} for info in infos)
        return
    rows = [
        (info.token_id, info.name, info.role, info.state(now), _moment(info.created), _moment(info.expires) or "never")
        for info in infos
    ]
    if not rows:
        note("No tokens yet. `scidb token create NAME --role reader` makes one.")
        return
    columns = [
        Column("id", too_wide="keep"),
        Column("name"),
        Column("role"),
        Column("state"),
        Column("created", too_wide="keep"),
        Column("expires", too_wide="keep"),
    ]
    print_table(columns, rows)


def _moment(instant: str | None) -> str:
    return "" if instant is None else time_text(instant)
