"""What text a store can hold: Unicode, which has no lone surrogates.

Checked before anything is stored, since an engine would fail in the midst of it and in its own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Final

from scidb.exceptions import UnsupportedValueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.store.model import Batch, Record, TypeInfo

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
    for chunk in batch.chunks:
        for record in chunk.records:
            _check_record(record)
    for part in (*batch.calls, *batch.edges, *batch.events):
        if not _is_storable(part):
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


def _check_record(record: Record) -> None:
    # Not in a loop and not over all fields, which would take as long as the rest of saving a record.
    made_by = (record.lineage_id or "").isascii() and (record.call_id or "").isascii()
    known = record.record_id.isascii() and record.content_hash.isascii() and record.version_keys.isascii()
    if known and made_by and record.encoding.isascii() and (record.user_id or "").isascii():
        return
    for name in ("version_keys", "encoding", "record_id", "content_hash", "lineage_id", "call_id", "user_id"):
        text = getattr(record, name)
        if text is not None and not text.isascii():
            _check(f"{record.variable}.{name}", text)


def _is_storable(value: object) -> bool:
    """Say whether all texts in a value of the model can be stored: quickly, since it is asked of each call of a run."""
    kind = type(value)
    if kind is str:
        return is_unicode(value)  # type: ignore[arg-type]  # it is one
    if kind in _WITHOUT_TEXT:
        return True
    if isinstance(value, Mapping):
        return all(_is_storable(name) and _is_storable(one) for name, one in value.items())
    if isinstance(value, tuple | list):
        return all(map(_is_storable, value))
    return all(_is_storable(getattr(value, name)) for name in _field_names(kind))


_WITHOUT_TEXT: Final = frozenset({type(None), bool, int, float})


_names: Final[dict[type, tuple[str, ...]]] = {}


def _field_names(kind: type) -> tuple[str, ...]:
    if kind not in _names:
        _names[kind] = tuple(part.name for part in fields(kind)) if is_dataclass(kind) else ()
    return _names[kind]


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
