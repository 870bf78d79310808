"""Values into files that other programs read."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from scidb.database.flattening import flat_table
from scidb.database.widening import Widening
from scidb.exceptions import SciDBError, StorageError, UnsupportedValueError
from scidb.records import configuration_of, telling_configuration, values_of, version_keys_of
from scidb.store.model import Batch, Exported, Latest, Match, Record, Records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from scidb.database.core import VariableLike
    from scidb.filters import Filter
    from scidb.variable import BaseVariable

__all__ = ["Exporting", "write_csv"]


class Exporting(Widening):
    """export_to_csv, export_value_to_csv."""

    def export_to_csv(
        self,
        variable: VariableLike,
        path: str | os.PathLike[str],
        /,
        *,
        where: Filter | None = None,
        as_of: Any = None,
        exclude: Any = (),
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> int:
        """Write the latest values that match into a CSV file, and return how many records they are.

        Each row has the schema keys and version keys of its record. A single value is one row, under the name of
        the variable; arrays, Series and frames give one row per sample or frame row, numbered by ``row``; dicts
        and lists are JSON. Numbers are written with all their digits, missing ones as nothing. The file is
        replaced at once when it is complete. The database notes path, digest and records, unless it is read-only.
        `exclude` leaves out what is flagged, as in `load`.

        Raises
        ------
        NotFoundError
            When nothing matches; then no file is written.
        UnsupportedValueError
            When a value has no form of rows and columns.
        StorageError
            When the file cannot be written.

        """
        name, records, values = self._exported(variable, where, as_of, exclude, params, metadata)
        self._export(name, path, records, values)
        return len(records)

    def _exported(
        self,
        variable: VariableLike,
        where: Filter | None,
        as_of: Any,
        exclude: Any,
        params: Mapping[str, Any] | None,
        metadata: Mapping[str, Any],
    ) -> tuple[str, list[Record], list[Any]]:
        """Return the name of a variable, and what is to be written of it."""
        name, cls = self._stored(variable)
        records: list[Record] = []
        values: list[Any] = []
        match = self._exported_match(name, where, as_of, exclude, params, metadata)
        for chunk in self._chosen_chunks(self._store.fetch(Latest(match)), where):
            records += chunk.records
            values += values_of(chunk, cls)
        if not records:
            raise self._not_found(name, metadata, params, match=match, where=where, as_of=as_of)
        self._say_what_was_pruned(match)
        return name, records, values

    def _exported_match(
        self,
        name: str,
        where: Filter | None,
        as_of: Any,
        exclude: Any,
        params: Mapping[str, Any] | None,
        metadata: Mapping[str, Any],
    ) -> Match:
        match = self._match(name, metadata, params, as_of, where=self._resolved(where, as_of))
        return replace(match, exclude=self.excluded(exclude))

    def export_value_to_csv(self, instance: BaseVariable, /, path: str | os.PathLike[str]) -> None:
        """Write one value into a CSV file, as ``BaseVariable.to_csv`` does."""
        record = instance._record  # noqa: SLF001 - one with a record was saved or loaded
        if record is None:
            with_place: Sequence[Mapping[str, Any]] = [{}]
            _publish(path, flat_table(instance.type_name, (), with_place, [instance.data]), lambda _: None)
        else:
            self._export(instance.type_name, path, [record], [instance.data])

    def _export(
        self, name: str, path: str | os.PathLike[str], records: Sequence[Record], values: Sequence[Any]
    ) -> None:
        target = _target(path).absolute()

        def note(digest: str) -> None:
            if self.read_only:
                return
            ids = tuple(dict.fromkeys(record.record_id for record in records))
            # A value may come from another database than the one that was asked.
            if self._store.find(Records(Match(record_ids=ids[:1]))):
                self._store.write(Batch(events=(Exported(str(target), digest, ids, self._user),)))

        _publish(target, self._rows(name, records, values), note)

    def _rows(self, name: str, records: Sequence[Record], values: Iterable[Any]) -> Iterator[pd.DataFrame]:
        """Yield the values of records beside their keys, in parts of one table."""
        hidden = telling_configuration(
            [record.version_keys for record in records],
            lambda: [tuple(record.schema.items()) for record in records],
        )
        places = [
            {**record.schema, **version_keys_of(record), **configuration_of(record.version_keys, hidden)}
            for record in records
        ]
        return flat_table(name, self.schema_keys, places, values)


def _target(path: object) -> Path:
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise StorageError(f"{path!r} names no file. Give a text or a pathlib.Path, such as 'results.csv'.")
    return Path(text)


class _Lines:
    """Ends lines by a line feed, of a writer that takes both characters of a line end for one, and so quotes both."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, line: str) -> int:
        return self._file.write(line.removesuffix("\r\n") + "\n")


def write_csv(file: TextIO, parts: Iterable[pd.DataFrame]) -> None:
    """Write tables as one.

    Raises
    ------
    UnsupportedValueError
        When a value, or a key, has no form of rows and columns, or no text in UTF-8.

    """
    try:
        for number, part in enumerate(parts):
            part.to_csv(_Lines(file), index=False, header=not number, lineterminator="\r\n")
    except UnicodeEncodeError as error:
        raise UnsupportedValueError(
            f"A text with {error.object[error.start]!a}, half of a character, cannot be written as CSV: that is UTF-8. "
            "Load it, and write what you need of it yourself.",
            path="",
        ) from error


def _publish(path: str | os.PathLike[str], parts: Iterable[pd.DataFrame], note: Callable[[str], None]) -> None:
    """Write tables into a file of another name, note its digest, and give it its name; all or nothing."""
    target = _target(path)
    draft = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.new")
    try:
        with draft.open("w", encoding="utf-8", newline="") as file:
            write_csv(file, parts)
        with draft.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        # First, so that no file with data of the database is ever unknown to it.
        note(digest)
        draft.replace(target)
    except SciDBError:
        raise
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error.strerror or error}. Choose a file in a folder that exists and that "
            "you may write to.",
            path=str(target),
        ) from error
    finally:
        with suppress(OSError):
            draft.unlink()
