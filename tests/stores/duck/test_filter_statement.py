"""A filter in DuckDB: one statement, of one instant; and keys compared exactly in it."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scidb.exceptions import FilterError
from scidb.filters import COMPARE, ColumnFilter, KeyFilter, KeyInFilter, VariableFilter, kind_of
from scidb.store.duck import DuckStore
from scidb.store.duck.connection import Connection
from scidb.store.duck.key_compare import test_key as key_condition
from scidb.store.duck.types import key_order, key_text, key_value
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, Entries, Latest, Match, Records, SchemaKey, TypeInfo
from scidb.testing.store_suite.samples import KEYS, record, save, scalars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scidb.filters import Filter
    from scidb.store.protocol import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    """Return Force and Side by trial, in two layouts, and Emg by subject."""
    with closing(DuckStore.open(tmp_path / "study.duckdb", KEYS)) as store:
        _fill(store)
        yield store


def _fill(store: Store) -> None:
    for name in ("Force", "Side", "Emg"):
        store.register(TypeInfo(name))
    for subject in (1, 2):
        save(store, "Emg", float(subject), subject=subject)
        for trial in (1, 2):
            save(store, "Force", 10.0 * subject + trial, subject=subject, trial=trial)
            save(store, "Side", float(trial), subject=subject, trial=trial)
    _put(store, "Side", pa.array([2], pa.int64()), {"subject": 2, "trial": 2})


def _put(store: Store, variable: str, cell: pa.Array, schema: dict[str, Any]) -> None:
    entry = record(variable, cell.to_pylist(), schema, encoding=f'{{"kind":"{cell.type}"}}')
    store.write(Batch(chunks=(scalars([entry], cell.to_pylist(), cell.type),)))


FILTER: Final = ~(
    (VariableFilter("Side", "==", 1) | VariableFilter("Side", "==", 7) | ColumnFilter("Side", "value", "<", 0))
    & (VariableFilter("Emg", ">=", 2) | KeyFilter("subject", ">", 5) | KeyInFilter("session", ("a",)))
)


def _statements(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> list[str]:
    said: list[str] = []
    original = Connection._run

    def run(self: Connection, query: str, call: Any) -> Any:
        said.append(query)
        return original(self, query, call)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_run", run)
        ask()
    return said


@pytest.mark.parametrize("kind", [Latest, Records, Entries])
def test_one_statement(store: DuckStore, monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    """A filter of whatever parts costs one statement more than the same question without it."""
    bare = _statements(monkeypatch, lambda: store.find(kind(Match(("Force",), {"subject": (1, 2)}))))
    filtered = _statements(monkeypatch, lambda: store.find(kind(Match(("Force",), {"subject": (1, 2)}, where=FILTER))))
    assert len(filtered) == len(bare) + 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Latest, Records, Entries])
@pytest.mark.parametrize("moment", [0, 1])
def test_write_in_between(store: DuckStore, monkeypatch: pytest.MonkeyPatch, kind: Any, moment: int) -> None:
    """What is written before or between the statements of a question, new levels and layouts too, is not half seen."""
    query = kind(Match(("Force",), where=FILTER))
    expected = store.find(query)
    assert 0 < len(expected) < 4
    original = Connection._run
    left = [moment]

    def write() -> None:
        save(store, "Force", -1.0, subject=1, trial=1)
        save(store, "Force", -2.0, subject=3, session="a", trial=1)
        save(store, "Side", 3.0, subject=2, trial=1)
        _put(store, "Side", pa.array(["L"]), {"subject": 1, "trial": 2})
        save(store, "Emg", 5.0)

    def run(self: Connection, query: str, call: Any) -> Any:
        left[0] -= 1
        if left[0] == -1:
            write()
        return original(self, query, call)

    with monkeypatch.context() as patch:
        patch.setattr(Connection, "_run", run)
        assert store.find(query) == expected
    with pytest.raises(FilterError):
        store.find(query)


def test_refusals_of_both_stores(store: DuckStore) -> None:
    """What cannot be decided is refused in the same words by both stores, whatever is wrong besides."""
    oracle = MemoryStore(KEYS)
    _fill(oracle)
    for one in (store, oracle):
        one.register(TypeInfo("None_"))
        save(one, "Emg", 3.0, '{"gain":1}', subject=2)
        _put(one, "Force", pa.array([1.5]), {"subject": 2, "session": "a"})
        entry = record("Side", [1], {}, encoding='{"kind":"table"}')
        one.write(Batch(chunks=(scalars([entry], [1]),)))
    wrong: list[Filter] = [
        VariableFilter("Emg", ">", 1),
        VariableFilter("Side", "==", "L"),
        VariableFilter("Side", "==", "L", "any"),
        VariableFilter("None_", "==", 1),
        ColumnFilter("Side", "valu", "==", 1),
        VariableFilter("Force", "==", 1, "any"),
    ]
    wrong += [other | one for one, other in itertools.pairwise(wrong)]
    for where in wrong:
        for variable in ("Force", "Emg"):
            query = Latest(Match((variable,), where=where))
            told = [_refusal(one, query) for one in (store, oracle)]
            assert told[0] == told[1]


def _refusal(store: Store, query: Latest) -> str:
    try:
        return str([entry.record_id for entry in store.find(query)])
    except FilterError as error:
        # Which of many places are named first is not the same.
        return re.sub(r"cannot be decided for .*?: ", "", str(error)) + str(error.details.get("count"))


def test_new_level(store: DuckStore) -> None:
    """A value at a level that no location had is seen at once, and by a handle that is opened later."""
    where = VariableFilter("Emg", "==", 9, "any")
    query = Latest(Match(("Force",), where=where))
    assert store.find(query) == []
    save(store, "Emg", 9.0, trial=1)  # beside those of the subjects
    assert {entry.schema["trial"] for entry in store.find(query)} == {1}
    path = store._connection.path
    store.close()
    with closing(DuckStore.open(path)) as again:
        assert len(again.find(query)) == 2


# ------------------------------------------------------------------ keys

INTEGERS: Final = st.one_of(st.integers(-12, 12), st.integers(), st.sampled_from([10**30, -(10**30), 2**53 + 1]))
FLOATS: Final = st.floats(allow_nan=False)
TIMES: Final = st.datetimes(timezones=st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=2))]))
FEW_TIMES: Final = st.builds(
    lambda second, micro, zone: dt.datetime(2024, 1, 1, 1, 0, second, micro, zone),
    st.sampled_from([0, 1]),
    st.sampled_from([0, 5, 500_000]),
    st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=1))]),
)
NUMBERS: Final = st.one_of(INTEGERS, FLOATS, st.integers(-24, 24).map(lambda number: number / 2))
KINDS: Final[dict[Any, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]]] = {
    "int": (INTEGERS, NUMBERS),
    "float": (FLOATS | st.integers(-24, 24).map(lambda number: number / 2), NUMBERS),
    "str": (st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=3),) * 2,
    "date": (st.dates(), st.dates()),
    "datetime": (FEW_TIMES | TIMES, FEW_TIMES | TIMES),
}


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(COMPARE)))
def test_keys_compare_exactly(data: st.DataObject, kind: Any, op: Any) -> None:
    """A key compares in SQL as its values do in Python, whatever their size, sign or zone; a missing one never fits."""
    key = SchemaKey("my key", kind)
    own, others = KINDS[kind]
    values = data.draw(st.lists(own.filter(_in_range), min_size=1, max_size=8))
    other = data.draw((others | st.sampled_from(values)).filter(_in_range))
    texts = [key_text(key, value) for value in values]
    known = [key_order(key_value(kind, text)) for text in texts]
    wanted = KeyFilter("my key", op, other)
    assert _holds(key, wanted, texts) == [COMPARE[wanted.op](one, key_order(wanted.value)) for one in known]  # type: ignore[arg-type]
    alike = [other, *(value for value in values if kind_of(value) == kind_of(other))]
    among = KeyInFilter("my key", tuple(data.draw(st.lists(st.sampled_from(alike), max_size=3))))
    assert _holds(key, among, texts) == [any(one == key_order(value) for value in among.values) for one in known]  # type: ignore[arg-type]


def _in_range(value: Any) -> bool:
    # In UTC, too, a time has a year.
    return not isinstance(value, dt.datetime) or dt.MINYEAR < value.year < dt.MAXYEAR


def _holds(key: SchemaKey, leaf: KeyFilter | KeyInFilter, texts: list[str]) -> list[bool]:
    test = key_condition(key, leaf)
    # In order, since what is joined may come in another one.
    [(rows,)] = duckdb.execute(
        f'SELECT list({test.text()} ORDER BY n) FROM (SELECT unnest(CAST(? AS VARCHAR[])) AS "my key", '
        "generate_subscripts(CAST(? AS VARCHAR[]), 1) AS n) s",
        [*test.parameters, [*texts, None], [*texts, None]],
    ).fetchall()
    held: list[bool] = rows
    assert held.pop() is False
    return held
