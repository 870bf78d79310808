"""Fakes of what lies above thunks: a database that recalls, and a variable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scidb.current import as_current
from scidb.hashing.ids import content_hash, record_form, value_form
from scidb.hashing.inputs import CallInput, Input

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scidb.thunk import PipelineThunk, ThunkOutput


class FakeCache:
    """A database as thunks see one: it keeps what is saved, and knows a computation by its lineage_id."""

    def __init__(self) -> None:
        self.values: dict[str, dict[int, object]] = {}
        self.calls: dict[str, str] = {}
        self.asked: list[PipelineThunk] = []
        self.error: Exception | None = None

    def save(self, *outputs: ThunkOutput, variable: str = "Saved") -> None:
        for output in outputs:
            call = output.pipeline_thunk
            self.values.setdefault(call.lineage_id, {})[output.output_num] = output.data
            self.calls[call.lineage_id] = call.call_id
            output.mark_saved(record_id=f"record of {output.hash}", call_id=call.call_id, variable=variable)

    def recall(self, computation: PipelineThunk) -> Sequence[object] | None:
        self.asked.append(computation)
        if self.error is not None:
            raise self.error
        known = self.values.get(computation.lineage_id)
        if known is None:
            return None
        computation.recalled_from = self.calls[computation.lineage_id]
        return [known[number] for number in sorted(known)]


class FakeVariable:
    """A variable as thunks see one: it says its identity and, once saved, its record."""

    def __init__(self, data: Any, record_id: str | None = None) -> None:
        self.data = data
        self.record_id = record_id

    def __scidb_input__(self, name: str, *, unwrap: bool) -> Input:
        content = content_hash(self.data)
        origin = CallInput(name, "record", record_id=self.record_id, content_hash=content)
        form = value_form(content) if unwrap else record_form(self.record_id or "unsaved")
        return Input(form, (origin,))


@pytest.fixture
def cache() -> Iterator[FakeCache]:
    """Make an empty fake database the current one."""
    database = FakeCache()
    with as_current(database):
        yield database


@pytest.fixture
def variable() -> type[FakeVariable]:
    """Return the class of fake variables."""
    return FakeVariable
