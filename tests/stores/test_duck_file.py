"""What a DuckDB file promises besides the protocol: other clients, other processes, damage, and few statements."""

from __future__ import annotations

import hashlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from scidb.exceptions import (
    CorruptDatabaseError,
    FormatVersionError,
    QueryError,
    SchemaKeyError,
    StorageError,
    UnsupportedOperationError,
    UnsupportedValueError,
)
from scidb.hashing.ids import chain_link, line_digest
from scidb.store import open_store
from scidb.store.duck import DuckStore
from scidb.store.duck.tables import TABLES
from scidb.store.model import Batch, Chunk, Entries, KeyAdded, Latest, Match, Record, SchemaKey, TypeInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from scidb.store.model import KeyValue

KEYS = (SchemaKey("subject", "int"), SchemaKey("session", "str"), SchemaKey("trial", "int"))


@pytest.fixture(autouse=True)
def files_are_copied() -> None:
    """Make each file as for a user, since the making is what is tested here."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "study.duckdb"


@pytest.fixture
def store(path: Path) -> Iterator[DuckStore]:
    with closing(DuckStore.open(path, KEYS)) as store:
        store.register(TypeInfo("StepLength"))
        yield store


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckStore]:
    """Return a store for all tests that leave it as it is."""
    with closing(DuckStore.open(tmp_path_factory.mktemp("one") / "study.duckdb", KEYS)) as store:
        store.register(TypeInfo("StepLength"))
        yield store


def _record(value: object, seq: int = 0, encoding: str = "{}", **schema: KeyValue) -> Record:
    digest = hashlib.sha256(repr((value, schema)).encode()).hexdigest()
    return Record(digest, "StepLength", schema, "{}", digest, 1, encoding, 8, seq=seq)


def _save(store: Any, values: Mapping[int, object], kind: pa.DataType | None = None) -> list[Record]:
    """Save one value for each subject."""
    entries = tuple(_record(value, seq, subject=subject) for seq, (subject, value) in enumerate(values.items()))
    table = pa.table({"value": pa.array(list(values.values()), kind)})
    stored: list[Record] = store.write(Batch(chunks=(Chunk(entries, table),)))
    return stored


def _plain(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect(path, read_only=True)) as connection:
        return connection.execute(query).fetchall()


def _values(store: DuckStore) -> list[object]:
    tables = [chunk.table for chunk in store.fetch(Latest())]
    return [value for table in tables if table is not None for value in table.column(0).to_pylist()]


# ------------------------------------------------------------------ views


def test_any_client_reads_the_view(store: DuckStore, path: Path) -> None:
    """A plain DuckDB client sees the latest value per location under the names of keys and variable."""
    _save(store, {1: 1.0, 2: 3.0})
    _save(store, {1: 2.0})
    store.close()
    assert _plain(path, "SELECT subject, avg(value) FROM StepLength GROUP BY subject ORDER BY subject") == [
        (1, 2.0),
        (2, 3.0),
    ]


def test_arrays_are_lists_and_rows(store: DuckStore, path: Path) -> None:
    """Arrays are lists in one view and rows in the other; an empty one is an empty list."""
    _save(store, {1: [0.5, 1.5], 2: []}, pa.list_(pa.float64()))
    store.close()
    assert _plain(path, "SELECT subject, value FROM StepLength ORDER BY 1") == [(1, [0.5, 1.5]), (2, [])]
    assert _plain(path, 'SELECT subject, "row", value FROM StepLength__rows ORDER BY 1, 2') == [
        (1, 0, 0.5),
        (1, 1, 1.5),
    ]


def test_layouts_unify_only_without_loss(store: DuckStore, path: Path) -> None:
    """Floats of two widths share a column; whole numbers of 64 bits and floats do not (V1, A10)."""
    _save(store, {1: 0.5}, pa.float32())
    _save(store, {2: 1.5}, pa.float64())
    _save(store, {3: 2**60 + 1}, pa.int64())
    _save(store, {4: [1, 2]}, pa.list_(pa.int64()))
    store.close()
    assert _plain(path, "SELECT subject, value, value_3, value_4 FROM StepLength ORDER BY 1") == [
        (1, 0.5, None, None),
        (2, 1.5, None, None),
        (3, None, 2**60 + 1, None),
        (4, None, None, [1, 2]),
    ]
    assert [row[0] for row in _plain(path, "SELECT layout FROM _records ORDER BY record_no")] == [
        "StepLength_data",
        "StepLength_data_2",
        "StepLength_data_3",
        "StepLength_data_4",
    ]


def test_view_shows_every_integer(store: DuckStore, path: Path) -> None:
    """A key's integer shows in the views whatever its size: as text only where no integer type has room (A1)."""
    expected: list[int] = []
    for subject, kind in ((7, "BIGINT"), (-(2**63) - 1, "HUGEINT"), (2**64, "HUGEINT"), (10**50, "VARCHAR")):
        _save(store, {subject: 1.0})
        expected.append(subject)
        rows = store.sql("SELECT CAST(subject AS VARCHAR) AS s, typeof(subject) AS t FROM StepLength").to_pylist()
        assert {int(row["s"]) for row in rows} == set(expected)
        assert {row["t"] for row in rows} == {kind}
    store.close()
    with closing(DuckStore.open(path)) as reopened:
        reopened.register(TypeInfo("Other"))
        _save(reopened, {1: [2.0]}, pa.list_(pa.float64()))
    assert {int(row[0]) for row in _plain(path, "SELECT subject FROM StepLength")} == {*expected, 1}


def test_view_has_a_new_key(store: DuckStore, path: Path) -> None:
    """A schema key that is added shows in the views, empty for what was there (A11)."""
    _save(store, {1: 1.0})
    store.write(Batch(events=(KeyAdded(SchemaKey("value", "str"), after="subject"),)))
    store.close()
    assert _plain(path, 'SELECT subject, "value", value_2 FROM StepLength') == [(1, None, 1.0)]


def test_zero_beside_negative_zeros_keeps_its_sign(store: DuckStore, path: Path) -> None:
    """0.0 among values of -0.0, with which a checkpoint merges it, does not become one (V8)."""
    rows = [[-0.0] * 3000 + [0.0] * 3000, [-0.0, 0.0], [-0.0] * 20 + [0.0]]
    _save(store, dict(enumerate(rows)), pa.list_(pa.float64()))
    store.close()
    with closing(DuckStore.open(path)) as reopened:
        assert repr(_values(reopened)) == repr(rows)


def test_negative_zero_survives_compression(store: DuckStore, path: Path) -> None:
    """-0.0 stays apart from 0.0 after a checkpoint, which merges equal numbers (V8)."""
    column = [[0.0, -0.0] * 3000, [-0.0] * 2000 + [0.0], [0.0, None]]
    _save(store, dict(enumerate(column)), pa.list_(pa.float64()))
    _save(store, {7: -0.0})
    store.close()
    with closing(DuckStore.open(path)) as reopened:
        assert repr(_values(reopened)) == repr([*column, -0.0])


def test_view_of_many_layouts(store: DuckStore, path: Path) -> None:
    """The view of a variable names each column of each layout once, so that it grows with their sum."""
    for number in range(12):
        table = pa.table({f"c{number}": [float(number)], f"d{number}": [0.5]})
        store.write(Batch(chunks=(Chunk((_record(number, subject=number),), table),)))
    store.close()
    [(view,)] = _plain(path, "SELECT sql FROM duckdb_views() WHERE view_name = 'StepLength'")
    assert len(view) < 5_000
    assert _plain(path, "SELECT c0, c11, d11 FROM StepLength WHERE subject = 11") == [(None, 11.0, 0.5)]


def test_all_tables_are_there(store: DuckStore, path: Path) -> None:
    """A new file has every table of the format from the beginning."""
    store.close()
    names = {row[0] for row in _plain(path, "SELECT table_name FROM duckdb_tables()")}
    assert names == set(TABLES)


def test_chain_vouches_for_the_log(store: DuckStore, path: Path) -> None:
    """Each line's digest follows from the line and the one before."""
    _save(store, {1: 1.0, 2: 2.0})
    _save(store, {1: 1.5})
    store.close()
    rows = _plain(
        path,
        "SELECT m.*, s.subject FROM _record_metadata m JOIN _schema s USING (schema_id) ORDER BY timestamp, seq",
    )
    chain = ""
    for row in rows:
        names = ("record_id", "timestamp", "variable_name", "schema_id", "version_keys", "content_hash")
        line = dict(zip(names, row, strict=False))
        said = [line["record_id"], line["timestamp"], "StepLength", {"subject": row[17]}, "{}", line["content_hash"]]
        chain = chain_link(chain, line_digest([*said, None, 1, None, row[9], None, None, None, None]))
        assert row[15] == chain


# ------------------------------------------------------------------ opening


def test_new_file_needs_keys(path: Path) -> None:
    """Without keys no file is made, and the error says what to pass."""
    with pytest.raises(SchemaKeyError, match="schema_keys="):
        DuckStore.open(path)
    assert not path.exists()


@pytest.mark.parametrize("keys", [KEYS[::-1], KEYS[:2], (SchemaKey("subject"), SchemaKey("day"))])
def test_other_keys(store: DuckStore, path: Path, keys: Sequence[SchemaKey]) -> None:
    """Other keys, or another order, are refused with both lists and what to do."""
    store.close()
    with pytest.raises(SchemaKeyError, match=r"'session'.*leave them out") as caught:
        DuckStore.open(path, keys)
    assert caught.value.given == [key.name for key in keys]


@pytest.mark.parametrize("names", [["subject", "Subject"], ["timestamp"], [""], ["schema_id"]])
def test_keys_that_cannot_be(path: Path, names: list[str]) -> None:
    """Keys that would clash with each other or with our columns are refused, and no file is left."""
    with pytest.raises(SchemaKeyError):
        DuckStore.open(path, [SchemaKey(name) for name in names])
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not a database" * 1000, b"SQLite format 3\x00" + b"\x00" * 5000])
def test_not_a_database(path: Path, content: bytes) -> None:
    """A file that is not a database is refused and left as it is."""
    path.write_bytes(content)
    with pytest.raises(CorruptDatabaseError, match="left as it is"):
        DuckStore.open(path, KEYS)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_somebody_elses_database(path: Path) -> None:
    """A DuckDB file without our tables is refused and left as it is."""
    with closing(duckdb.connect(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS a").fetchall()
    before = path.read_bytes()
    with pytest.raises(CorruptDatabaseError, match="without the tables of SciDB"):
        DuckStore.open(path, KEYS)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("version", "way"), [(99, "Install a newer SciDB"), (1, "make it anew")])
def test_another_format(store: DuckStore, path: Path, version: int, way: str) -> None:
    """A file of a later format, or of one before the first release, is refused."""
    store.close()
    with closing(duckdb.connect(path)) as connection:
        connection.execute("UPDATE _format SET format_version = ?", [version]).fetchall()
    with pytest.raises(FormatVersionError, match=f"version {version} .*{way}"):
        DuckStore.open(path)


def test_paths_that_cannot_be_files(tmp_path: Path) -> None:
    """A folder, a folder that is missing and a missing file to read are storage errors."""
    for path, read_only in ((tmp_path, False), (tmp_path / "no" / "a.duckdb", False), (tmp_path / "a", True)):
        with pytest.raises(StorageError):
            DuckStore.open(path, KEYS, read_only=read_only)


def test_failed_creation_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A creation that fails in the middle leaves no file behind."""
    monkeypatch.setattr("scidb.store.duck.opening.create_all", lambda keys: ["CREATE TABLE a (b INTEGER)", "nonsense"])
    with pytest.raises(StorageError):
        DuckStore.open(path, KEYS)
    assert list(path.parent.iterdir()) == []


def test_read_only(store: DuckStore, path: Path) -> None:
    """A store that was opened read-only reads, and refuses to write."""
    _save(store, {1: 1.0})
    store.close()
    with closing(DuckStore.open(path, read_only=True)) as reader:
        assert reader.describe().read_only
        assert _values(reader) == [1.0]
        with pytest.raises(StorageError, match="read-only"):
            _save(reader, {2: 1.0})
        with pytest.raises(StorageError, match="read-only"):
            reader.register(TypeInfo("Other"))
        assert list(path.parent.iterdir()) == [path]


# ------------------------------------------------------------------ handles


def test_one_connection_for_two_handles(path: Path) -> None:
    """Opening a file twice in one process shares it; the last handle closes it."""
    first = open_store(path, KEYS)
    first.register(TypeInfo("StepLength"))
    second = open_store(f"file:{path}")
    _save(first, {1: 1.0})
    assert len(second.find(Latest())) == 1
    with pytest.raises(SchemaKeyError):
        open_store(path, KEYS[:1])
    reader = open_store(path, read_only=True)
    with pytest.raises(StorageError):
        reader.register(TypeInfo("Other"))
    first.close()
    first.close()
    reader.close()
    with pytest.raises(StorageError, match="closed"):
        first.find(Latest())
    assert len(second.find(Latest())) == 1
    second.close()
    assert list(path.parent.iterdir()) == [path]


def test_unknown_scheme() -> None:
    """A target that no store opens is refused with the known ones."""
    with pytest.raises(UnsupportedOperationError, match="known are file, http, https, memory"):
        open_store("ftp://lab:8765")


# ------------------------------------------------------------------ refused writes


def test_lists_of_unequal_length(store: DuckStore) -> None:
    """List columns that disagree within a row, and missing lists, are refused; nothing is stored."""
    entry = _record("x", subject=1)
    for table in (pa.table({"a": [[1, 2]], "b": [[1]]}), pa.table({"a": pa.array([None], pa.list_(pa.int64()))})):
        with pytest.raises(UnsupportedValueError):
            store.write(Batch(chunks=(Chunk((entry,), table),)))
    assert store.find(Entries()) == []


# ------------------------------------------------------------------ statements are counted, not timed


def test_statements_of_a_single_save(store: DuckStore, statements: list[str]) -> None:
    """One value is a look-up and an insert per table, at a new place two statements more."""
    _save(store, {1: 1.0})
    statements.clear()
    _save(store, {1: 2.0})
    assert len(statements) <= 6
    statements.clear()
    _save(store, {2: 2.0})
    assert len(statements) <= 8


def test_statements_of_a_batch(store: DuckStore, statements: list[str]) -> None:
    """Two thousand values take as many statements as one."""
    _save(store, {0: 0.0})
    statements.clear()
    _save(store, {subject: float(subject) for subject in range(1, 2001)})
    assert len(statements) <= 8
    statements.clear()
    assert len(_values(store)) == 2001
    # The log, the locations, how values are stored, and the values: to join them takes longer.
    assert len(statements) <= 4


def test_statements_of_a_load(store: DuckStore, statements: list[str]) -> None:
    """What this process has written at a place is found without a statement, and loaded with one."""
    _save(store, {1: 1.0})
    statements.clear()
    place: dict[str, tuple[KeyValue | None, ...]] = {"subject": (1,), "session": (None,), "trial": (None,)}
    query = Latest(Match(variables=("StepLength",), schema=place))
    assert len(store.find(query)) == 1
    assert statements == []
    [chunk] = store.fetch(query)
    assert chunk.table is not None
    assert chunk.table.column(0).to_pylist() == [1.0]
    assert len(statements) == 1


def test_remembered_place_after_reopening(store: DuckStore, path: Path) -> None:
    """A place is asked for once and then remembered, and later saves there are seen."""
    _save(store, {1: 1.0})
    store.close()
    place: dict[str, tuple[KeyValue | None, ...]] = {"subject": (1,), "session": (None,), "trial": (None,)}
    query = Latest(Match(variables=("StepLength",), schema=place))
    with closing(DuckStore.open(path)) as reopened:
        first = reopened.find(query)
        assert reopened.find(query) == first
        [newest] = _save(reopened, {1: 2.0})
        assert reopened.find(query) == [newest]


# ------------------------------------------------------------------ SQL


def test_sql(store: DuckStore) -> None:
    """One SELECT, with parameters, over the views."""
    _save(store, {1: 1.0, 2: 3.0})
    assert store.sql("SELECT avg(value) AS mean FROM StepLength").to_pylist() == [{"mean": 2.0}]
    assert store.sql("SELECT value FROM StepLength WHERE subject = ?", [2]).column(0).to_pylist() == [3.0]
    assert store.sql("FROM StepLength ORDER BY subject").num_rows == 2


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT 1; SELECT 2",
        "DROP TABLE _records",
        "INSERT INTO _tags VALUES ('a', 'b', 'c')",
        "WITH a AS (INSERT INTO _tags VALUES ('a', 'b', 'c') RETURNING tag) SELECT * FROM a",
        "SET threads = 1",
        "ATTACH ':memory:' AS other",
        "COPY _records TO 'out.csv'",
        "SELECT * FROM read_csv('/etc/hostname')",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/*')",
        "FROM '/etc/hostname'",
        "SELECT * FROM 'https://example.org/a.parquet'",
        "SELECT nothing FROM StepLength",
        "SELEC 1",
        "LOAD httpfs",
    ],
)
def test_sql_that_is_refused(one_store: DuckStore, query: str) -> None:
    """Nothing but one SELECT inside the database runs (N8), and the handle goes on."""
    _save(one_store, {1: 1.0})
    with pytest.raises(QueryError):
        one_store.sql(query)
    assert one_store.sql("SELECT count(*) FROM _tags").column(0).to_pylist() == [0]
    _save(one_store, {2: 2.0})


def test_sql_with_lone_surrogates(store: DuckStore) -> None:
    """Text that is not Unicode is refused in a query and in its parameters."""
    for query, parameters in (("SELECT '\ud800'", []), ("SELECT ?", ["\ud800"])):
        with pytest.raises(QueryError, match="surrogates"):
            store.sql(query, parameters)
    _save(store, {1: 1.0})


def test_sql_does_not_see_python(store: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query never reads variables of the process."""
    monkeypatch.setattr("scidb.store.duck.connection.secrets", pa.table({"a": [1]}), raising=False)
    with pytest.raises(QueryError, match="secrets"):
        store.sql("SELECT * FROM secrets")
