"""``scidb lineage``: everything that one record came from, or everything that came from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from scidb.cli.arguments import RecordWords, one_record
from scidb.cli.context import DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.jsonlines import print_json_lines

__all__ = ["Format", "lineage"]


class Format(StrEnum):
    """How a lineage graph is written."""

    TEXT = "text"
    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    JSON = "json"


def lineage(
    ctx: typer.Context,
    words: RecordWords,
    down: Annotated[bool, typer.Option("--down", help="What came from it instead.")] = False,
    depth: Annotated[
        int | None, typer.Option(min=1, help="How many function calls far; all the way if not given.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TEXT,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a record came from, or what came from it."""
    settings = settings_of(ctx, db, as_json)
    with open_for_reading(settings) as database:
        record = one_record(database, words)
        graph = database.get_lineage_graph(record, direction="down" if down else "up", depth=depth)
    if settings.as_json:
        print_json_lines([graph.to_dict()])
        return
    write = {
        Format.TEXT: graph.to_text,
        Format.MERMAID: graph.to_mermaid,
        Format.DOT: graph.to_dot,
        Format.SVG: graph.to_svg,
        Format.JSON: graph.to_json,
    }
    print(write[form]())
