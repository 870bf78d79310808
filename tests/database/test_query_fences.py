"""What ``db.query`` refuses: writing, reaching outside, changing settings, and crashing DuckDB."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pandas as pd
import pytest
from tests.net.serving import served_file

import scidb
from scidb import BaseVariable, DatabaseManager
from scidb.exceptions import QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Reach(BaseVariable): ...


class Sway(BaseVariable): ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fences")
    (folder / "x.csv").write_text("a,b\n1,2\n")
    (folder / "schema.sql").write_text("SELECT 'secret';")
    (folder / "load.sql").write_text("")
    with duckdb.connect(folder / "other.duckdb") as other:
        other.execute("CREATE TABLE t AS SELECT 1 AS a")
        other.execute(f"COPY t TO '{folder}/x.parquet'")
    return folder


@pytest.fixture(scope="module", params=["duck", "http"])
def db(request: pytest.FixtureRequest, folder: Path) -> Iterator[DatabaseManager]:
    file = folder / ("study.duckdb" if request.param == "duck" else "served.duckdb")
    with scidb.open(served_file(request, file, subject="int"), {"subject": int}) as db:
        for subject in range(3):
            Reach.save(float(subject), subject=subject, db=db)
            Sway.save(np.arange(2.0) + subject, subject=subject, db=db)
        yield db


WRITES = """
INSERT INTO Reach_data VALUES (9, 9)
UPDATE Reach_data SET value = 3
DELETE FROM Reach_data
TRUNCATE Reach_data
MERGE INTO Reach_data USING Reach_data x ON true WHEN MATCHED THEN DELETE
CREATE TABLE t (a INT)
CREATE TEMP TABLE t (a INT)
CREATE VIEW t AS SELECT 1
CREATE TEMP MACRO f(x) AS x + 1
CREATE SEQUENCE s
CREATE TYPE q AS ENUM ('a')
CREATE SECRET q (TYPE s3)
DROP VIEW Reach
ALTER TABLE Reach_data RENAME TO z
COMMENT ON VIEW Reach IS 'x'
WITH x AS (INSERT INTO Reach_data VALUES (9, 9) RETURNING *) SELECT * FROM x
WITH x AS (DELETE FROM Reach_data RETURNING *) FROM x
WITH x AS (SELECT 1) INSERT INTO Reach_data SELECT 9, 9
EXPLAIN INSERT INTO Reach_data VALUES (9, 9)
EXPLAIN ANALYZE INSERT INTO Reach_data VALUES (9, 9)
EXPLAIN (ANALYZE, FORMAT json) INSERT INTO Reach_data VALUES (9, 9)
EXPLAIN (FORMAT json) DELETE FROM Reach_data
explain /* ( */ analyze delete FROM Reach_data
EXPLAIN
EXPLAIN (
(
/* open
SELECT 'open
EXPLAIN (VERBOSE) SELECT 1
EXPLAIN ANALYZE WITH x AS (DELETE FROM Reach_data RETURNING *) SELECT * FROM x
DESCRIBE INSERT INTO Reach_data VALUES (9, 9)
SELECT 1; SELECT 2
SELECT 1; DROP VIEW Reach
SELECT 1;; DROP VIEW Reach
CREATE TEMP TYPE q AS ENUM ('a'); SELECT 1 AS pivot
BEGIN
COMMIT
ROLLBACK
PREPARE q AS SELECT 1
EXECUTE q
DEALLOCATE q
CHECKPOINT
FORCE CHECKPOINT
VACUUM
ANALYZE
SELECT * FROM checkpoint()
SELECT * FROM force_checkpoint()
-- nothing
;
""".strip().split("\n")

SETTINGS = """
SET threads = 1
SET GLOBAL enable_external_access = true
SET VARIABLE x = 1
RESET threads
USE memory
PRAGMA enable_profiling
PRAGMA database_list
CALL pragma_version()
CALL enable_logging()
SELECT * FROM enable_logging()
FROM "enable_profiling"()
FROM "Enable_Logging" /* x */ ()
FROM enable_logging -- (
 ()
SELECT * FROM disable_logging()
SELECT * FROM truncate_duckdb_logs()
SELECT write_log('x')
SELECT 'x'.write_log()
SELECT * FROM query('SELECT * FROM enable_logging()')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM enable_logging()'))
""".strip().replace("\n ()", "\v ()").split("\n")  # fmt: skip

OUTSIDE = """
COPY Reach_data TO '{folder}/out.csv'
COPY (SELECT 1) TO '{folder}/out.csv'
COPY Reach_data FROM '{folder}/x.csv'
EXPLAIN ANALYZE COPY (SELECT 1) TO '{folder}/out.csv'
EXPORT DATABASE '{folder}/out'
IMPORT DATABASE '{folder}'
ATTACH '{folder}/other.duckdb'
EXPLAIN ATTACH '{folder}/other.duckdb'
DETACH study
INSTALL httpfs
FORCE INSTALL httpfs
LOAD httpfs
SELECT * FROM read_csv('{folder}/x.csv')
SELECT * FROM read_csv_auto('{folder}/x.csv')
SELECT * FROM read_parquet('{folder}/x.parquet')
SELECT * FROM parquet_scan('{folder}/x.parquet')
SELECT * FROM parquet_metadata('{folder}/x.parquet')
SELECT * FROM read_json('{folder}/x.csv')
SELECT * FROM read_ndjson_objects('{folder}/x.csv')
SELECT * FROM read_text('{folder}/x.csv')
SELECT * FROM read_blob('{folder}/x.csv')
SELECT * FROM read_blob('{folder}/study.duckdb')
SELECT * FROM Main."READ_BLOB" /* x */ ('{folder}/study.duckdb')
SELECT * FROM read_duckdb('{folder}/other.duckdb')
SELECT * FROM glob('{folder}/*')
SELECT * FROM sniff_csv('{folder}/x.csv')
SELECT * FROM sqlite_scan('{folder}/x.csv', 't')
SELECT * FROM '{folder}/x.csv'
SELECT * FROM "{folder}/x.csv"
SELECT * FROM '{folder}/other.duckdb'
SELECT * FROM '{folder}/study.duckdb'
SELECT * FROM 'https://example.com/a.csv'
SELECT * FROM read_csv('https://example.com/a.csv')
SELECT * FROM read_parquet('s3://bucket/a.parquet')
SELECT * FROM query('FROM ''{folder}/x.csv''')
SELECT * FROM query('COPY Reach TO ''{folder}/out.csv''')
SELECT * FROM query_table('{folder}/x.csv')
DESCRIBE '{folder}/x.csv'
SUMMARIZE '{folder}/x.csv'
EXPLAIN SELECT * FROM '{folder}/x.csv'
SELECT getenv('HOME')
SELECT * FROM duckdb_secrets()
SELECT * FROM caller_frame
SELECT * FROM arrow_scan(1, 2, 3)
""".strip().split("\n")


@pytest.mark.parametrize("query", [*WRITES, *SETTINGS, *OUTSIDE])
def test_refused(db: DatabaseManager, folder: Path, query: str) -> None:
    """What does more than read this database raises QueryError and changes nothing."""
    caller_frame = pd.DataFrame({"a": [1]})  # which DuckDB would find by its name
    files = sorted(folder.iterdir())
    settings = _settings(db)
    with pytest.raises(QueryError):
        db.query(query.replace("{folder}", str(folder)).replace("\v", "\n"))
    assert len(caller_frame) == 1
    assert sorted(folder.iterdir()) == files
    assert _settings(db) == settings
    rows = db.query("SELECT subject, value FROM Reach ORDER BY subject").to_arrow().to_pylist()
    assert rows == [{"subject": subject, "value": float(subject)} for subject in range(3)]


def _settings(db: DatabaseManager) -> list[object]:
    listed: list[object] = db.query("SELECT name, value FROM duckdb_settings() ORDER BY ALL").to_arrow().to_pylist()
    return listed


@pytest.mark.parametrize("query", ["DROP VIEW Reach", "SELECT 1; SELECT 2", "", "SELECT * FROM read_csv('x.csv')"])
def test_refusal_says_what_is_allowed(db: DatabaseManager, query: str) -> None:
    """Who is refused learns what may be asked, and how data are changed."""
    with pytest.raises(QueryError, match=r"Allowed is one statement that reads: SELECT.*saving only"):
        db.query(query)


@pytest.mark.parametrize(
    ("before", "after"),
    [("(", ")"), ("[", "]"), ("(SELECT * FROM ", ")"), ("not ", ""), ("1 + ", ""), ("abs(", ")"), ("CASE WHEN ", "")],
)
def test_deep_nesting(db: DatabaseManager, before: str, after: str) -> None:
    """A query nested beyond all reason does not take the process down."""
    for times in (5_000, 12_000):
        with suppress(QueryError):  # some of it means something
            db.query(("SELECT " + before * times + "1" + after * times)[:100_000])
    with pytest.raises(QueryError, match="longer than 100,000"):
        db.query("SELECT " + before * 1_000_000 + "1" + after * 1_000_000)
    assert len(db.query("FROM Reach")) == 3


def test_endless_recursion_of_lists(db: DatabaseManager) -> None:
    """A result that no table holds is refused."""
    with pytest.raises(QueryError, match="shown as a table"):
        db.query("SELECT " + "[" * 100 + "1" + "]" * 100)


@pytest.mark.parametrize(
    "query",
    [
        "WITH a AS (SELECT * FROM Reach) SELECT count(*) FROM a",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT sum(n) FROM t",
        "SELECT subject, row_number() OVER (ORDER BY value) FROM Reach QUALIFY row_number() OVER (ORDER BY value) = 1",
        "SELECT subject, unnest(value) FROM Sway",
        "SELECT Reach.*, Sway.value FROM Reach JOIN Sway USING (subject);",
        "SELECT * FROM Reach ASOF JOIN Sway ON Reach.subject >= Sway.subject",
        "SELECT * EXCLUDE (timestamp) FROM Reach",
        "SELECT COLUMNS('val.*') FROM Reach",
        "SELECT list_transform([1, 2], lambda x: x + 1), [x + 1 for x in [1, 2]]",
        "SELECT * FROM range(5)",
        "SELECT ';' AS a, $$ ; DROP VIEW Reach $$ AS b -- ; DROP VIEW Reach",
        "SELECT subject AS query, 1 AS checkpoint FROM Reach WHERE subject IN (1, 2)",
        "/* a comment ; */ SELECT 1",
        "(SELECT 1) UNION ALL (SELECT 2)",
        "FROM Reach",
        "FROM Reach SELECT subject WHERE value > 0",
        "from Reach select subject",
        "VALUES (1), (2)",
        "TABLE Reach",
        "DESCRIBE Reach",
        "DESCRIBE SELECT subject FROM Reach",
        "SUMMARIZE Reach",
        "SHOW TABLES",
        "SHOW ALL TABLES",
        "PIVOT Reach ON subject USING sum(value)",
        "PIVOT Reach ON subject IN (1, 2) USING sum(value)",
        "FROM (PIVOT Reach ON subject USING sum(value))",
        "WITH p AS (PIVOT Reach ON subject USING sum(value)) SELECT * FROM p",
        "UNPIVOT Reach ON value",
        "EXPLAIN SELECT * FROM Reach",
        "EXPLAIN (SELECT * FROM Reach)",
        "EXPLAIN ANALYZE SELECT * FROM Reach",
        "EXPLAIN (FORMAT json) SELECT * FROM Reach",
        "SELECT * FROM query_table('Reach')",
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'Reach'",
        "SELECT version_keys->>'$.cutoff' FROM Reach",
        "SELECT * FROM _record_metadata",
    ],
)
def test_allowed(db: DatabaseManager, query: str) -> None:
    """SQL that only reads works as DuckDB has it, and returns rows."""
    assert len(db.query(query).to_pandas())
