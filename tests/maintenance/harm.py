# ruff: noqa: E501 - a table, whose lines say what belongs together
"""Every kind of disorder: the statements that bring it about, and what a check says of it."""

from __future__ import annotations

__all__ = ["FIRST", "HARM", "REPAIRED"]

FIRST = "(SELECT record_id FROM _records WHERE variable_name = 'Emg' ORDER BY record_no LIMIT 1)"
NUMBER = f"(SELECT record_no FROM _records WHERE record_id = {FIRST})"
MADE = "(SELECT record_id FROM _record_metadata WHERE variable_name = 'Mean' ORDER BY timestamp, seq LIMIT 1)"
CALL = f"(SELECT call_id FROM _record_metadata WHERE record_id = {MADE})"

HARM: dict[str, tuple[tuple[str, ...], str, str, str | None]] = {
    # What is done; kind and words of the problem; the record that is named.
    "format": (("UPDATE _format SET format_version = 99",), "format", "says 99", None),
    "no format": (("DELETE FROM _format",), "format", "says nothing", None),
    "lost table": (("DROP TABLE _flags",), "format", "_flags is missing", None),
    "lost column": (("ALTER TABLE _runs DROP COLUMN total",), "format", "no column total", None),
    "lost key column": (("ALTER TABLE _schema DROP COLUMN trial",), "format", "schema key 'trial'", None),
    "stray key column": (("ALTER TABLE _schema ADD COLUMN x VARCHAR",), "format", "of no schema key", None),
    "text of a place": (("UPDATE _schema SET subject = 'x' WHERE subject = '1'",), "place", "no value of type int", None),
    "same number": ((f"UPDATE _records SET record_no = {NUMBER} + 1 WHERE record_id = {FIRST}",), "key", "record_no", "?"),
    "same place": (("INSERT INTO _schema SELECT 999, * EXCLUDE schema_id FROM _schema WHERE schema_id = 1",), "key", "_schema has 2 rows", None),
    "lost primary key": (("CREATE TABLE copied AS FROM _tags", "DROP TABLE _tags", "ALTER TABLE copied RENAME TO _tags"), "key", "lost its primary key", None),
    "lost record": ((f"DELETE FROM _records WHERE record_id = {FIRST}",), "reference", "log names a record", "Emg"),
    "lost line": ((f"DELETE FROM _record_metadata WHERE record_id = {FIRST}",), "reference", "A record names a line of the log", "Emg"),
    "lost place": (("DELETE FROM _schema WHERE subject = '2' AND trial = '3'",), "reference", "names a place", "?"),
    "lost variable": (("DELETE FROM _variables WHERE variable_name = 'Note'",), "reference", "names a variable", "Note"),
    "never registered": (("DELETE FROM _registered_types WHERE type_name = 'Note'",), "reference", "names a registered name", None),
    "lost call": ((f"DELETE FROM _calls WHERE call_id = {CALL}",), "reference", "log names a call", "Mean"),
    "lost computation": (("DELETE FROM _computations",), "reference", "log names a computation", "Mean"),
    "lost run": (("DELETE FROM _runs",), "reference", "call names a run", "Mean"),
    "lost environment": (("DELETE FROM _environments",), "reference", "names an environment", "Mean"),
    "lost text": (("DELETE FROM _sources",), "reference", "texts", None),
    "bad list of texts": (("UPDATE _functions SET sources = 'x'",), "reference", "cannot be read", None),
    "recalled from nothing": ((f"UPDATE _calls SET recalled_from = 'x' WHERE call_id = {CALL}",), "reference", "call names a call", "Mean"),
    "input of nothing": (("INSERT INTO _call_inputs (call_id, position) VALUES ('x', 0)",), "reference", "input of a call names a call", None),
    "used nothing": ((f"UPDATE _call_inputs SET record_id = repeat('0', 64) WHERE call_id = {CALL}",), "reference", "names a record that is not there: 000", "Mean"),
    "flag on nothing": (("UPDATE _flags SET record_id = 'x'",), "reference", "A flag names a record", None),
    "group of nothing": (("INSERT INTO _variable_groups VALUES ('g', 'Nobody')",), "reference", "A group names a variable", None),
    "failure of nothing": (("UPDATE _failures SET run_id = 'x'",), "reference", "A failure names a run", None),
    "hit of nothing": (("INSERT INTO _hits VALUES ('x', 1, '', '')",), "reference", "A hit", None),
    "export of nothing": (("UPDATE _exports SET record_ids = ['x']",), "reference", "was written from a record", None),
    "erased by nobody": (("INSERT INTO _erased VALUES ('2000', 0, 'l', 'c', 'x')",), "reference", "names a removal", None),
    "other content in the log": ((f"UPDATE _record_metadata SET content_hash = 'x' WHERE record_id = {FIRST}",), "log", "another content_hash", "Emg"),
    "other variable in the log": ((f"UPDATE _record_metadata SET variable_name = 'Step' WHERE record_id = {FIRST}",), "log", "another variable_name", "?"),
    "other computation in the log": ((f"UPDATE _record_metadata SET lineage_id = NULL WHERE record_id = {MADE}",), "log", "another computation", "Mean"),
    "number of another": ((f"UPDATE _record_metadata SET computation_no = 99 WHERE record_id = {MADE}",), "number", "another number", "Mean"),
    "no number of a line": ((f"UPDATE _record_metadata SET computation_no = NULL WHERE record_id = {MADE}",), "number", "another number", "Mean"),
    "input with another number": ((f"UPDATE _call_inputs SET record_no = record_no + 1 WHERE call_id = {CALL}",), "number", "An input of a call has the number", "Emg"),
    "no numbers": (("UPDATE _computations SET computation_no = NULL",), "number", "have no number", None),
    "one number": (("UPDATE _computations SET computation_no = 0",), "number", "computations have the number 0", None),
    "two places": ((f"INSERT INTO _record_metadata SELECT * REPLACE ('3000' AS timestamp, 0 AS schema_id) FROM _record_metadata WHERE record_id = {FIRST}",), "log", "several places", "Emg"),
    "no shape": (("COMMENT ON TABLE \"Emg_data\" IS 'x'",), "layout", "does not say what is in it", None),
    "no comment": (('COMMENT ON TABLE "Emg_data" IS NULL',), "layout", "does not say what is in it", None),
    "other columns": (('ALTER TABLE "Table_data" ADD COLUMN more INTEGER',), "layout", "not those that its comment names", None),
    "table of nobody": (('CREATE TABLE "Nobody_data" (record_no BIGINT)', "COMMENT ON TABLE \"Nobody_data\" IS '{}'"), "layout", "belongs to no variable", None),
    "no table": ((f"UPDATE _records SET layout = 'Emg_data_9' WHERE record_id = {FIRST}",), "layout", "is not there: Emg_data_9", "Emg"),
    "table of another": ((f"UPDATE _records SET layout = 'Step_data' WHERE record_id = {FIRST}",), "layout", "of another variable", "Emg"),
    "a row too few": ((f'DELETE FROM "Emg_data" WHERE record_no = {NUMBER} AND "row" = 17',), "rows", "not numbered", "Emg"),
    "the last row": ((f'DELETE FROM "Emg_data" WHERE record_no = {NUMBER} AND "row" = 3999',), "rows", "3999 rows", "Emg"),
    "a row twice": ((f'INSERT INTO "Emg_data" FROM "Emg_data" WHERE record_no = {NUMBER} AND "row" = 17',), "rows", "not numbered", "Emg"),
    "rows for others": ((f'UPDATE "Emg_data" SET "row" = CASE "row" WHEN 5 THEN 6 ELSE 7 END WHERE record_no = {NUMBER} AND "row" IN (5, 8)',), "rows", "not numbered", "Emg"),
    "no row": (('DELETE FROM "Note_data" WHERE record_no = (SELECT min(record_no) FROM "Note_data")',), "rows", "has 0 rows", "Note"),
    "row of nobody": (('INSERT INTO "Step_data" VALUES (99999, 1.0)',), "orphan", "1 rows of 1 records", None),
    "lost view": (('DROP VIEW "Emg"',), "view", "Emg is missing", None),
    "broken view": (('CREATE OR REPLACE VIEW "Step" AS SELECT nothing FROM range(3) t(nothing)', "CREATE TABLE gone (i INTEGER)", 'CREATE OR REPLACE VIEW "Step" AS SELECT i FROM gone', "DROP TABLE gone"), "view", "Step does not run", None),
    "stale type": (("UPDATE _variables SET dtype = 'x' WHERE variable_name = 'Emg'",), "stale", "is said to hold 'x'", None),
    "stale level": (("UPDATE _variables SET schema_level = NULL WHERE variable_name = 'Emg'",), "stale", "is of trial", None),
    "level of a place": (("UPDATE _schema SET schema_level = 'subject' WHERE trial = '3'",), "stale", "is of trial", None),
    "stale table": (("UPDATE _registered_types SET table_name = 'x' WHERE type_name = 'Emg'",), "stale", "said to be in x", None),
}  # fmt: skip
REPAIRED = {
    "input with another number",
    "number of another",
    "no number of a line",
    "no numbers",
    "one number",
    "row of nobody",
    "lost view",
    "broken view",
    "stale type",
    "stale level",
    "level of a place",
    "stale table",
}
