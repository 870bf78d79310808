"""What the owner of a database does to it as a whole, on one accessor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.addressing import schema_keys_from
from scidb.database.maintaining import Maintaining, name_of
from scidb.exceptions import SchemaKeyError, did_you_mean
from scidb.store.model import Batch, KeyAdded, Renamed

if TYPE_CHECKING:
    from scidb.database.core import VariableLike
    from scidb.store.model import KeyType, TypeInfo

__all__ = ["Admin"]


class Admin(Maintaining):
    """The owner's work on a database; got as ``db.admin``.

    Examples
    --------
    >>> import scidb
    >>> class Emg(scidb.BaseVariable):
    ...     \"\"\"Muscle activity.\"\"\"
    >>> class MuscleActivity(scidb.BaseVariable):
    ...     \"\"\"Muscle activity.\"\"\"
    >>> with scidb.open("memory:", ["subject"]) as db:
    ...     record_id = Emg.save(0.5, subject=1, db=db)
    ...     _ = db.admin.rename_variable(Emg, MuscleActivity)
    ...     MuscleActivity.load_one(subject=1, db=db).record_id == record_id
    True

    """

    def rename_variable(self, old: VariableLike, new: VariableLike) -> TypeInfo:
        """Give a variable another name, with all its records, its lineage and its views.

        Every record keeps its id, and saving the same data again gives the same id as before. The class of
        the old name is refused from then on; nothing else can be called so.

        Parameters
        ----------
        old
            The variable, by its class or its name.
        new
            Its name from now on, or a class of that name.

        Returns
        -------
        TypeInfo
            The variable under its new name.

        Raises
        ------
        NotRegisteredError
            When the database has no variable `old`.
        VariableDefinitionError
            When `new` is taken, was taken, differs from another name only in case, or is no name for a variable.
        StorageError
            When the database is read-only.

        """
        name = name_of(new)
        self._store.write(Batch(events=(Renamed(name_of(old), name),)))
        return next(info for info in self._store.types() if info.name == name)

    def add_schema_key(
        self,
        name: str,
        after: str | None = None,
        value_type: type | KeyType | None = None,
        *,
        before: str | None = None,
    ) -> tuple[str, ...]:
        """Give locations one key more. What is stored keeps its place: there, the new key is not set.

        Ids, lineage and versions stay as they are, and other handles on the database see the key at once.

        Parameters
        ----------
        name
            The new key.
        after, before
            The key behind or in front of which it belongs, since keys go from coarse to fine. With neither it is
            the last, the finest one.
        value_type
            int, float, str, ``datetime.date`` or ``datetime.datetime``; without one, the type of the first value.

        Returns
        -------
        tuple of str
            The keys as they are now.

        Raises
        ------
        SchemaKeyError
            When the name is reserved, differs from a key at most in case, or is a version key of stored records; or
            when there is no key `after` or `before`.
        StorageError
            When the database is read-only.

        Examples
        --------
        >>> import scidb
        >>> with scidb.open("memory:", ["subject", "trial"]) as db:
        ...     db.admin.add_schema_key("session", after="subject", value_type=str)
        ('subject', 'session', 'trial')

        """
        (key,) = schema_keys_from([name] if value_type is None else {name: value_type})
        if after is not None and before is not None:
            raise SchemaKeyError(f"Say after={after!r} or before={before!r}, not both.")
        keys = self._key_names()
        if before is not None and before not in keys:
            raise SchemaKeyError(
                f"There is no schema key {before!r} to put {name!r} before; the keys are {', '.join(keys)}."
                f"{did_you_mean(before, keys)}",
                name=before,
            )
        # What each key stands behind; the first one behind nothing.
        previous = dict(zip((*keys, None), (None, *keys), strict=True))
        place = previous[before] if after is None else after
        self._store.write(Batch(events=(KeyAdded(key, place),)))
        return self._key_names()

    def _key_names(self) -> tuple[str, ...]:
        return tuple(key.name for key in self._store.describe().schema_keys)

    def __repr__(self) -> str:
        return (
            f"<administration of {self._store.describe().target}: check(deep=False), backup(path), "
            "add_schema_key(name, after), rename_variable(old, new), prune(older_than=), erase(subject=), compact()>"
        )
