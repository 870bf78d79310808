"""Random filters over random data have one answer, or one refusal, in every store; and SQL as a filter."""

from __future__ import annotations

import math
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from scidb.exceptions import FilterError, QueryError, SciDBError, UnsupportedOperationError
from scidb.filters import (
    ColumnFilter,
    CompoundFilter,
    InFilter,
    KeyFilter,
    KeyInFilter,
    MissingFilter,
    NotFilter,
    RawFilter,
    VariableFilter,
)
from scidb.store.duck.store import DuckStore
from scidb.store.memory import MemoryStore
from scidb.store.model import Batch, Chunk, Entries, Latest, Match, Records, TypeInfo
from scidb.store.wrap import ReadOnly
from scidb.testing.store_suite.samples import KEYS, Clock, record, save

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scidb.filters import Filter
    from scidb.store.model import Query, Record
    from scidb.store.protocol import Store

BIG: Final = 2**53
NUMBERS: Final = [0, 1, BIG, BIG + 1, -1, 0.5, 1.0, float(BIG), -0.0, math.inf, -math.inf, 10**30]
KINDS: Final[dict[str, tuple[pa.DataType, list[Any]]]] = {
    "float": (pa.float64(), [0.5, 1.0, float(BIG), math.nan, None, math.inf, -0.0]),
    "float32": (pa.float32(), [0.5, 1.0, math.nan, None]),
    "int": (pa.int64(), [0, 1, BIG + 1, -BIG - 1, None]),
    "small": (pa.uint8(), [0, 1, 255]),
    "text": (pa.string(), ["a", "B", "", None]),
    "bool": (pa.bool_(), [True, False, None]),
    "rows": (pa.list_(pa.float64()), [[0.5], [0.5, 1.0], [], [math.nan, 1.0], [None], [1.0]]),
}
VARIABLES: Final = ("Target", "Side", "Speed")
# Few kinds in one database, else most filters would be refused for their type.
WORLDS: Final = [
    ("float", "float32", "int", "small"),
    ("text",),
    ("rows", "float"),
    ("float", "bool", "text"),
    ("int",),
]


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, str, Any, dict[str, Any], str]]:
    """Draw values in the order of saving, many of them where they cover others."""
    kinds = draw(st.sampled_from(WORLDS))
    places = [{}, {"subject": 1}, {"subject": 2}, {"subject": 1, "trial": 1}, {"subject": 2, "trial": 1}, {"trial": 1}]
    weights = [[0], [1, 2], [3, 4], [1, 2, 3], [0, 5], [1, 2], [1]]
    saved = []
    for variable in VARIABLES:
        for number in draw(st.sampled_from(weights)):
            kind = draw(st.sampled_from(kinds))
            saved.append((variable, kind, draw(st.sampled_from(KINDS[kind][1])), places[number], "{}"))
    for _ in range(draw(st.integers(0, 3))):
        variable, kind, _, place, _ = draw(st.sampled_from(saved))
        version = draw(st.sampled_from(["{}", "{}", '{"gain":1}']))
        saved.append((variable, kind, draw(st.sampled_from(KINDS[kind][1])), place, version))
    return draw(st.permutations(saved))


VALUES: Final = st.sampled_from([*NUMBERS, *NUMBERS, "a", "B", True, False])
OPS: Final[st.SearchStrategy[Any]] = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
REDUCED: Final[st.SearchStrategy[Any]] = st.sampled_from([None, "any", "all"])
NAMES: Final = st.sampled_from(VARIABLES)
LISTS: Final = st.lists(st.sampled_from(NUMBERS), max_size=3) | st.lists(st.sampled_from(["a", "B"]))
# Mostly whichever there is; of the others, most have no value at some place.
VERSIONS: Final[st.SearchStrategy[Any]] = st.sampled_from([
    (), (), (), (("gain", (None,)),), (("gain", ("1",)),), (("gain", (None, "1")),), (("gain", ("2",)),),
])  # fmt: skip
LEAVES: Final[st.SearchStrategy[Filter]] = st.one_of(
    st.builds(VariableFilter, NAMES, OPS, VALUES, REDUCED, VERSIONS),
    st.builds(ColumnFilter, NAMES, st.sampled_from(["value", "value", "Value"]), OPS, VALUES, REDUCED, VERSIONS),
    st.builds(InFilter, NAMES, st.none(), LISTS, REDUCED, VERSIONS),
    st.builds(MissingFilter, NAMES, st.none(), missing=st.booleans(), version=VERSIONS),
    st.builds(KeyFilter, st.just("subject"), OPS, st.sampled_from([1, 1.5, 2, BIG])),
    st.builds(KeyInFilter, st.just("trial"), st.lists(st.sampled_from([1, 2.5]))),
)
TREES: Final = st.recursive(
    LEAVES,
    lambda inner: st.builds(CompoundFilter, st.sampled_from(["AND", "OR"]), inner, inner) | st.builds(NotFilter, inner),
    max_leaves=3,
)


def _told(store: Store, query: Query[Record]) -> object:
    """Return what a store answers, or the class of its refusal."""
    try:
        found = store.find(query)
    except SciDBError as error:
        return type(error)
    fetched = [entry for chunk in store.fetch(query) for entry in chunk.records]
    assert fetched == found
    return found


def _compare(history: list[tuple[str, str, Any, dict[str, Any], str]], trees: list[Filter], at: int) -> None:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        stores: list[Store] = [MemoryStore(KEYS, clock=clock)]
        stores.append(DuckStore.open(Path(folder, "study.duckdb"), KEYS, clock=clock))
        with closing(stores[1]):
            stamps = [_save_all(store, history) for store in stores]
            for where in trees:
                for as_of in (None, at % len(history)):
                    told = []
                    for store, times in zip(stores, stamps, strict=True):
                        match = Match(("Target",), where=where, as_of=None if as_of is None else times[as_of])
                        told.append([_plain(_told(store, one), times) for one in _queries(match)])
                    assert told[0] == told[1]
                    event(str(told[0][0]) if isinstance(told[0][0], type) else "answered")


def _queries(match: Match) -> list[Query[Record]]:
    return [Latest(match), Records(match), Entries(match, 2)]


def _save_all(store: Store, history: list[tuple[str, str, Any, dict[str, Any], str]]) -> list[str]:
    for name in VARIABLES:
        store.register(TypeInfo(name))
    stamps = []
    for variable, kind, value, place, version in history:
        entry = record(variable, value, place, version, encoding=f'{{"kind":"{kind}"}}')
        [stored] = store.write(Batch(chunks=(Chunk((entry,), pa.table({"value": pa.array([value], KINDS[kind][0])})),)))
        stamps.append(stored.timestamp)
    return stamps


def _plain(told: object, times: list[str]) -> object:
    """Return an answer with the numbers of the writes for their times, which a store counts itself."""
    if isinstance(told, list):
        return [(entry.record_id, times.index(entry.timestamp)) for entry in told]
    return told


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.lists(TREES, min_size=2, max_size=5), st.integers(0, 20))
def test_stores_agree(history: Any, trees: list[Filter], at: int) -> None:
    """Any filter over any history leaves the same records in both stores, or is refused by the same class."""
    _compare(history, trees, at)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.lists(TREES, min_size=3, max_size=8), st.integers(0, 20))
def test_stores_agree_at_length(history: Any, trees: list[Filter], at: int) -> None:
    """The same, many times over."""
    _compare(history, trees, at)


# ------------------------------------------------------------------ SQL


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    with closing(_four_subjects(tmp_path)) as store:
        yield store


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckStore]:
    """Return a store for all tests that leave it as it is."""
    with closing(_four_subjects(tmp_path_factory.mktemp("one"))) as store:
        yield store


def _four_subjects(folder: Path) -> DuckStore:
    store = DuckStore.open(folder / "study.duckdb", KEYS)
    for name in ("Force", "Emg"):
        store.register(TypeInfo(name))
    for subject in (1, 2, 3, 4):
        save(store, "Force", subject + 0.5, subject=subject)
    return store


def _subjects(store: Store, where: Filter, **conditions: Any) -> list[Any]:
    match = Match(**{"variables": ("Force",), "where": where, **conditions})
    return [entry.schema["subject"] for entry in store.find(Latest(match))]


def test_sql(store: DuckStore) -> None:
    """A condition in SQL sees the keys and the value; what is NULL is false, and its negation true."""
    where = RawFilter("subject > 2 AND value > 2")
    assert _subjects(store, where) == [3, 4]
    assert _subjects(ReadOnly(store), where) == [3, 4]
    assert _subjects(store, where & KeyFilter("subject", "<", 4)) == [3]
    assert _subjects(store, where, schema={"subject": (1, 3)}) == [3]
    unknown = RawFilter("CASE WHEN subject = 1 THEN NULL ELSE subject = 2 END -- a comment")
    assert _subjects(store, unknown) == [2]
    assert _subjects(store, ~unknown) == [1, 3, 4]


def test_sql_over_versions(store: DuckStore) -> None:
    """Records of one place of which only some fulfil a condition are refused, until one version is asked for."""
    save(store, "Force", 9.0, '{"gain":1}', subject=1)
    where = RawFilter("value > 3")
    with pytest.raises(FilterError, match="subject=1"):
        _subjects(store, where)
    assert _subjects(store, where, version={"gain": ("1",)}) == [1]
    assert _subjects(store, where, version={"gain": (None,)}) == [3, 4]


def test_sql_about_the_past(store: DuckStore) -> None:
    """Views show the present, so a condition in SQL is refused as of a former instant, and for what was superseded."""
    old = store.find(Latest(Match(schema={"subject": (1,)})))[0]
    with pytest.raises(FilterError, match="past"):
        _subjects(store, RawFilter("TRUE"), as_of=old.timestamp)
    save(store, "Force", 0.0, subject=1)
    with pytest.raises(FilterError, match="newest"):
        store.find(Entries(Match(("Force",), record_ids=(old.record_id,), where=RawFilter("TRUE"))))


@pytest.mark.parametrize(
    "sql",
    [
        "", "TRUE) OR (TRUE", "TRUE; DROP VIEW Force", "value IN (SELECT 1 FROM read_csv('/etc/passwd'))", "valeu > 1",
        "value >", "getenv('HOME') = 'x'", "value > ?", "value = 'abc'", "TRUE) FROM Force; DELETE FROM _records; --(",
        "subject", "value", "'true'", "CAST(NULL AS INTEGER) + subject", "NULL",
        "value IN (SELECT size FROM read_text('/etc/passwd'))", "nextval('x') > 0", "TRUE /*",
    ],
)  # fmt: skip
def test_sql_that_is_no_condition(one_store: DuckStore, sql: str) -> None:
    """SQL that fails, writes, or reaches outside the database is refused in our own words, and changes nothing."""
    before = one_store.find(Entries())
    with pytest.raises(QueryError):
        _subjects(one_store, RawFilter(sql))
    assert one_store.find(Entries()) == before


def test_sql_about_several_variables(one_store: DuckStore) -> None:
    """A condition in SQL is about the view of one variable."""
    for variables in (None, ("Force", "Emg"), ("Other",)):
        with pytest.raises(FilterError, match="one variable"):
            _subjects(one_store, RawFilter("TRUE"), variables=variables)
    assert _subjects(one_store, RawFilter("TRUE"), variables=("Emg",)) == []


def test_sql_in_memory() -> None:
    """The memory store knows no SQL, and says so."""
    store = MemoryStore(KEYS)
    store.register(TypeInfo("Force"))
    with pytest.raises(UnsupportedOperationError, match="raw_sql"):
        _subjects(store, RawFilter("TRUE"))
