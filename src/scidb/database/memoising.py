"""The Cache of `scidb.thunk`, and what people ask of the memo and do to it."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from scidb.database.exporting import Exporting
from scidb.exceptions import NotFoundError, SciDBError, SciDBWarning, did_you_mean
from scidb.memo import Sought
from scidb.records import ambiguous_prefix, class_named, version_keys_of
from scidb.store.model import Batch, Entries, Invalidated, Match, MemoEntries
from scidb.thunk import PipelineThunk, ThunkOutput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scidb.memo import Known
    from scidb.variable import BaseVariable

__all__ = ["Memoising"]

_TOP: int = 10


class Memoising(Exporting):
    """recall, find_by_lineage, get_cached_computation, invalidate_cache, get_cache_stats."""

    def recall(self, computation: PipelineThunk) -> Sequence[object] | None:
        """Return the saved values of an equal computation in the order of its outputs, or None."""
        known = self._complete(computation)
        if known is None:
            return None
        if computation.thunk.generates_file:
            values: list[object] = [None]
        else:
            loaded = self._memo.cache.load(known.records)
            values = [loaded[record.record_id] for record in known.records]
        computation.recalled_from = known.call_id
        # A class may restore another value than the stored one, whose hash the record has.
        computation.recalled_hashes = [
            None if class_named(record.variable).has_custom_storage() else record.content_hash
            for record in known.records
        ]
        self._memo.hits.add(computation.lineage_id)
        return values

    def _complete(self, computation: PipelineThunk) -> Known | None:
        sought = Sought(computation.lineage_id, computation.fingerprint.hash, computation.inputs_hash)
        return self._memo.known([sought]).get(computation.lineage_id)

    def find_by_lineage(self, pipeline_thunk: PipelineThunk | ThunkOutput) -> list[Any] | None:
        """Return the values that an equal computation gave, in the order of its outputs; None unless all were saved.

        Examples
        --------
        >>> import scidb
        >>> class Doubled(scidb.BaseVariable):
        ...     \"\"\"Twice a number.\"\"\"
        >>> @scidb.thunk
        ... def double(x):
        ...     return 2 * x
        >>> with scidb.open("memory:", ["subject"]) as db:
        ...     result = double(21)
        ...     unknown = db.find_by_lineage(result.pipeline_thunk)
        ...     _ = Doubled.save(result, subject=1, db=db)
        ...     unknown, db.find_by_lineage(result.pipeline_thunk)
        (None, [42])

        """
        call = pipeline_thunk.pipeline_thunk if isinstance(pipeline_thunk, ThunkOutput) else pipeline_thunk
        known = self._complete(call)
        if known is None:
            return None
        if call.thunk.generates_file:
            return [None]
        loaded = self._memo.cache.load(known.records)
        return [loaded[record.record_id] for record in known.records]

    def get_cached_computation(self, lineage_id: str) -> dict[str, Any] | None:
        """Return what is known of a computation whose result can be recalled; None when it cannot be.

        Returns
        -------
        dict
            lineage_id, call_id, outputs (one dict per output: record_id, vhash, type, metadata), and for the
            first output also output_vhash and output_type.

        """
        known = self._memo.known([Sought(lineage_id, "", "")]).get(lineage_id)
        if known is None:
            return None
        outputs = [
            {
                "record_id": record.record_id,
                "vhash": record.record_id,
                "type": record.variable,
                "metadata": {**record.schema, **version_keys_of(record)},
            }
            for record in known.records
        ]
        return {
            "lineage_id": lineage_id,
            "call_id": known.call_id,
            "outputs": outputs,
            "output_vhash": outputs[0]["record_id"] if outputs else f"generated:{lineage_id}",
            "output_type": outputs[0]["type"] if outputs else None,
        }

    def invalidate_cache(
        self,
        function_name: str | None = None,
        function_hash: str | None = None,
        output: str | BaseVariable | None = None,
        *,
        reason: str = "",
    ) -> int:
        """Set results aside that were saved until now: they are neither recalled nor up to date any more.

        Nothing is deleted, and a result that is saved later counts again, also one with the same value.

        Parameters
        ----------
        function_name
            All results of this function, and of the same code under another name.
        function_hash
            All results of this code; any unique beginning of its hash will do.
        output
            The results of the computation that made this record, named by its id (or a beginning of it), or loaded.
        reason
            Why; it is kept with who and when.

        Returns
        -------
        int
            The number of computations whose results were set aside; all conditions that are given must hold.

        Raises
        ------
        SciDBError
            When nothing is named, or a record that no computation made.
        NotFoundError, AmbiguousVersionError
            When there is no such record, or several.

        Examples
        --------
        >>> import scidb
        >>> class Doubled(scidb.BaseVariable):
        ...     \"\"\"Twice a number.\"\"\"
        >>> @scidb.thunk
        ... def double(x):
        ...     return 2 * x
        >>> with scidb.open("memory:", ["subject"]) as db, db.as_current():
        ...     _ = Doubled.save(double(21), subject=1)
        ...     double(21).was_cached, db.invalidate_cache("double"), double(21).was_cached
        (True, 1, False)

        """
        if function_name is None and function_hash is None and output is None:
            raise SciDBError(
                "invalidate_cache() sets nothing aside unless it is told what: function_name='smooth', "
                "function_hash=..., or output=RECORD_ID."
            )
        lineage_ids = None if output is None else self._computations_of(output)
        if function_hash is not None:
            function_hash = self._whole_hash(function_hash)
        count = len(self._store.find(MemoEntries(function_name, function_hash, lineage_ids)))
        if count == 0 and function_name is not None:
            known = {entry.computation.function_name for entry in self._store.find(MemoEntries())}
            if function_name not in known:
                hint = did_you_mean(function_name, known)
                warnings.warn(f"The memo has no results of {function_name}().{hint}", SciDBWarning, stacklevel=2)
        self._store.write(Batch(events=(Invalidated(function_name, function_hash, lineage_ids, reason, self._user),)))
        return count

    def _computations_of(self, output: str | BaseVariable) -> tuple[str, ...]:
        """Return the computations that made a record."""
        wanted = output if isinstance(output, str) else output.record_id
        if wanted is None:
            raise SciDBError(f"{output!r} was never saved, so there is no computation of it to set aside.")
        if wanted.startswith("generated:"):
            return (wanted.removeprefix("generated:"),)
        entries = self._store.find(Entries(Match(record_prefix=wanted)))
        if not entries:
            raise NotFoundError(f"There is no record whose id begins with {wanted!r}.", record_id=wanted)
        distinct = list({entry.record_id: entry for entry in entries}.values())
        if len(distinct) > 1:
            raise ambiguous_prefix(distinct[0].variable, wanted, distinct)
        made = tuple(dict.fromkeys(entry.lineage_id for entry in entries if entry.lineage_id))
        if not made:
            raise SciDBError(
                f"Record {distinct[0].record_id[:12]} of {distinct[0].variable} was saved by hand; no computation made "
                "it, so the memo does not have it.",
                record_id=distinct[0].record_id,
            )
        return made

    def _whole_hash(self, beginning: str) -> str:
        known = {entry.computation.function_hash for entry in self._store.find(MemoEntries())}
        found = sorted(code for code in known if code.startswith(beginning)) if beginning else []
        if len(found) > 1:
            shown = ", ".join(code[:16] for code in found[:6])
            raise SciDBError(f"Several functions have a hash that begins with {beginning!r}: {shown}. Give more of it.")
        return found[0] if found else beginning

    def get_cache_stats(self) -> dict[str, Any]:
        """Return how many computations can be recalled, and how often that was of use.

        Returns
        -------
        dict
            total_entries, total_hits, total_bytes, and top_functions: the ten functions with the most hits, each
            with name, entries, hits and nbytes.

        """
        unwritten = self._memo.hits.counts()
        functions: dict[str, Counter[str]] = defaultdict(Counter)
        for entry in self._store.find(MemoEntries()):
            hits = entry.hits + unwritten[entry.computation.lineage_id]
            functions[entry.computation.function_name].update(entries=1, hits=hits, nbytes=entry.nbytes)
        ordered = sorted(functions.items(), key=lambda item: (-item[1]["hits"], -item[1]["entries"], item[0]))
        return {
            "total_entries": sum(one["entries"] for one in functions.values()),
            "total_hits": sum(one["hits"] for one in functions.values()),
            "total_bytes": sum(one["nbytes"] for one in functions.values()),
            "top_functions": [
                {"name": name, "entries": one["entries"], "hits": one["hits"], "nbytes": one["nbytes"]}
                for name, one in ordered[:_TOP]
            ],
        }
