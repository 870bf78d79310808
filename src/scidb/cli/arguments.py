"""What a verb is asked about: a record by the beginning of its id, or a variable and KEY=VALUE words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scidb.database import DatabaseManager
    from scidb.store.model import Record

__all__ = ["RecordWords", "conditions", "is_of_files", "meant_by", "one_record"]

RecordWords: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="ID|VARIABLE KEY=VALUE",
        help="The beginning of a record's id, or where it is; KEY= means not set.",
    ),
]

_ID: Final = re.compile(r"[0-9a-f]{4,}")


def one_record(db: DatabaseManager, words: Sequence[str], as_of: str | None = None) -> Record:
    """Return the one record that the words name, or named then.

    Raises
    ------
    NotFoundError, AmbiguousVersionError, NotRegisteredError
        When it is not exactly one.

    """
    name, keys = meant_by(db, words)
    if not keys and _is_id(db, name):
        return db.find_record_by_id(name, as_of=as_of)
    return db.find_record(name, as_of=as_of, **keys)


def meant_by(db: DatabaseManager, words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return an id, or a variable and keys, as the facade takes them."""
    name, *rest = words
    return name, conditions(db, rest)


def is_of_files(db: DatabaseManager, word: str) -> bool:
    """Tell whether a word names files that functions wrote: by the beginning of their id, or as a variable."""
    from scidb.hashing.ids import GENERATED_ID

    if word.startswith(GENERATED_ID):
        return True
    is_known = any(info.name == word for info in db.types())
    return not is_known and any(edge["target"] == word for edge in db.get_pipeline_structure())


def _is_id(db: DatabaseManager, word: str) -> bool:
    return _ID.fullmatch(word) is not None and all(info.name != word for info in db.types())


def conditions(db: DatabaseManager, words: Iterable[str]) -> dict[str, Any]:
    """Turn KEY=VALUE words into the metadata of a read; a key given twice means any of its values.

    ``subject=2..5`` means from 2 to 5, both included, for a key whose values are no texts.

    Raises
    ------
    typer.BadParameter
        When a word is no KEY=VALUE.

    """
    from scidb.addressing import check_key_name
    from scidb.hashing.version_keys import any_of

    given: dict[str, list[str]] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (equals and key):
            raise typer.BadParameter(f"{word!r} is no KEY=VALUE. Write for example: subject=1")
        check_key_name(key)
        given.setdefault(key, []).append(value)
    return {
        key: _values(db, key, values)
        if key in db.schema_keys
        else any_of(*(meaning for value in values for meaning in _meanings(value)))
        for key, values in given.items()
    }


def _values(db: DatabaseManager, key: str, values: Sequence[str]) -> slice | list[str | None]:
    low, dots, high = values[0].partition("..")
    # Among texts, as in the name of a file, dots are only dots.
    if dots and len(values) == 1 and not any(isinstance(known, str) for known in db.distinct_schema_values(key)):
        return slice(low or None, high or None)
    return [value or None for value in values]


def _meanings(text: str) -> list[Any]:
    """Return what a version key written so may be stored as: the text, and the number or list that it spells."""
    if not text:
        return [None]
    try:
        value = json.loads(text, parse_constant=lambda name: name)
    except ValueError:
        return [text]
    if isinstance(value, float) and value.is_integer():
        return [text, value, int(value)]
    if type(value) is int:
        return [text, value, float(value)]
    return [text, value]
