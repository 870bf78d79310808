"""The combinations of key values that a call visits."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

from scidb.exceptions import SchemaKeyError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scidb.foreach.paths import PathInput
    from scidb.foreach.protocols import Recorder

__all__ = ["Chosen", "combinations_of"]

logger = logging.getLogger("scidb.foreach")


class Chosen:
    """In place of the values of each key: the combinations to visit, exactly these."""

    def __init__(self, combinations: Sequence[Mapping[str, Any]]) -> None:
        self._combinations = combinations

    def converted(self, recorder: Recorder) -> list[dict[str, Any]]:
        """Return the combinations with values in the types of their keys."""
        return [
            {key: recorder.key_value(key, value) for key, value in combination.items()}
            for combination in self._combinations
        ]


def combinations_of(
    recorder: Recorder, iterables: Mapping[str, Any], paths: Sequence[PathInput]
) -> list[dict[str, Any]]:
    """Return the combinations to visit: the product of lists, or, with ``[]``, those that exist.

    A combination exists when the database holds something there, or a file fits the template of a path input.

    Raises
    ------
    SchemaKeyError
        When a keyword is not a schema key of the database, or a value does not fit its key.

    """
    for key in iterables:
        if key not in recorder.schema_keys:
            raise SchemaKeyError(
                f"for_each(..., {key}=...): {key!r} is not a schema key of this database "
                f"({', '.join(recorder.schema_keys)}).{did_you_mean(key, recorder.schema_keys)} "
                "Constants go into inputs={...}.",
                key=key,
            )
    for values in iterables.values():
        if isinstance(values, Chosen):
            return values.converted(recorder)
    given = {key: _values(recorder, key, value) for key, value in iterables.items()}
    if all(values for values in given.values()):
        return [dict(zip(given, values, strict=True)) for values in itertools.product(*given.values())]
    return _existing(recorder, given, paths)


def _values(recorder: Recorder, key: str, value: Any) -> list[Any]:
    """Normalise one iterable; an empty list stands for every value there is, and a slice for some of them."""
    if isinstance(value, slice):
        if not (found := recorder.key_values(key, value)):
            raise SchemaKeyError(
                f"for_each(..., {key}={value!r}): the database has no value of {key} in this range (both ends count). "
                f"Its values are those of db.distinct_schema_values({key!r}); name new ones in a list.",
                key=key,
            )
        return found
    if isinstance(value, str | bytes) or not hasattr(value, "__iter__") or getattr(value, "shape", None) == ():
        value = [value]
    return list(dict.fromkeys(recorder.key_values(key, list(value))))


def _existing(recorder: Recorder, given: Mapping[str, list[Any]], paths: Sequence[PathInput]) -> list[dict[str, Any]]:
    keys = [key for key in recorder.schema_keys if key in given]
    found = {tuple([row[key] for key in keys]): None for row in recorder.distinct_schema_combinations(keys)}
    for path in paths:
        found.update(dict.fromkeys(_from_files(recorder, given, path, keys)))
    named = [(number, given[key]) for number, key in enumerate(keys) if given[key]]
    wanted = [values for values in found if all(values[number] in own for number, own in named)] if named else found
    return [dict(zip(keys, values, strict=True)) for values in sorted(wanted)]


def _from_files(
    recorder: Recorder, given: Mapping[str, list[Any]], path: PathInput, keys: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    """Yield the combinations for which there is a file; keys that the template lacks come from their lists."""
    if any(not values and key not in path.keys for key, values in given.items()):
        return
    strange = []
    for row in path.discover():
        try:
            # A key without a type yet is of the type of the values that were given for it.
            found = {key: recorder.key_values(key, [*given.get(key, ()), value])[-1] for key, value in row.items()}
        except SchemaKeyError as error:
            strange.append(f"{path.relative(row)} ({error})")
            continue
        yield from itertools.product(*([found[key]] if key in found else given[key] for key in keys))
    if strange:
        logger.warning(
            "%r: %d files fit the template but not the schema keys, and are left out. First: %s",
            path,
            len(strange),
            strange[0],
        )
