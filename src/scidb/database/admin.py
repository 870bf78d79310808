"""What the owner of a database does to it as a whole, on one accessor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.exceptions import SciDBError
from scidb.store.model import Batch, Renamed
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from scidb.database.core import VariableLike
    from scidb.store.model import TypeInfo
    from scidb.store.protocol import Store

__all__ = ["Admin"]


class Admin:
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

    def __init__(self, store: Store) -> None:
        self._store = store

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
        name = _name(new)
        self._store.write(Batch(events=(Renamed(_name(old), name),)))
        return next(info for info in self._store.types() if info.name == name)

    def __repr__(self) -> str:
        return f"<administration of {self._store.describe().target}: rename_variable(old, new)>"


def _name(variable: object) -> str:
    if isinstance(variable, str):
        return variable
    if isinstance(variable, type) and variable is not BaseVariable and issubclass(variable, BaseVariable):
        return variable.__name__
    raise SciDBError(f"Expected a variable class or its name, got {variable!r}.")
