"""The program: ``scidb-server``, which is also ``scidb serve``. Flags are made from the table of settings."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin

import typer

from scidb.exceptions import SciDBError
from scidb.extras import require
from scidbnet.server.program.options import SETTINGS, read_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidbnet.server.program.options import Setting

__all__ = ["PARAMETERS", "main", "serve"]

_PATH: Final = "dataset_db_path"


def serve(**flags: Any) -> None:
    """Serve a database to other machines, until Ctrl-C or SIGTERM; what runs then is finished first.

    Each setting is a flag, else an environment variable (--port is SCIDB_PORT), else a line under [server] in
    scidb.toml.
    """
    options = read_options(flags)
    require("fastapi", "net")
    require("uvicorn", "net")
    # Imported last: all above works without the libraries of a server, and names the extra that brings them.
    from scidbnet.server.program.process import run

    run(options)


def _parameter(setting: Setting) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    hint: Any
    if setting.name == _PATH:
        hint = Annotated[str | None, typer.Argument(metavar="PATH", help=setting.help)]
    elif setting.is_switch:
        names = f"{setting.flag}/--no-{setting.flag.removeprefix('--')}"
        hint = Annotated[bool | None, typer.Option(names, help=_said(setting))]
    else:
        hint = Annotated[str | None, typer.Option(setting.flag, metavar=_metavar(setting), help=_said(setting))]
    return inspect.Parameter(setting.name, kind, default=None, annotation=hint)


def _said(setting: Setting) -> str:
    return f"{setting.help} [{setting.shown}]" if setting.shown and not setting.is_switch else setting.help


def _metavar(setting: Setting) -> str:
    if get_origin(setting.hint) is Literal:
        return "|".join(get_args(setting.hint))
    return {int: "NUMBER", float: "SECONDS"}.get(setting.hint, "TEXT")


PARAMETERS: Final = [_parameter(setting) for setting in SETTINGS]
"""The flags, as parameters of a function that takes them by name."""

serve.__signature__ = inspect.Signature(PARAMETERS)  # type: ignore[attr-defined]
serve.__annotations__ = {"return": None}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit: 0 when it was told to stop, 1 failure, 2 usage."""
    app = typer.Typer(
        name="scidb-server",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(serve)
    try:
        app(arguments, prog_name="scidb-server")
    except SciDBError as error:
        typer.echo(f"scidb-server: {error}", err=True)
        sys.exit(1)
