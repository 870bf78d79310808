"""What text a store can hold: Unicode, which has no lone surrogates.

Checked before anything is stored, since an engine would fail in the midst of it and in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import UnsupportedValueError
from scidb.hashing.inputs import CallInput
from scidb.store.model import Call, Computation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scidb.store.model import Batch, TypeInfo

__all__ = ["check_batch_texts", "check_type_texts", "is_unicode"]


def is_unicode(text: str) -> bool:
    r"""Say whether a text is Unicode, as opposed to one with lone surrogates.

    Examples
    --------
    >>> is_unicode("Kraft \N{GREEK SMALL LETTER MU}N"), is_unicode("\ud800")
    (True, False)

    """
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def check_batch_texts(batch: Batch) -> None:
    """Refuse a batch with a text that cannot be stored.

    Raises
    ------
    UnsupportedValueError
        Saying which text it is.

    """
    records = [record for chunk in batch.chunks for record in chunk.records]
    computations = [call.computation for call in batch.calls]
    inputs = [one for call in batch.calls for one in call.inputs]
    columns = ((_OF_RECORD, records), (_OF_CALL, batch.calls), (_OF_COMPUTATION, computations), (_OF_INPUT, inputs))
    distinct = {text for texts_of, rows in columns for text in chain.from_iterable(map(texts_of, rows))}
    # All at once, and each once: of the thousands of a run most are the same, and hardly any is not plain.
    if not is_unicode("".join(text for text in distinct if isinstance(text, str))):
        for record in records:
            for name, text in zip(_RECORD_TEXTS, _OF_RECORD(record), strict=True):
                _check(f"{record.variable}.{name}", text or "")
        _check_parts(batch.calls)
    _check_parts((*batch.edges, *batch.events))


def _check_parts(parts: Iterable[object]) -> None:
    for part in parts:
        for name, text in _texts(type(part).__name__, part):
            _check(name, text)


def check_type_texts(info: TypeInfo) -> None:
    """Refuse a variable type with a text that cannot be stored.

    Raises
    ------
    UnsupportedValueError
        Saying which text it is.

    """
    for name, text in _texts(f"Variable {info.name}", info):
        _check(name, text)


def _fields_of(kind: type, *without: str) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*(part.name for part in fields(kind) if part.name not in without))


# What the caller says of a record; its location has rules of its own.
_RECORD_TEXTS: Final = (
    "version_keys", "encoding", "record_id", "content_hash", "lineage_id", "call_id", "user_id",
)  # fmt: skip
_OF_RECORD: Final = attrgetter(*_RECORD_TEXTS)
_OF_CALL: Final = _fields_of(Call, "computation", "inputs")
_OF_COMPUTATION: Final = _fields_of(Computation)
_OF_INPUT: Final = _fields_of(CallInput)


def _texts(path: str, value: object) -> Iterator[tuple[str, str]]:
    """Return every text in a value of the model, and where it is."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield path, name
            yield from _texts(f"{path}[{name!r}]", one)
    elif isinstance(value, tuple | list):
        for number, one in enumerate(value):
            yield from _texts(f"{path}[{number}]", one)
    elif is_dataclass(value):
        for part in fields(value):
            yield from _texts(f"{path}.{part.name}", getattr(value, part.name))


def _check(name: str, text: str) -> None:
    if not is_unicode(text):
        raise UnsupportedValueError(
            f"{name} cannot be stored: it has lone surrogates, which are no characters: {text[:200]!r}. Leave them "
            "out, or write them as an escape.",
            path=name,
        )
