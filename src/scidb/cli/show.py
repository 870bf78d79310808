"""``scidb show``: one record in full, and what made it."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scidb.cli.arguments import RecordWords, one_record
from scidb.cli.context import AsOfOption, DatabaseOption, JsonOption, open_for_reading, settings_of
from scidb.cli.jsonlines import jsonable, print_json_lines
from scidb.cli.tables import bytes_text, conditions_text, note, print_fields, seconds_text, short_id, time_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.database import DatabaseManager
    from scidb.hashing.code.listing import SourceCode
    from scidb.store.model import Record

__all__ = ["show"]


def show(
    ctx: typer.Context,
    words: RecordWords,
    source: Annotated[bool, typer.Option("--source", help="Show the code that made it instead.")] = False,
    as_of: AsOfOption = None,
    db: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one record, and what made it."""
    settings = settings_of(ctx, db, as_json)
    with open_for_reading(settings) as database:
        record = one_record(database, words, as_of)
        if source:
            _print_source(record, database.get_source(record), as_json=settings.as_json)
            return
        value = database.load_by_record_id(record.record_id).data
        made = database.get_provenance(record)
        units = _units(database, record)
        flags = database.reasons_for(record)
    if settings.as_json:
        print_json_lines([_json(record, value, units, made) | {"flags": list(flags)}])
    else:
        title = f"{record.variable} {conditions_text({**record.schema, **_version_keys(record)})}".rstrip()
        flagged = [("flags", "\n".join(flags.values()))] if flags else []
        print_fields(title, [*_fields(record, value, units), *flagged, *_provenance_fields(made)])


def _print_source(record: Record, code: SourceCode | None, *, as_json: bool) -> None:
    if as_json:
        print_json_lines(
            [{"record_id": record.record_id, "source": None if code is None else dataclasses.asdict(code)}]
        )
    elif code is None:
        note(f"{record.variable} {short_id(record.record_id)} was saved by hand: no code made it.")
    else:
        print(code)


def _units(database: DatabaseManager, record: Record) -> Any:
    # What is known are the units of the last version alone.
    wanted = (record.variable, record.schema_version)
    return next((info.units for info in database.types() if (info.name, info.schema_version) == wanted), None)


def _version_keys(record: Record) -> dict[str, Any]:
    return {name: value for name, value in json.loads(record.version_keys).items() if not name.startswith("__")}


def _json(record: Record, value: Any, units: Any, made: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "variable": record.variable,
        "schema": record.schema,
        "version_keys": _version_keys(record),
        "value": jsonable(value),
        "units": units,
        "encoding": json.loads(record.encoding),
        "nbytes": record.nbytes,
        "record_id": record.record_id,
        "content_hash": record.content_hash,
        "lineage_id": record.lineage_id,
        "schema_version": record.schema_version,
        "timestamp": record.timestamp,
        "user_id": record.user_id,
        "provenance": made,
    }


# ------------------------------------------------------------------ for people


def _fields(record: Record, value: Any, units: Any) -> Iterator[tuple[str, str]]:
    yield "value", _value(value)
    if units:
        yield "units", units if isinstance(units, str) else conditions_text(units)
    yield "type", f"{_type(value)}, {bytes_text(record.nbytes)}"
    yield "record", short_id(record.record_id)
    by = f" by {record.user_id}" if record.user_id else ""
    yield "saved", f"{time_text(record.timestamp, exact=True)}{by}"


def _provenance_fields(made: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    if made is None:
        yield "made by", "by hand"
        return
    seconds = "" if made["seconds"] is None else f" in {seconds_text(made['seconds'])}"
    recalled = " (recalled, not run again)" if made["recalled_from"] else ""
    yield "made by", f"{made['function_name']}(){seconds}{recalled}"
    constants = [f"{constant['name']} = {constant['value_repr']}" for constant in made["constants"]]
    files = [f"{file['name']} = {file['path']}  (sha256 {short_id(file['sha256'] or '')})" for file in made["files"]]
    told = {
        "constants": constants,
        "inputs": _inputs(made["inputs"]),
        "files": files,
        "computed": _circumstances(made),
        "warnings": made["warnings"],
    }
    for name, lines in told.items():
        if lines:
            yield name, "\n".join(lines)


def _circumstances(made: dict[str, Any]) -> list[str]:
    """Say when and by whom it was computed, where, and with which code under version control."""
    by = f" by {made['user_id']}" if made["user_id"] else ""
    around, git = made["environment"], made["git"]
    lines = [f"{time_text(made['timestamp'], exact=True)}{by}{' on ' + around['machine'] if around else ''}"]
    if around:
        versions = {around.get("implementation", "Python"): around["python"], **around["packages"]}
        lines.append(", ".join(f"{name} {version}" for name, version in versions.items()))
    if git:
        changed = " and changes that were not committed" if git["is_dirty"] else ""
        lines.append(f"git {short_id(git['commit'])} ({git['branch']}) of {git['repository']}{changed}")
    return lines


def _inputs(inputs: list[dict[str, Any]], most: int = 20) -> list[str]:
    lines = []
    for given in inputs[:most]:
        if "source_function" in given:
            lines.append(f"{given['name']} = result of {given['source_function']}(), not saved")
            continue
        what = f"{given['type']} {conditions_text(given['metadata'])}".rstrip()
        removed = f", removed on {given['removed']['timestamp'][:10]}" if "removed" in given else ""
        lines.append(f"{given['name']} = {what}  ({short_id(given['record_id'] or 'not saved')}{removed})")
    if len(inputs) > most:
        lines.append(f"... and {len(inputs) - most} more; `scidb lineage --depth 1` lists all")
    return lines


def _type(value: Any) -> str:
    shape = getattr(value, "shape", ())
    kind = f"{value.dtype} array" if type(value).__name__ == "ndarray" else type(value).__name__
    return f"{kind} ({', '.join(map(str, shape))})" if shape else kind


def _value(value: Any, lines: int = 20, width: int = 72) -> str:
    """Return a value as a person reads it, at most a screen of it."""
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return str(value.to_string(max_rows=lines - 2, line_width=width))
    if isinstance(value, pd.Series):
        return str(value.to_string(max_rows=lines - 2))
    if isinstance(value, np.ndarray):
        return np.array2string(value, max_line_width=width, threshold=60, edgeitems=3)
    if isinstance(value, dict | list):
        plain = jsonable(value)
        text = json.dumps(plain, ensure_ascii=False)
        text = text if len(text) <= width else json.dumps(plain, indent=2, ensure_ascii=False)
    elif isinstance(value, str):
        text = value
    else:
        text = repr(value)
    shown = text.splitlines()
    more = f"\n... ({len(shown) - lines} more lines; --json shows all)" if len(shown) > lines else ""
    return "\n".join(_cut(line) for line in shown[:lines]) + more


def _cut(line: str, most: int = 500) -> str:
    printable = line if line.isprintable() else ascii(line)[1:-1]
    return printable if len(printable) <= most else f"{printable[:most]}... ({len(line)} characters)"
