"""What answers each kind of question that is not about records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scidb.store.duck.annotations import find_groups, find_tags
from scidb.store.duck.backups import find_backups
from scidb.store.duck.changes import find_changes
from scidb.store.duck.computed import (
    find_acceptances,
    find_calls,
    find_calls_given,
    find_computations,
    find_generated,
    find_timings,
    find_varying,
)
from scidb.store.duck.events import find_environments, find_exports, find_failures, find_runs, find_sources
from scidb.store.duck.flags import find_flags, find_marks
from scidb.store.duck.keeping import find_copies
from scidb.store.duck.memo import find_invalidations, find_memo_entries
from scidb.store.duck.occurring import find_forms, find_levels
from scidb.store.duck.removing import find_pruned, find_removals
from scidb.store.duck.requests import find_answers
from scidb.store.model import (
    Acceptances,
    Answers,
    Backups,
    Calls,
    CallsGiven,
    Changes,
    Computations,
    Environments,
    Exports,
    Failures,
    Flags,
    Forms,
    GeneratedFiles,
    Groups,
    Invalidations,
    KeptCopies,
    Levels,
    Marks,
    MemoEntries,
    Pruned,
    Removals,
    Runs,
    Sources,
    Tags,
    Timings,
    Varying,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scidb.store.duck.connection import Connection
    from scidb.store.duck.state import State

__all__ = ["FINDERS"]

FINDERS: Final[dict[type, Callable[[Connection, State, Any], Sequence[object]]]] = {
    Forms: lambda connection, _, query: find_forms(connection, query),
    Levels: find_levels,
    Changes: find_changes,
    Tags: lambda connection, *_: find_tags(connection),
    Groups: lambda connection, *_: find_groups(connection),
    Runs: lambda connection, _, query: find_runs(connection, query),
    Failures: find_failures,
    Exports: lambda connection, _, query: find_exports(connection, query),
    Flags: lambda connection, _, query: find_flags(connection, query),
    Marks: find_marks,
    Environments: lambda connection, _, query: find_environments(connection, query),
    Sources: lambda connection, _, query: find_sources(connection, query),
    Calls: lambda connection, _, query: find_calls(connection, query),
    CallsGiven: lambda connection, _, query: find_calls_given(connection, query),
    Computations: lambda connection, _, query: find_computations(connection, query),
    Timings: lambda connection, _, query: find_timings(connection, query),
    GeneratedFiles: lambda connection, _, query: find_generated(connection, query),
    Varying: lambda connection, _, query: find_varying(connection, query),
    Acceptances: lambda connection, state, _: find_acceptances(connection, state),
    Invalidations: find_invalidations,
    MemoEntries: lambda connection, _, query: find_memo_entries(connection, query),
    Removals: lambda connection, *_: find_removals(connection),
    Pruned: find_pruned,
    Answers: lambda connection, _, query: find_answers(connection, query),
    Backups: lambda connection, *_: find_backups(connection),
    KeptCopies: lambda connection, *_: find_copies(connection.path),
}
