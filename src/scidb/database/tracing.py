"""Provenance: what made a record, what was made of it, and the pipeline as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from scidb.database.iterating import Iterating
from scidb.exceptions import SciDBError
from scidb.hashing.ids import GENERATED_ID
from scidb.store.model import Entries, Failures, GeneratedFiles, Latest, Match, Records, Runs, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.database.finding import RecordLike
    from scidb.hashing.code.listing import SourceCode
    from scidb.provenance import LineageGraph
    from scidb.store.model import Failure, Record, Run

__all__ = ["Tracing"]


class Tracing(Iterating):
    """get_provenance, get_derived_from, get_lineage_graph and their kin."""

    @overload
    def get_provenance(
        self, record: RecordLike, /, version: str | None = ..., *, all: Literal[False] = ..., **request: Any
    ) -> dict[str, Any] | None: ...

    @overload
    def get_provenance(
        self, record: RecordLike, /, version: str | None = ..., *, all: Literal[True], **request: Any
    ) -> list[dict[str, Any]]: ...

    def get_provenance(
        self,
        record: RecordLike,
        /,
        version: str | None = None,
        *,
        all: bool = False,  # noqa: A002 - as it is asked for
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> dict[str, Any] | list[dict[str, Any]] | None:
        """Return what made the newest entry (until `as_of`) of one record; None when it was saved by hand.

        Parameters
        ----------
        record
            A variable beside keys, a value, or a record_id or the beginning of one. A value stands for the entry
            that it was loaded from. Also the id of a file that a function wrote, ``generated:...``.
        version
            Of a variable: which record, by its id or the beginning of it.
        all
            Return a list with what made each entry of the record, newest first: also recalls and repetitions.
        as_of, params, **metadata
            As in `load`.

        Returns
        -------
        dict
            function_name, function_hash, lineage_id, output_num; inputs (each with name, type, record_id and
            metadata, or source_function where a result was handed on unsaved), constants and files; timestamp,
            user_id, seconds, call_id, run_id and recalled_from; environment (Python, machine, package versions) and
            git (commit, branch, is_dirty; None without a repository); warnings: what could not be taken into account
            when the code was identified; and what it is about: record_id (also as vhash), type and metadata.

        Raises
        ------
        NotFoundError, AmbiguousVersionError
            When not exactly one record matches.

        """
        from scidb.provenance import provenance_of

        found = self._entry_or_file(record, version, as_of=as_of, params=params, **metadata)
        if not all or found.record_id.startswith(GENERATED_ID):
            [made_it] = provenance_of(self._store, [found])
            return [made_it] if all and made_it is not None else made_it
        entries = self._store.find(Entries(Match(record_ids=(found.record_id,), as_of=self._instant(as_of))))
        return [made for made in provenance_of(self._store, entries) if made is not None]

    def get_provenance_by_schema(
        self, *, as_of: Any = None, params: Mapping[str, Any] | None = None, **metadata: Any
    ) -> list[dict[str, Any]]:
        """Return what made each of the latest values at some place, of all variables; those saved by hand left out.

        Each dict is that of `get_provenance`. They come in natural order; a key that is not given matches anything.
        """
        from scidb.provenance import provenance_of

        match = self._match_all(None, metadata, params, as_of)
        self._say_what_was_pruned(match)
        entries = self._store.find(Latest(match))
        return [made for made in provenance_of(self._store, entries) if made is not None]

    def get_source(
        self,
        record: RecordLike,
        /,
        version: str | None = None,
        *,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> SourceCode | None:
        """Return the code that made a number, as it ran: the function, and all code of yours that it used.

        ``print()`` shows it with files, lines and the values that it read. None when no function made it.
        Takes what `get_provenance` takes.
        """
        from scidb.provenance import source_of

        found = self._entry_or_file(record, version, as_of=as_of, params=params, **metadata)
        return source_of(self._store, found)

    def _entry_or_file(self, record: RecordLike, version: str | None, **request: Any) -> Record:
        """Find what is meant, a file that a function wrote included."""
        from scidb.provenance import written_file

        if isinstance(record, str) and record.startswith(GENERATED_ID):
            return written_file(self._store, record, self._instant(request["as_of"])).entry
        return self.find_one_meant(record, version, **request)

    def get_derived_from(
        self,
        record: RecordLike,
        /,
        version: str | None = None,
        *,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> list[dict[str, Any]]:
        """Return what was computed from one record directly: record_id, type, function and metadata each.

        Takes what `get_provenance` takes; `as_of` says which record is meant, not until when it was used.
        """
        from scidb.provenance import derived_from

        found = self.find_one_meant(record, version, as_of=as_of, params=params, **metadata)
        return derived_from(self._store, found)

    def get_lineage_graph(
        self,
        record: RecordLike,
        /,
        direction: Literal["up", "down"] = "up",
        depth: int | None = None,
        *,
        version: str | None = None,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> LineageGraph:
        """Return everything that one record came from, or (``direction="down"``) everything that came from it.

        Parameters
        ----------
        record
            As for `get_provenance`.
        direction
            ``"up"`` towards the data that it rests on, ``"down"`` towards the results.
        depth
            How many function calls far; None means all the way.
        version, as_of, params, **metadata
            Which record of a variable.

        Raises
        ------
        SciDBError
            When direction or depth are none.

        """
        from scidb.provenance import lineage_graph

        if direction not in ("up", "down"):
            raise SciDBError(f"direction={direction!r}: use 'up' (what it came from) or 'down' (what came from it).")
        if depth is not None and (type(depth) is not int or depth < 0):
            raise SciDBError(f"depth={depth!r}: say how many function calls far, or None for all the way.")
        found = self.find_one_meant(record, version, as_of=as_of, params=params, **metadata)
        return lineage_graph(self._store, [found], direction, depth, has_flags=self._info.has_flags)

    def get_pipeline_structure(self) -> list[dict[str, str]]:
        """Return the current type-level pipeline: source, target, function_name, function_hash, timestamp."""
        edges = self._store.trace(TraceQuery(edges=True)).edges
        return [
            {
                "source": edge.source,
                "target": edge.target,
                "function_name": edge.function_name,
                "function_hash": edge.function_hash,
                "timestamp": edge.timestamp,
            }
            for edge in edges
        ]

    def has_lineage(self, record_id: str) -> bool:
        """Say whether a computation made this record, as its newest entry has it; False for an unknown id.

        The id of a file that a function wrote, ``generated:...``, has one.
        """
        if record_id.startswith(GENERATED_ID):
            return bool(self._store.find(GeneratedFiles((record_id.removeprefix(GENERATED_ID),))))
        found = self._store.find(Records(Match(record_ids=(record_id,))))
        return any(record.call_id is not None for record in found)

    def runs(self, limit: int | None = None) -> list[Run]:
        """Return the for_each calls of this database, newest first."""
        return self._store.find(Runs(limit))

    def failures(self, run_id: str | None = None) -> list[Failure]:
        """Return the failed combinations of one run, or of all."""
        return self._store.find(Failures(run_id))
