"""What keeps a database whole and small: checking, backups, removing, giving space back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from scidb.addressing import convert_key
from scidb.database.pruning import moment, prune_memo
from scidb.exceptions import NotRegisteredError, SchemaKeyError, SciDBError, did_you_mean
from scidb.maintenance.backups import back_up
from scidb.maintenance.checking import check
from scidb.maintenance.erasing import erase
from scidb.maintenance.pruning import Conditions, prune
from scidb.store.abilities import maintained
from scidb.store.model import Backups, Removals
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    import datetime as dt
    import os
    from collections.abc import Iterable, Mapping

    from scidb.database.core import VariableLike
    from scidb.database.pruning import Pruning
    from scidb.maintenance.backups import BackupReport
    from scidb.maintenance.plans import Erasing, Removing
    from scidb.maintenance.report import CheckReport
    from scidb.memo import Hits
    from scidb.store.model import Compaction, Removed
    from scidb.store.protocol import Store

__all__ = ["Maintaining", "name_of"]

Moment: TypeAlias = "str | dt.timedelta | dt.datetime | None"


class Maintaining:
    """The part of ``db.admin`` that looks after all that was saved."""

    def __init__(self, store: Store, user_id: str, hits: Hits) -> None:
        self._store, self._user, self._hits = store, user_id, hits

    def check(
        self, deep: bool = False, *, repair: bool = False, head: str | None = None, progress: bool | None = None
    ) -> CheckReport:
        """Say what in the database is not as it must be, by record where it is one.

        Tables, references, counts, views and the chain of the log are checked; deep, every value is read and its hash
        computed again, and so is the id of every record. What this process has read before may come from its memory:
        ``scidb fsck --deep`` in a process of its own reads the disk.

        Parameters
        ----------
        deep
            Read every value; a progress bar shows how far it is.
        repair
            Put right what follows from the rest, without guessing, after a copy of the file was made.
        head
            The `head` of an earlier report, kept elsewhere: only so does it show that the end of the log was cut off,
            or all of it written anew.
        progress
            Show the bar; None: on a terminal and in a notebook.

        Returns
        -------
        CheckReport
            ok, problems, counts, head; with views for people, `to_pandas` and `to_dict`.

        Raises
        ------
        StorageError
            When a repair is asked for, and the database is read-only or cannot be copied.
        UnsupportedOperationError
            When the store cannot be checked.

        Examples
        --------
        >>> import scidb
        >>> class Force(scidb.BaseVariable):
        ...     \"\"\"Force during one trial.\"\"\"
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     _ = Force.save([600.0, 900.0], subject=1, db=db)
        ...     report = db.admin.check(deep=True)
        >>> report.ok, report.counts["verified"]
        (True, 1)

        """
        return check(self._store, deep=deep, repair=repair, head=head, progress=progress)

    @overload
    def prune(
        self,
        *,
        memo: Literal[True],
        older_than: Moment = ...,
        larger_than: str | int | None = ...,
        unused_since: Moment = ...,
        dry_run: bool = ...,
    ) -> Pruning: ...

    @overload
    def prune(
        self,
        *,
        memo: Literal[False] = ...,
        older_than: Moment = ...,
        superseded: bool = ...,
        unreachable: bool = ...,
        variable: VariableLike | Iterable[VariableLike] | None = ...,
        reason: str = ...,
        dry_run: bool = ...,
    ) -> Removing: ...

    def prune(
        self,
        *,
        memo: bool = False,
        older_than: Moment = None,
        larger_than: str | int | None = None,
        unused_since: Moment = None,
        superseded: bool = False,
        unreachable: bool = False,
        variable: VariableLike | Iterable[VariableLike] | None = None,
        reason: str = "",
        dry_run: bool = False,
    ) -> Pruning | Removing:
        """Remove old versions for good; with ``memo=True``, only let results no longer be recalled.

        Of several conditions all must hold. Never removed are records that are the latest of their place and version
        keys, that were at a tag, that are pinned, or that something pinned was made from. Where a removed record was an
        input, lineage says so, with when and by whom. The file shrinks when it is compacted.

        Parameters
        ----------
        memo
            Let results be computed again instead, and remove nothing: by `older_than`, `larger_than` (more bytes than
            that: a number, or ``"100MB"``) and `unused_since` (neither saved, recalled nor found up to date since).
        older_than
            Saved before that: ``"90d"``, ``"12h"``, a date, a timedelta or a datetime.
        superseded
            Something else is the latest at their place.
        unreachable
            Results of computations from which no current result comes, directly or not.
        variable
            One variable or several.
        reason
            Why; it is kept with who and when.
        dry_run
            Only return the plan.

        Returns
        -------
        Removing or Pruning
            Of records: variables (records, entries, nbytes of each), kept (how many, by what keeps them) and losing
            (what stays and was made from them). Of the memo: computations, nbytes, latest (results that stand at their
            place, and that the next run computes again), and functions.

        Raises
        ------
        SciDBError
            When no condition is given, or one cannot be understood.
        StorageError
            When the database is read-only.

        Examples
        --------
        >>> import scidb
        >>> class Emg(scidb.BaseVariable):
        ...     \"\"\"Muscle activity.\"\"\"
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     _ = Emg.save(0.5, subject=1, db=db)
        ...     _ = Emg.save(0.7, subject=1, db=db)
        ...     found = db.admin.prune(superseded=True)
        ...     found.records, found.done, len(Emg.list_versions(subject=1, db=db))
        (1, True, 1)

        """
        self._hits.write()
        if memo:
            if superseded or unreachable or variable is not None:
                raise SciDBError(
                    "prune(memo=True) goes by older_than=, larger_than= and unused_since= alone; superseded=, "
                    "unreachable= and variable= are of values. Leave memo=True out to remove these."
                )
            return prune_memo(
                self._store,
                older_than=older_than,
                larger_than=larger_than,
                unused_since=unused_since,
                dry_run=dry_run,
                user_id=self._user,
            )
        if larger_than is not None or unused_since is not None:
            raise SciDBError("larger_than= and unused_since= are conditions of the memo: prune(memo=True, ...).")
        if older_than is None and not superseded and not unreachable and variable is None:
            raise SciDBError(
                "Say what: older_than='90d', superseded=True, unreachable=True or variable=..., or memo=True for "
                "results that are only not to be recalled any more."
            )
        meant = Conditions(self._variables(variable), moment("older_than", older_than), superseded, unreachable)
        return prune(self._store, meant, dry_run=dry_run, reason=reason, user_id=self._user)

    def erase(
        self,
        schema: Mapping[str, Any] | None = None,
        /,
        *,
        reason: str = "",
        dry_run: bool = False,
        **keys: Any,
    ) -> Erasing:
        """Remove a participant, or another place, from every version of every variable, and all that was made from it.

        Also what tells of it: previews of values, failures, settings of runs that name it. The file is written anew,
        so that no byte of the values stays in it. What stays is a proof without content, and the digest of each
        line of the log, so that the rest still verifies. Files outside of the database are listed and never touched.

        Parameters
        ----------
        schema, **keys
            Values of schema keys, such as ``subject=12``.
        reason
            Why; it is kept with who and when, so do not name anybody.
        dry_run
            Only return the plan.

        Returns
        -------
        Erasing
            variables and derived (records, entries, nbytes of each), failures, runs, generated, exports, backups,
            copies, mentions.

        Raises
        ------
        NotFoundError
            When nothing tells of such a place.
        SchemaKeyError
            When a key does not exist, or a value is none of its own.
        StorageError
            When the database is read-only, or there is no room for the new file.

        Examples
        --------
        >>> import scidb
        >>> class Emg(scidb.BaseVariable):
        ...     \"\"\"Muscle activity.\"\"\"
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     _ = Emg.save_many([(0.5, {"subject": 1}), (0.7, {"subject": 12})], db=db)
        ...     _ = db.admin.erase(subject=12)
        ...     [value.metadata for value in Emg.load_all(db=db)]
        [{'subject': 1}]

        """
        given = {**(schema or {}), **keys}
        if not given:
            raise SciDBError("erase() removes nothing unless it is told whose: db.admin.erase(subject=12).")
        known = {key.name: key.value_type for key in self._store.describe().schema_keys}
        for name in given:
            if name not in known:
                raise SchemaKeyError(
                    f"There is no schema key {name!r}; the keys are {', '.join(known)}.{did_you_mean(name, known)}",
                    name=name,
                )
        place = {name: convert_key(name, value, known[name]) for name, value in given.items()}
        self._hits.write()
        backups = dict.fromkeys(one.path for one in self._store.find(Backups()))
        return erase(self._store, place, dry_run=dry_run, backups=tuple(backups), reason=reason, user_id=self._user)

    def compact(self) -> Compaction:
        """Write the file anew, which gives back the space of what was removed; others read meanwhile.

        The new file is compared with the old one before it takes its place, in one step: whatever happens, one of
        the two is there. It takes as much room beside the old one as there is in it.

        Returns
        -------
        Compaction
            before and after: the size of the file in bytes.

        Raises
        ------
        StorageError
            When the database is read-only, there is no room, or other threads never stop reading.
        UnsupportedOperationError
            When the database is no file.

        """
        self._hits.write()
        return maintained(self._store).compact()

    def removals(self) -> list[Removed]:
        """Return what was ever pruned or erased, oldest first: kind, reason, counts, who and when; not what it was."""
        return self._store.find(Removals())

    def _variables(self, given: VariableLike | Iterable[VariableLike] | None) -> tuple[str, ...] | None:
        """Return the names of variables, which the database must know."""
        if given is None:
            return None
        several = (given,) if isinstance(given, str | type) else tuple(given)
        names = tuple(name_of(one) for one in several)
        known = [info.name for info in self._store.types()]
        for name in names:
            if name not in known:
                raise NotRegisteredError(
                    f"This database has no variable {name!r}.{did_you_mean(name, known)}", variable=name
                )
        return names

    def backup(self, path: str | os.PathLike[str], *, keep: int | None = None, verify: bool = True) -> BackupReport:
        """Copy the database into a backup folder, as it is at one instant, while others read and write on.

        Only what the folder has not yet is written, and over HTTP only that is sent. What is in the folder stays as
        it is: each backup is a point in time of its own, and `scidb restore` makes a file of any of them.

        Parameters
        ----------
        path
            A folder on this machine for the backups of this database: one that has some, is empty, or is made.
        keep
            How many points in time to keep; older ones go. Left out: all.
        verify
            Make a database of the backup in the folder, open and check it, and throw it away. It needs as much room
            as the database for that while; where there is none, a log record says so.

        Returns
        -------
        BackupReport
            path, taken (the instant), nbytes (of the database), written (into the folder), blocks, new_blocks,
            is_verified, problems (that the database has), removed (older points in time), seconds.

        Raises
        ------
        StorageError
            When `path` is a file, has other things or another database in it, or the disk is full.
        CorruptDatabaseError
            When blocks that are in the folder were damaged.
        DatabaseLockedError
            When another backup into the folder is under way.
        UnsupportedOperationError
            When the database is no file, as in memory.

        Examples
        --------
        >>> import pathlib, scidb, tempfile
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> with scidb.open(folder / "study.duckdb", ["subject"]) as db:
        ...     db.admin.backup(folder / "backups").is_verified
        True

        """
        self._hits.write()
        return back_up(self._store, path, keep=keep, verify=verify, user_id=self._user)


def name_of(variable: object) -> str:
    """Return the name of a variable, given by its class or by name."""
    if isinstance(variable, str):
        return variable
    if isinstance(variable, type) and variable is not BaseVariable and issubclass(variable, BaseVariable):
        return variable.__name__
    raise SciDBError(f"Expected a variable class or its name, got {variable!r}.")
