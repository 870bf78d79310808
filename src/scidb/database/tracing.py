"""Provenance: what made a record, what was made of it, and the pipeline as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scidb.database.iterating import Iterating
from scidb.provenance import derived_from, lineage_graph, provenance_of
from scidb.store.model import Failures, Match, Records, Runs, TraceQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scidb.database.core import VariableLike
    from scidb.provenance import LineageGraph
    from scidb.store.model import Failure, Run

__all__ = ["Tracing"]


class Tracing(Iterating):
    """get_provenance, get_derived_from, get_lineage_graph and their kin."""

    def get_provenance(
        self,
        variable: VariableLike,
        /,
        version: str | None = None,
        *,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> dict[str, Any] | None:
        """Return what made the newest entry (until `as_of`) of one record; None when it was saved by hand.

        Returns
        -------
        dict
            function_name, function_hash, lineage_id, inputs, constants, files, timestamp, user_id, seconds,
            call_id and recalled_from.

        Raises
        ------
        NotFoundError, AmbiguousVersionError
            When not exactly one record matches.

        """
        record = self.find_record(variable, version or "latest", as_of=as_of, params=params, **metadata)
        return provenance_of(self._store, record)

    def get_derived_from(
        self,
        variable: VariableLike,
        /,
        version: str | None = None,
        *,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> list[dict[str, Any]]:
        """Return what was computed from one record directly: record_id, type, function and metadata each.

        `as_of` says which record is meant, not until when it was used.
        """
        record = self.find_record(variable, version or "latest", as_of=as_of, params=params, **metadata)
        return derived_from(self._store, record)

    def get_lineage_graph(
        self,
        variable: VariableLike,
        /,
        version: str | None = None,
        *,
        direction: Literal["up", "down"] = "up",
        depth: int | None = None,
        as_of: Any = None,
        params: Mapping[str, Any] | None = None,
        **metadata: Any,
    ) -> LineageGraph:
        """Return everything that one record came from, or (``direction="down"``) everything that came from it.

        `depth` counts function calls; None means all the way. `as_of` says which record is meant.
        """
        record = self.find_record(variable, version or "latest", as_of=as_of, params=params, **metadata)
        return lineage_graph(self._store, [record], direction, depth)

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
        """Say whether a computation made this record."""
        return any(
            record.lineage_id is not None for record in self._store.find(Records(Match(record_ids=(record_id,))))
        )

    def runs(self, limit: int | None = None) -> list[Run]:
        """Return the for_each calls of this database, newest first."""
        return self._store.find(Runs(limit))

    def failures(self, run_id: str | None = None) -> list[Failure]:
        """Return the failed combinations of one run, or of all."""
        return self._store.find(Failures(run_id))
