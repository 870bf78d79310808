"""Running the failed combinations of a stored run again, by what the database keeps of that call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scidb.database.judging import Judging
from scidb.exceptions import AmbiguousVersionError, NotFoundError, PipelineError, SciDBError
from scidb.foreach import ForEachReport, for_each
from scidb.foreach.call import collected_by
from scidb.foreach.combos import Chosen
from scidb.foreach.given import read_configuration
from scidb.registry import variable_class
from scidb.store.model import Failures, Runs, Sources
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from scidb.pipeline import Pipeline
    from scidb.store.model import Failure, Run

__all__ = ["Retrying"]


class Retrying(Judging):
    """pipeline, find_run and retry."""

    def pipeline(self) -> Pipeline:
        """Return an empty pipeline on this database, which collects calls of `for_each` and runs what is out of date.

        Use it as ``with db.pipeline() as p:``, or add steps with ``p.add(...)``; then ``p.plan()`` and ``p.run()``.
        """
        from scidb.pipeline import Pipeline

        return Pipeline(self)

    def find_run(self, run_id: str) -> Run:
        """Return one for_each call, by its id or the beginning of it.

        Raises
        ------
        NotFoundError, AmbiguousVersionError
            When it is not exactly one.

        """
        given: object = run_id
        if not isinstance(given, str) or not given:
            raise SciDBError(f"A run is named by its id, or the beginning of it; {given!r} is none.")
        found = [run for run in self._store.find(Runs()) if run.run_id.startswith(run_id)]
        if not found:
            raise NotFoundError(
                f"No run has an id that begins with {run_id!r}; `scidb runs` and db.runs() list them.", run_id=run_id
            )
        if len(found) > 1:
            shown = ", ".join(run.run_id[:12] for run in found[:10])
            raise AmbiguousVersionError(
                f"{len(found)} runs have ids that begin with {run_id!r}: {shown}.",
                run_ids=[run.run_id for run in found],
            )
        return found[0]

    def retry(self, run_id: str | None = None, *, progress: bool | None = None) -> ForEachReport:
        """Run the failed combinations of a stored for_each call again, and only those.

        The function is today's: what this process has imported or used under the recorded name. The rest of the
        call is what the database keeps of it. What has succeeded since is not run again. In the process that ran
        it, ``report.retry()`` does the same without reading anything back.

        Parameters
        ----------
        run_id
            The run, or the beginning of its id; the newest one that has failures if left out.
        progress
            As in `for_each`.

        Raises
        ------
        NotFoundError, AmbiguousVersionError
            When it is not exactly one run, or no run has failures.
        PipelineError
            When this process does not have the function or a variable class, or the call cannot be made again.

        """
        failures = self._store.find(Failures(None if run_id is None else self.find_run(run_id).run_id))
        if run_id is None and not failures:
            raise NotFoundError("No run of this database has failures, so that there is nothing to retry.")
        run = self.find_run(failures[-1].run_id if run_id is None else run_id)
        failed = _places([one for one in failures if one.run_id == run.run_id])
        if not failed:
            return ForEachReport(run.function_name, run_id=run.run_id)
        if run.configuration is None:
            raise PipelineError(
                f"The run {run.run_id[:12]} of {run.function_name}() was stored without what it was given. Run the "
                "script again: what is done is not redone."
            )
        given = read_configuration(run.configuration, self._own_class)
        chosen: dict[str, Any] = dict.fromkeys(failed[0], Chosen(failed))
        function = self._function_of(run)
        with collected_by(None):
            return for_each(
                function, given.inputs, given.outputs, db=self, progress=progress, **given.options, **chosen
            )

    def _function_of(self, run: Run) -> Callable[..., Any]:
        from scidb.provenance.live import live_function

        found = self._store.find(Sources((run.function_hash,)))
        function = live_function(found[0].manifest) if found else None
        if function is None:
            raise PipelineError(
                f"{run.function_name}() is not known in this process, or no longer under this name. Import it first, "
                "on the command line with --import FILE|MODULE; or run the script again: what is done is not redone."
            )
        return function

    def _own_class(self, name: str) -> type[BaseVariable]:
        """Return the class of a variable; a plain one would save values without what the class says of them."""
        name = self._info.renamed.get(name, name)
        found = variable_class(name)
        if found is None or not issubclass(found, BaseVariable):
            raise PipelineError(
                f"The variable {name} is not known in this process. Import its class first, on the command line with "
                "--import FILE|MODULE."
            )
        return found


def _places(failures: Sequence[Failure]) -> list[dict[str, Any]]:
    """Return where something failed, each place once."""
    return list({tuple(one.schema.items()): dict(one.schema) for one in failures}.values())
