"""``scidb reproduce``: compute a record again in a fresh process, and say how well it agrees."""

from __future__ import annotations

import dataclasses
import unicodedata
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scidb.cli.arguments import RecordWords, one_record
from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.importing import ImportOption, import_named
from scidb.cli.jsonlines import print_json_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scidb.provenance.reproduction import Reproduction, StoredCode

__all__ = ["reproduce"]

_EXIT_CODES = {"equal": 0, "within tolerance": 0, "not reproduced": 1, "different": 3}


def reproduce(
    ctx: typer.Context,
    words: RecordWords,
    imports: ImportOption = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Its own call only, from its stored inputs; else all that is behind it.")
    ] = False,
    run_stored_code: Annotated[
        bool,
        typer.Option("--run-stored-code", help="Run code out of the database where yours is not the recorded one."),
    ] = False,
    rtol: Annotated[float | None, typer.Option(metavar="R", help="Relative tolerance; 1e-9 if not given.")] = None,
    atol: Annotated[
        float | None,
        typer.Option(metavar="A", help="Absolute tolerance; if not given, R times the largest number of a column."),
    ] = None,
    root_folder: Annotated[
        list[str] | None, typer.Option("--root-folder", metavar="DIR", help="Where files are now; repeatable.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop after so long.")] = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compute a record again in a fresh process, and compare it with what is stored.

    Your code runs where it is imported (--import FILE|MODULE) and is the recorded code. Stored code is shown, and
    runs with --run-stored-code alone: the database may be somebody else's.

    Exit code 0: equal, or within tolerance. 1: could not be reproduced. 3: different.
    """
    settings = settings_of(ctx, db, as_json)
    import_named(imports)
    with open_for_reading(settings) as database:
        record = one_record(database, words)
        found = database.reproduce(
            record.record_id,
            upstream=not alone,
            rtol=rtol,
            atol=atol,
            run_stored_code=run_stored_code,
            show=_show,
            root_folder=root_folder or (),
            timeout=timeout,
        )
    if settings.as_json:
        print_json_lines(_json(found))
    else:
        print(visible(str(found)))
        _print_tracebacks(found)
    raise typer.Exit(_EXIT_CODES[found.outcome])


def _show(stored: Sequence[StoredCode]) -> None:
    """Show code out of the database; on the standard error stream, so that JSON stays JSON."""
    for one in stored:
        typer.echo(f"--- {one.function}(), stored in the database: {one.reason}", err=True)
        typer.echo(visible(one.text or "(its source text is not stored)"), err=True)
        typer.echo("---", err=True)


def visible(text: str) -> str:
    """Return a text in which nothing can hide: what a terminal would obey, or turn around, is written out."""
    return "".join(
        one if one in "\n\t" or unicodedata.category(one)[0] != "C" else one.encode("unicode_escape").decode()
        for one in text
    )


def _print_tracebacks(found: Reproduction) -> None:
    for trace in dict.fromkeys(one.traceback for one in found.records if one.traceback):
        typer.echo(f"\n{visible(trace)}", err=True)


def _json(found: Reproduction) -> Iterator[dict[str, Any]]:
    changes = [dataclasses.asdict(change) for change in found.environment]
    for one in found.records:
        yield {"reproduction": found.outcome, **dataclasses.asdict(one), "environment": changes}
