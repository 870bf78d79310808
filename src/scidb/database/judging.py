"""Why: in which state results are, what is behind it, and which changes of code do not matter."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scidb.database.reproducing import Reproducing
from scidb.exceptions import AmbiguousVersionError, NotFoundError, SciDBError
from scidb.hashing.code.fingerprint import fingerprint
from scidb.hashing.code.reference import reference_of
from scidb.hashing.ids import GENERATED_ID
from scidb.store.model import Acceptances, Accepted, Batch, TraceQuery
from scidb.thunk import Thunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from scidb.database.core import VariableLike
    from scidb.database.finding import RecordLike
    from scidb.provenance import Explanation, Status
    from scidb.store.model import Acceptance

__all__ = ["Judging"]


class Judging(Reproducing):
    """status, explain and accept."""

    def status(
        self,
        variable: VariableLike | Iterable[VariableLike] | None = None,
        /,
        *,
        as_of: Any = None,
        root_folder: str | PathLike[str] | None = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Status:
        """Return the state of each latest result, with the reason, and what is missing.

        Results are compared with today's code, which is what this process has imported; where it has not, the
        state is "code not checked". Nothing is computed, and no code is run.

        Parameters
        ----------
        variable
            A class, a name, or several; all if left out.
        as_of
            The results and their inputs as they were then; code, files and acceptances are those of today.
        root_folder
            Where the files of path inputs are, if they were moved.
        params, **metadata
            Narrow the places and variants as in `load`.

        Raises
        ------
        NotRegisteredError
            When the database does not know a variable.

        Examples
        --------
        >>> import scidb
        >>> from scidb import BaseVariable, for_each
        >>> class Force(BaseVariable):
        ...     \"\"\"Force during one trial.\"\"\"
        >>> class Peak(BaseVariable):
        ...     \"\"\"Largest force of a trial.\"\"\"
        >>> def peak(force):
        ...     return max(force)
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     _ = Force.save([600.0, 900.0], subject=1, db=db)
        ...     _ = for_each(peak, {"force": Force}, [Peak], subject=[], db=db)
        ...     _ = Force.save([600.0, 950.0], subject=1, db=db)
        ...     status = db.status("Peak")
        >>> status.counts
        {'input changed': 1}

        """
        from scidb.provenance import status_of

        names = None if variable is None else self._judged(variable)
        match = self._match_all(names, metadata, params, as_of)
        self._say_what_was_pruned(match)
        return status_of(self._store, match, None if root_folder is None else Path(root_folder))

    def explain(
        self,
        record: RecordLike,
        /,
        version: str | None = None,
        *,
        as_of: Any = None,
        root_folder: str | PathLike[str] | None = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> Explanation:
        """Say in words why one record is in its state, down to the root cause, with what differs in the code.

        Parameters
        ----------
        record
            A loaded variable, the id of a record or the beginning of it, or a variable with keys as in `load_one`; or
            the id of a file that a function wrote, ``generated:...``.
        version
            A record_id or the beginning of one; the latest if left out.
        as_of, root_folder, params, **metadata
            As in `status`.

        Raises
        ------
        NotFoundError, AmbiguousVersionError
            When not exactly one record is meant.

        """
        from scidb.provenance import explanation_of, explanation_of_file

        root = None if root_folder is None else Path(root_folder)
        if isinstance(record, str | type) and version is None and self._is_of_files(self._named(record)[0]):
            record = self._file_meant(record, as_of=as_of, params=params, **metadata)
        if isinstance(record, str) and record.startswith(GENERATED_ID):
            return explanation_of_file(self._store, record, self._instant(as_of), root)
        entry = self.find_one_meant(record, version, as_of=as_of, params=params, **metadata)
        return explanation_of(self._store, entry, self._instant(as_of), root)

    def _judged(self, variable: VariableLike | Iterable[VariableLike]) -> tuple[str, ...]:
        """Return the names of variables, also of those of which there are only files that functions wrote."""
        given = (variable,) if isinstance(variable, str | type) or not isinstance(variable, Iterable) else variable
        names = tuple(self._named(one)[0] for one in given)
        return tuple(name if self._is_of_files(name) else self._names(name)[0] for name in names)

    def _is_of_files(self, name: str) -> bool:
        """Tell whether nothing of that name is stored but how files were written."""
        if name in self._types or name.startswith(GENERATED_ID):
            return False
        return any(edge.target == name for edge in self._store.trace(TraceQuery(edges=True)).edges)

    def _file_meant(self, variable: VariableLike, **request: Any) -> str:
        found = self.status(variable, **request).records
        if len(found) == 1:
            return str(found[0].record_id)
        name, listed = self._named(variable)[0], "; ".join(f"{one.place}: {one.record_id}" for one in found[:5])
        if not found:
            raise NotFoundError(f"No function wrote a file as {name} there; db.status({name}) lists them.")
        raise AmbiguousVersionError(
            f"{len(found)} files were written as {name}: {listed}. Name the keys of one, or its id.", variable=name
        )

    def accept(self, function: str | Callable[..., Any], /, reason: str, *, verify: int = 0) -> list[Acceptance]:
        """Vouch that today's code of a function gives the results that the recorded code gave, and keep them.

        Results that other code of the function made count as up to date from then on, and are recalled instead of
        computed; `status` says "accepted", with who and why. It holds for the two codes, whoever uses them, and
        is never taken back; a result is set aside with `invalidate_cache`, which outweighs it.

        Parameters
        ----------
        function
            The function, or its name. Today's code is what this process has imported.
        reason
            Why the change does not matter; it is kept, with who and when.
        verify
            First compute so many of the latest results again, with today's code in this process, and accept only if
            each is exactly what is stored.

        Returns
        -------
        list of Acceptance
            One per recorded code; empty when there is nothing to accept.

        Raises
        ------
        NotFoundError
            When no latest result was made by such a function.
        SciDBError
            When there is no reason, today's code is not known, or a result is another one now.

        Examples
        --------
        >>> import scidb
        >>> from statistics import fmean
        >>> from scidb import BaseVariable, for_each
        >>> class Force(BaseVariable):
        ...     \"\"\"Force during one trial.\"\"\"
        >>> class Level(BaseVariable):
        ...     \"\"\"Mean force of a trial.\"\"\"
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     _ = Force.save([600.0, 900.0], subject=1, db=db)
        ...     _ = for_each(fmean, {"data": Force}, [Level], subject=[], db=db)
        ...     db.accept(fmean, "the same in another way")  # nothing has changed
        []

        """
        from scidb.provenance import outdated_code
        from scidb.provenance import verify as verify_results

        given: object = reason
        if not isinstance(given, str) or not given.strip():
            raise SciDBError("accept() needs a reason, in words: why does the change not alter any result?")
        if type(verify) is not int or verify < 0:
            raise SciDBError(f"verify={verify!r}: say how many results to compute again, for example verify=3.")
        reference = "" if isinstance(function, str) else reference_of(function)
        if not isinstance(function, str):
            function = (function.fingerprint() if isinstance(function, Thunk) else fingerprint(function)).name
        name = function
        found = outdated_code(self._store, name, reference)
        for one in found if verify else ():
            verify_results(self._store, one, verify)
        events = tuple(Accepted(name, one.computation.function_hash, one.new_hash, reason, self._user) for one in found)
        if events:
            self._store.write(Batch(events=events))
        new = {(one.old_hash, one.new_hash) for one in events}
        newest = {(one.old_hash, one.new_hash): one for one in self._store.find(Acceptances())}
        return [one for pair, one in newest.items() if pair in new]
