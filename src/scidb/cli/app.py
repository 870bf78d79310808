"""The program: its verbs, the options that all of them share, and what becomes of an error."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from scidb._version import __version__
from scidb.cli import (
    accept,
    backup,
    compact,
    diff,
    erase,
    explain,
    flag,
    fsck,
    lineage,
    log,
    ls,
    prune,
    recover,
    reproduce,
    restore,
    retry,
    run,
    runs,
    serve,
    show,
    sql,
    status,
    tag,
    token,
)
from scidb.cli.context import DatabaseOption, JsonOption, Settings
from scidb.exceptions import SciDBError

__all__ = ["app"]


class _Program(TyperGroup):
    """A group of verbs whose own errors are a message and exit code 1, never a traceback."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer's public name of the same class
        try:
            return super().invoke(ctx)
        except SciDBError as error:
            typer.echo(f"scidb: {error}", err=True)
            raise typer.Exit(1) from None


app = typer.Typer(
    name="scidb",
    cls=_Program,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help, twice as quick
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("ls")(ls.ls)
app.command("show")(show.show)
app.command("log")(log.log)
app.command("diff")(diff.diff)
app.command("tag")(tag.tag)
app.command("lineage")(lineage.lineage)
app.command("status")(status.status)
app.command("explain")(explain.explain)
app.command("accept")(accept.accept)
app.command("impact")(flag.impact)
app.command("flag")(flag.flag)
app.command("reproduce")(reproduce.reproduce)
app.command("runs")(runs.runs)
app.command("retry")(retry.retry)
app.command("run")(run.run)
app.command("sql")(sql.sql)
app.command("fsck")(fsck.fsck)
app.command("recover")(recover.recover)
app.command("prune")(prune.prune)
app.command("backup")(backup.backup)
app.command("restore")(restore.restore)
app.command("compact")(compact.compact)
app.command("erase")(erase.erase)
app.command("serve")(serve.serve)
app.add_typer(token.app, name="token")


@app.command("demo")
def demo(
    folder: Annotated[str, typer.Argument(metavar="[DIR]", help="Where to put it.")] = "scidb-demo",
) -> None:
    """Run a small analysis of real data in DIR."""
    from pathlib import Path

    from scidb.cli.demo import demo as run_demo

    run_demo(Path(folder))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"scidb {__version__}")
        raise typer.Exit


@app.callback()
def program(
    ctx: typer.Context,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Look at what an analysis has produced, at what made it, and at what changed.

    The database is what --db says, else SCIDB_DATABASE, else SCIDB_DATASET_DB_PATH, else `database` in scidb.toml,
    else the only *.duckdb file here. --db and --json may stand before or after the command.
    """
    ctx.obj = Settings(db, as_json)
