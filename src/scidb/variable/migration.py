"""Values that were stored by another state of their class: what becomes of them when they are loaded.

A stored value is in the form that its class had then. It is given as it was saved, or as `migrate` makes
it, or not at all; never as something that only looks right.
"""

from __future__ import annotations

import inspect
import re
import warnings
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import MigrationError, SciDBWarning
from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.inputs import preview
from scidb.store.columns import column_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scidb.store.model import Record
    from scidb.variable.base import BaseVariable

__all__ = ["is_migrated", "present_values", "restoring_code", "restoring_functions", "restoring_parts"]

_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


def is_migrated(cls: type[BaseVariable], schema_version: int) -> bool:
    """Say whether a value of that version goes through the ``migrate`` of the class."""
    return schema_version < cls.schema_version and hasattr(cls, "migrate")


def restoring_code(cls: type[BaseVariable], schema_version: int) -> str:
    """Identify the code that a stored value of that version goes through; empty when there is none."""
    restoring = _code(cls, "from_db") if cls.has_custom_storage() else ""
    if is_migrated(cls, schema_version):
        # What migrate makes is in the form of the present version.
        return f"{restoring}+{_code(cls, 'migrate')}@{cls.schema_version}"
    return restoring


def restoring_functions(cls: type[BaseVariable], schema_version: int) -> list[Callable[..., Any]]:
    """Return the functions of the class that a stored value of that version goes through, the last one last."""
    names = ["migrate"] if is_migrated(cls, schema_version) else []
    names += ["from_db"] if cls.has_custom_storage() else []
    return [inspect.getattr_static(cls, name).__func__ for name in names]


def restoring_parts(code: str) -> list[str]:
    """Return the fingerprints in what `restoring_code` gives.

    Examples
    --------
    >>> restoring_parts(f"{'a' * 64}+{'b' * 64}@2") == ["a" * 64, "b" * 64]
    True

    """
    return _FINGERPRINT.findall(code)


def _code(cls: type[BaseVariable], name: str) -> str:
    return fingerprint(inspect.getattr_static(cls, name).__func__).hash


def present_values(
    cls: type[BaseVariable], stored: Sequence[Any], records: Sequence[Record], *, custom: bool
) -> list[Any]:
    """Return stored values as the class gives them now; `custom`: the ``to_db`` of its time made them.

    Raises
    ------
    MigrationError
        When the class is older than a value, or newer and without a way to restore it.

    """
    versions = set(column_of(records, "schema_version"))
    if versions == {cls.schema_version} and custom == cls.has_custom_storage():
        return [_restored(cls, value) for value in stored] if custom else list(stored)
    for version in sorted(versions):
        _check(cls, next(record for record in records if record.schema_version == version), custom=custom)
    return [_present(cls, value, record, custom=custom) for value, record in zip(stored, records, strict=True)]


def _restored(cls: Any, stored: Any) -> Any:
    return cls.from_db(stored)


def _present(cls: type[BaseVariable], stored: Any, record: Record, *, custom: bool) -> Any:
    if is_migrated(cls, record.schema_version):
        stored = _migrated(cls, stored, record)
        custom = cls.has_custom_storage()
    return _restored(cls, stored) if custom and cls.has_custom_storage() else stored


def _check(cls: type[BaseVariable], record: Record, *, custom: bool) -> None:
    """Refuse what the class cannot restore; warn of what it gives in another form than its own."""
    version, name = record.schema_version, cls.__name__
    if version > cls.schema_version:
        raise _error(
            cls,
            record,
            f"The class is older, at {cls.schema_version}: import the newer class, or load {name} without any class.",
        )
    is_as_now = version == cls.schema_version and custom == cls.has_custom_storage()
    if is_as_now or is_migrated(cls, version):
        return
    if version < cls.schema_version:
        advice = f"The class is at {cls.schema_version} and has no migration. Add to it: @classmethod def migrate(cls, "
        if custom or cls.has_custom_storage():
            raise _error(cls, record, f"{advice}df, from_version), which returns the table as to_db makes it now.")
        _warn(
            f"{name} was stored with schema_version {version}, and is given as it was saved, without units. {advice}"
            "value, from_version), which returns the value as it would be saved now."
        )
    elif custom:
        _warn(
            f"{name} was stored by its to_db, which the class no longer has, and is given as the table that it is. "
            "Define to_db and from_db as they were, or raise schema_version and add migrate(cls, df, from_version)."
        )
    else:
        raise _error(
            cls,
            record,
            "It was saved as it was, before the class had to_db and from_db, which can change what a value means. Set "
            f"schema_version = {version + 1} and add: @classmethod def migrate(cls, value, from_version), which "
            "returns the table that to_db makes of it now.",
        )


def _migrated(cls: Any, stored: Any, record: Record) -> Any:
    """Return what the class makes of an old value, in the form in which it would be stored now."""
    version = record.schema_version
    advice = f"Correct {cls.__name__}.migrate; what is stored is as it was."
    try:
        made = cls.migrate(stored, version)
    except Exception as error:
        raise _error(
            cls, record, f"{cls.__name__}.migrate(..., {version}) failed: {type(error).__name__}: {error}. {advice}"
        ) from error
    if cls.has_custom_storage() and type(made).__name__ != "DataFrame":
        raise _error(cls, record, f"migrate returned {preview(made)}, where a DataFrame for from_db belongs. {advice}")
    if made is None and stored is not None:
        raise _error(cls, record, f"migrate returned None, as a function without return does. {advice}")
    return made


def _error(cls: type[BaseVariable], record: Record, what: str) -> MigrationError:
    where = ", ".join(f"{key}={value!r}" for key, value in record.schema.items()) or "the whole dataset"
    return MigrationError(
        f"{cls.__name__} at {where} was stored with schema_version {record.schema_version}. {what}",
        variable=cls.__name__,
        stored_version=record.schema_version,
        class_version=cls.schema_version,
        record_id=record.record_id,
    )


def _warn(text: str) -> None:
    # Without the place, so that Python shows it once per class and version.
    warnings.warn(text, SciDBWarning, stacklevel=2)
