"""Reproducing: computing a record again, to see whether it is what its code makes of its inputs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scidb.database.comparing import Comparing
from scidb.database.environment import describe_environment
from scidb.exceptions import NotFoundError, SciDBError
from scidb.variable import BaseVariable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scidb.provenance.reproduction import Reproduction, StoredCode

__all__ = ["Reproducing"]


class Reproducing(Comparing):
    """reproduce."""

    def reproduce(
        self,
        record: str | BaseVariable,
        /,
        *,
        upstream: bool = True,
        rtol: float | None = None,
        atol: float | None = None,
        run_stored_code: bool = False,
        show: Callable[[Sequence[StoredCode]], None] | None = None,
        root_folder: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
        timeout: float | None = None,
    ) -> Reproduction:
        """Compute a record again in a fresh process, with everything behind it, and compare with what is stored.

        Each call runs with today's code where that is the recorded one: imported in this process, or named by it.
        Elsewhere the stored source text is shown, and runs only if you say so, because a database may be somebody
        else's. Every input is made again exactly, or the record counts as not reproduced. Nothing is saved.

        Parameters
        ----------
        record
            A record_id, a unique beginning of one, or a loaded variable.
        upstream
            Also compute what the record was made from, back to what was saved by hand, files and constants; False
            starts from the stored inputs of its own call.
        rtol, atol
            How far floating-point numbers may be apart: ``atol + rtol * abs(stored)``. Left out, `rtol` is 1e-9 (1e-5
            for 32-bit, 1e-2 for 16-bit numbers), and `atol` is `rtol` times the largest number of the column.
        run_stored_code
            Run code out of the database where today's is not the recorded one. Read it first.
        show
            Called with that code before anything runs.
        root_folder
            Where the files of a PathInput are now, if they are not where they were.
        timeout
            Stop after so many seconds.

        Returns
        -------
        Reproduction
            What became of each record, by column; `outcome` says the worst.

        Raises
        ------
        NotFoundError
            When there is no such record, or no function made it.
        AmbiguousVersionError
            When several records have an id with this beginning.

        """
        from scidb.provenance.reproduction import Tolerance, reproduce

        record_id: object = record.record_id if isinstance(record, BaseVariable) else record
        if record_id is None:
            raise NotFoundError("This variable was never saved, so that there is nothing to reproduce. Save it first.")
        if not isinstance(record_id, str) or not record_id:
            raise SciDBError(f"reproduce takes a record_id or a loaded variable, got {record!r}.")
        if record_id.startswith(("generated:", "ephemeral:")):
            what = "a file" if record_id.startswith("generated:") else "a value"
            raise NotFoundError(
                f"{record_id[:22]} stands for {what} of which only the lineage is stored, so that there is nothing to "
                "compare with. Reproduce what it was made from, or what was made from it.",
                record_id=record_id,
            )
        if timeout is not None and not timeout > 0:
            raise SciDBError(f"timeout={timeout!r}: give a number of seconds, or None for no limit.")
        folders = [root_folder] if isinstance(root_folder, str | os.PathLike) else list(root_folder)
        return reproduce(
            self._store,
            self.find_record_by_id(record_id),
            upstream=upstream,
            tolerance=Tolerance(rtol, atol),
            run_stored_code=run_stored_code,
            root_folders=[os.fspath(folder) for folder in folders],
            timeout=timeout,
            show=show,
            environment=describe_environment(None),
        )
