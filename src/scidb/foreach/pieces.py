"""Results that are split: each element or row is stored by itself, one schema level below the combination."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scidb.exceptions import OutputCountError, PipelineError, SchemaKeyError
from scidb.hashing.inputs import preview

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from scidb.foreach.protocols import Entry, Recorder, RunInfo

__all__ = ["as_pieces", "by_output", "piece_key_of", "split", "stands"]


def piece_key_of(recorder: Recorder, iterated: Collection[str]) -> str:
    """Return the schema key that numbers the pieces: the one below the deepest key that is iterated.

    Raises
    ------
    PipelineError
        When there is none, or when its values are no whole numbers.

    """
    keys = recorder.schema_keys
    known = ", ".join(keys)
    if not iterated:
        raise PipelineError(
            f"distribute=True numbers the pieces one level below the deepest key of the call, and it has none. Name "
            f"one, such as {keys[0]}=[] (the schema keys are {known})."
        )
    deepest = max(keys.index(key) for key in iterated)
    if deepest + 1 == len(keys):
        raise PipelineError(
            f"distribute=True numbers the pieces one level below {keys[deepest]!r}, and that is the deepest schema key "
            f"({known}). Leave {keys[deepest]!r} out of the call, or give the database a key below it: "
            f"db.admin.add_schema_key('piece', after={keys[deepest]!r})."
        )
    key = keys[deepest + 1]
    try:
        number = recorder.key_value(key, 1)
    except SchemaKeyError:
        number = None
    if type(number) is not int:
        raise PipelineError(
            f"distribute=True would number the pieces 1, 2, 3, ... by {key!r}, the key below {keys[deepest]!r}, and "
            "its values in this database are no whole numbers. Give the database a key of numbers in between "
            f"(db.admin.add_schema_key('piece', after={keys[deepest]!r})), or return the list as one result."
        )
    return key


def split(value: Any) -> tuple[Any, ...]:
    """Return the pieces of a result: elements of a list, tuple, array or Series, rows of a table.

    A row is a table of one row, so that each column keeps its type and the row its label.

    Raises
    ------
    TypeError
        When it is nothing that has elements or rows in an order.

    Examples
    --------
    >>> split([1.5, "two"])
    (1.5, 'two')
    >>> import numpy as np
    >>> split(np.eye(2))
    (array([1., 0.]), array([0., 1.]))

    """
    if isinstance(value, list | tuple):
        return tuple(value)
    dimensions = getattr(value, "ndim", 0)
    if (by_place := getattr(value, "iloc", None)) is not None:  # pandas, which finds values by label otherwise
        return tuple(by_place[[row]] if dimensions > 1 else by_place[row] for row in range(len(value)))
    library, kind = type(value).__module__.partition(".")[0], type(value).__name__
    if (library, kind) in {("polars", "DataFrame"), ("pyarrow", "Table")}:
        return tuple(value.slice(row, 1) for row in range(len(value)))
    # A dataset or a dict has names, a text letters, a set no order; of arrays the first axis is split.
    if dimensions < 1 and (library, kind) != ("polars", "Series"):
        raise TypeError(kind)
    return tuple(value[row] for row in range(len(value)))


def as_pieces(values: Sequence[Any], outputs: Sequence[str], name: str) -> tuple[tuple[Any, ...], ...]:
    """Split each output of one call.

    Raises
    ------
    OutputCountError
        When an output cannot be split, or has nothing in it.

    """
    pieces = []
    for value, output in zip(values, outputs, strict=True):
        try:
            found = split(value)
        except TypeError:
            raise OutputCountError(
                f"{name}() returned {preview(value)} ({type(value).__name__}) for {output}, which has no "
                "pieces in an order: with distribute=True each output is a list, a tuple, an array or a table."
            ) from None
        if not found:
            raise OutputCountError(
                f"{name}() returned nothing for {output}: {preview(value)} has no pieces. Nothing was saved, "
                "and what an earlier run left here stays. Where nothing is a result, leave distribute=True out and "
                "save the empty list."
            )
        pieces.append(found)
    return tuple(pieces)


def by_output(run: RunInfo, entries: Iterable[Entry], values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the values of entries, which are in the order of outputs and pieces, as one call returns them."""
    if run.piece_key is None:
        return tuple(values[entry.record_id] for entry in entries)
    found: dict[int | None, list[Any]] = {}
    for entry in entries:
        found.setdefault(entry.output_num, []).append(values[entry.record_id])
    return tuple(tuple(pieces) for pieces in found.values())


def stands(run: RunInfo, lineage_id: str, standing: Sequence[Entry | None]) -> bool:
    """Say whether what is there, in the order of outputs and pieces, is the whole result of a computation."""
    if run.piece_key is None:
        return all(e and e.lineage_id == lineage_id and e.output_num == n for n, e in enumerate(standing))
    there = [entry for entry in standing if entry is not None and entry.lineage_id == lineage_id]
    if len(there) < len(standing):
        return False
    counts = {entry.output_num: entry.pieces or 0 for entry in there}
    wanted = [(number, n) for number in range(len(run.outputs)) for n in range(1, counts.get(number, 1) + 1)]
    return [(entry.output_num, entry.piece) for entry in there] == wanted
