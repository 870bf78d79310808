"""What a store refuses, and that a refused write leaves nothing behind."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from scidb.exceptions import (
    NotFoundError,
    NotRegisteredError,
    SchemaKeyError,
    StorageError,
    UnsupportedValueError,
)
from scidb.store.model import (
    Batch,
    CallInput,
    Chunk,
    Edge,
    Entries,
    Failed,
    Failures,
    KeyAdded,
    Latest,
    Runs,
    RunStarted,
    SchemaKey,
    Sources,
    SourceSeen,
    TraceQuery,
    TypeInfo,
)
from scidb.testing.store_suite.base import StoreCases
from scidb.testing.store_suite.samples import KEYS, again, assert_refused, call, log, record, save, scalars

if TYPE_CHECKING:
    from pathlib import Path

    from scidb.store.protocol import Store

__all__ = ["RefusingCases"]

_RIGHT: Final = {
    "int": 1,
    "float": 0.5,
    "str": "1",
    "date": dt.date(2024, 1, 1),
    "datetime": dt.datetime(2024, 1, 1),  # noqa: DTZ001
}


class RefusingCases(StoreCases):
    """Cases of errors, and of atomicity."""

    def test_unknown_variable(self, store: Store) -> None:
        """A record of a variable that was never registered is refused, and nothing is stored."""
        assert_refused(store, record("Other", 1.0, {"subject": 1}), NotRegisteredError)

    def test_unknown_key(self, store: Store) -> None:
        """A record at a key that does not exist is refused, and nothing is stored (A1)."""
        assert_refused(store, record("Force", 1.0, {"subjct": 1}), SchemaKeyError)

    @pytest.mark.parametrize("value_type", _RIGHT)
    def test_value_of_another_type(self, tmp_path: Path, value_type: Any) -> None:
        """A key refuses values of another type, and bool, nan and None in any case (A2)."""
        wrong: list[Any] = [value for kind, value in _RIGHT.items() if kind != value_type]
        with closing(self.make_store([SchemaKey("subject", value_type)], tmp_path)) as store:
            store.register(TypeInfo("Force"))
            for value in [*wrong, True, float("nan"), None]:
                assert_refused(store, record("Force", 1.0, {"subject": value}), SchemaKeyError)
            right: Any = _RIGHT[value_type]
            assert save(store, "Force", 1.0, subject=right).schema == {"subject": right}

    @pytest.mark.parametrize("part", ["version_keys", "encoding", "user_id", "lineage_id"])
    def test_text_with_lone_surrogates(self, store: Store, part: str) -> None:
        """Text that is not Unicode is refused as such, wherever in a record, and nothing is stored."""
        text: Any = '{"label":"\ud800"}'
        assert_refused(store, replace(record("Force", 1.0, {"subject": 1}), **{part: text}), UnsupportedValueError)

    def test_other_texts_with_lone_surrogates(self, store: Store) -> None:
        """The same for what is not a record."""
        for batch in (
            Batch(edges=(Edge("\ud800", "Emg", "f", "h"),)),
            Batch(calls=(call("c1", CallInput("x", "constant", value_repr="\ud800")),)),
            Batch(events=(SourceSeen("h", "f", "{}", {"f": "# \ud800"}),)),
            Batch(events=(Failed("r", {"session": "\ud800"}, "{}", "Error", "", "", 0.5),)),
        ):
            with pytest.raises(UnsupportedValueError, match="surrogates"):
                store.write(batch)
        with pytest.raises(UnsupportedValueError, match="surrogates"):
            store.register(TypeInfo("Force", units={"\ud800": "m"}))
        assert log(store) == []
        assert save(store, "Force", 1.0, subject=1).schema == {"subject": 1}

    def test_again_without_having_it(self, store: Store) -> None:
        """A chunk without a table that names an unknown record is refused, and nothing is stored."""
        fine = record("Force", 1.0, {"subject": 1})
        unknown = record("Force", 2.0, {"subject": 2}, seq=1)
        batch = Batch(chunks=(scalars([fine], [1.0]), Chunk((unknown,), None)))
        before = store.types()
        with pytest.raises(NotFoundError):
            store.write(batch)
        assert log(store) == []
        assert store.types() == before

    def test_a_refused_write_stores_nothing(self, store: Store) -> None:
        """Events, calls, edges and records of a write that fails are not there, and can be written later."""
        good = record("Force", 1.0, {"subject": 1, "condition": "left"}, call_id="c1")
        bad = record("Other", 2.0, {"subject": 1}, seq=1)
        whole = Batch(
            chunks=(scalars([good], [1.0]), scalars([bad], [2.0])),
            calls=(call("c1"),),
            edges=(Edge("Raw", "Force", "f", "h"),),
            events=(
                KeyAdded(SchemaKey("condition", "str"), after="subject"),
                RunStarted("r1", "f", "h", total=1),
                Failed("r1", {"subject": 1}, "{}", "ValueError", "no", "Traceback", 0.1),
                SourceSeen("h", "f", "{}", {"s": "def f(): ..."}),
            ),
        )
        before = store.describe(), store.types()
        with pytest.raises(NotRegisteredError):
            store.write(whole)
        assert (store.describe(), store.types()) == before
        assert store.find(Entries()) == []
        assert list(store.fetch(Latest())) == []
        assert store.find(Runs()) == []
        assert store.find(Failures()) == []
        assert store.find(Sources(("h",))) == []
        trace = store.trace(TraceQuery((good.record_id,), edges=True))
        assert (trace.calls, trace.records, trace.edges) == ((), (), ())

        store.register(TypeInfo("Other"))
        assert len(store.write(whole)) == 2
        assert len(store.find(Runs())) == 1

    def test_a_store_goes_on_after_a_refusal(self, store: Store) -> None:
        """After a refused write the next one succeeds."""
        first = save(store, "Force", 1.0, subject=1)
        assert_refused(store, record("Other", 1.0, {}), NotRegisteredError)
        assert again(store, first).timestamp > first.timestamp

    def test_closed(self, tmp_path: Path) -> None:
        """After `close` every verb refuses; closing again does nothing."""
        store = self.make_store(KEYS, tmp_path)
        info = store.register(TypeInfo("Force"))
        save(store, "Force", 1.0, subject=1)
        store.close()
        store.close()
        with pytest.raises(StorageError, match="closed"):
            store.describe()
        with pytest.raises(StorageError, match="closed"):
            store.register(info)
        with pytest.raises(StorageError, match="closed"):
            store.types()
        with pytest.raises(StorageError, match="closed"):
            store.write(Batch())
        with pytest.raises(StorageError, match="closed"):
            store.find(Latest())
        with pytest.raises(StorageError, match="closed"):
            list(store.fetch(Latest()))
        with pytest.raises(StorageError, match="closed"):
            store.trace(TraceQuery())
