"""Names that people give: to instants (tags), and to groups of variables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from scidb.database.flagging import Flagging
from scidb.exceptions import NotFoundError, did_you_mean
from scidb.store.labels import listed
from scidb.store.model import Batch, Grouped, Groups, Tagged, Tags, Ungrouped

if TYPE_CHECKING:
    from scidb.database.core import VariableLike

__all__ = ["Labelling"]


class Labelling(Flagging):
    """tag, tags, and the groups of variables."""

    # -------------------------------------------------------------- tags

    def tag(self, name: str, at: Any = None) -> str:
        """Name an instant, so that ``as_of=name`` shows the database as it was then.

        Parameters
        ----------
        name
            A word that cannot be taken for a date. It is given once, for good.
        at
            An earlier moment: a timestamp text, a datetime (naive means UTC) or another tag. Left out, the tag
            holds everything that is saved so far, and nothing that comes later.

        Returns
        -------
        str
            The instant.

        Raises
        ------
        ConflictError
            When the tag exists; the message says which instant it names.
        SciDBError
            When the name could be taken for a moment, or `at` is none, or is yet to come.

        Examples
        --------
        >>> import scidb
        >>> class Mass(scidb.BaseVariable):
        ...     \"\"\"Body mass.\"\"\"
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     _ = db.save(Mass, 70.5, subject=1)
        ...     _ = db.tag("submitted")
        ...     _ = db.save(Mass, 71.0, subject=1)
        ...     db.load_one(Mass, subject=1, as_of="submitted").data
        70.5

        """
        self._store.write(Batch(events=(Tagged(name, self._instant(at), self._user),)))
        return self.tags()[name]

    def tags(self) -> dict[str, str]:
        """Return every tag and the instant that it names, oldest first."""
        return {tag.name: tag.timestamp for tag in self._store.find(Tags())}

    # -------------------------------------------------------------- groups

    def add_to_var_group(self, group: str, variables: VariableLike | Iterable[VariableLike]) -> None:
        """Put variables into a group, which need not exist; those that are in it stay.

        Raises
        ------
        NotRegisteredError
            When the database knows no such variable; nothing is changed.

        """
        self._store.write(Batch(events=(Grouped(group, self._names(variables)),)))

    def remove_from_var_group(self, group: str, variables: VariableLike | Iterable[VariableLike]) -> None:
        """Take variables out of a group; with the last one, the group is gone.

        Raises
        ------
        NotFoundError
            When there is no such group, or a variable is not in it; nothing is changed.
        NotRegisteredError
            When the database knows no such variable.

        """
        self._store.write(Batch(events=(Ungrouped(group, self._names(variables)),)))

    def list_var_groups(self) -> list[str]:
        """Return the names of all groups, sorted."""
        return [group.name for group in self._store.find(Groups())]

    def get_var_group(self, group: str) -> list[str]:
        """Return the names of the variables of a group, sorted.

        Raises
        ------
        NotFoundError
            When there is no such group.

        """
        groups = self._store.find(Groups())
        for found in groups:
            if found.name == group:
                return list(found.variables)
        names = [found.name for found in groups]
        hint = did_you_mean(str(group), names) or f" The groups are: {listed(names)}."
        raise NotFoundError(f"There is no group {group!r}.{hint}", group=group)

    def _names(self, variables: VariableLike | Iterable[VariableLike]) -> tuple[str, ...]:
        """Return the names of one variable or several, all of which the database knows."""
        given = (variables,) if isinstance(variables, str | type) or not isinstance(variables, Iterable) else variables
        names = tuple(self._named(variable)[0] for variable in given)
        for name in names:
            self._registered(name)
        return names
