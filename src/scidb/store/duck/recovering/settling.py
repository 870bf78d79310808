"""Order among recovered rows: lines of the log as they were, records that have lines and values, names for both.

What is lost is taken out with what cannot be without it, and reported; nothing is made up but names of what was lost.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from scidb.exceptions import SciDBError
from scidb.hashing import ids
from scidb.hashing.ids import chain_link, line_digest
from scidb.store.duck import state as states
from scidb.store.duck.checking.findings import Findings
from scidb.store.duck.checking.layouts import check_layouts, data_tables
from scidb.store.duck.checking.numbers import number_anew
from scidb.store.duck.checking.repairing import repair_all
from scidb.store.duck.checking.shown import check_shown
from scidb.store.duck.checking.tables import check_keys, check_tables
from scidb.store.duck.insert import insert_missing, insert_rows
from scidb.store.duck.recovering.dropping import drop_records, read_lines
from scidb.store.duck.sql import quote
from scidb.store.duck.state import layout_table, variable_of
from scidb.store.duck.tables import TABLES
from scidb.store.duck.types import key_value
from scidb.store.duck.views import create_views
from scidb.store.model import Problem
from scidb.store.names import check_variable_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scidb.store.duck.connection import Connection

__all__ = ["settle"]

_LOST: Final = "(lost)"


def settle(connection: Connection, removal_id: str) -> list[Problem]:
    """Bring rows that were recovered into order, in one transaction; return what is lost, by record where it is one."""
    settling = _Settling(connection, removal_id)
    connection.transaction(settling.run)
    found = Findings(connection)
    check_tables(found)
    check_shown(found)
    repair_all(connection, found)
    return settling.lost


class _Settling:
    """One pass over a recovered file."""

    def __init__(self, connection: Connection, removal_id: str) -> None:
        self._connection, self._removal = connection, removal_id
        self.lost: list[Problem] = []

    def run(self) -> None:
        """Put the log in order, then records, then what names them."""
        self._connection.execute("DELETE FROM _record_metadata WHERE timestamp IS NULL OR seq IS NULL")
        self._name_variables()
        self._settle_log()
        self._settle_records()
        self._settle_calls()
        self._settle_labels()
        state = states.load(self._connection)
        create_views(self._connection, state, list(state.variables))

    # -------------------------------------------------------------- variables

    def _name_variables(self) -> None:
        """Register again the variables of which there are records."""
        rows = self._connection.rows(
            "SELECT variable_name, max(schema_version), min(timestamp) FROM _record_metadata GROUP BY ALL "
            "UNION ALL SELECT variable_name, max(schema_version), NULL FROM _records GROUP BY ALL"
        )
        named = self._connection.rows("SELECT type_name, identity_name FROM _registered_types ORDER BY registered_at")
        registered = dict(named)
        known = {name for (name,) in self._connection.rows("SELECT variable_name FROM _variables")}
        seen = {name: (version, stamp) for name, version, stamp in reversed(rows) if _is_name(name)}
        current = {registered.get(name, name) for name in known | seen.keys()}
        # Of a variable without records the newest name is the one that it has.
        idle = {identity: name for name, identity in named if identity not in current and _is_name(name)}
        lacking = [name for name in (*seen, *idle.values()) if name not in known]
        needed = {*lacking, *known, *filter(_is_name, registered.values())}
        types = [
            (name, layout_table(name, 1), seen.get(name, (1, ""))[0], seen.get(name, (1, ""))[1] or "", name)
            for name in sorted(needed - registered.keys())
        ]
        variables = [(name, None, "", seen.get(name, (1, ""))[1] or "", "", None, None) for name in lacking]
        insert_missing(self._connection, TABLES["_registered_types"], types)
        insert_missing(self._connection, TABLES["_variables"], variables)
        what = "What was noted of {} (description, units) is lost."
        self.lost += [Problem("variable", what.format(name), None, name) for name in lacking]

    # -------------------------------------------------------------- the log

    def _settle_log(self) -> None:
        """Keep the lines that are as they were written, with the chain; mark where it cannot be followed."""
        records = {row[0]: row[1:] for row in self._connection.rows(
            "SELECT record_id, record_no, content_hash, schema_version, variable_name FROM _records")}  # fmt: skip
        lines = read_lines(self._connection)
        erased = [
            {"timestamp": stamp, "seq": seq, "digest": digest, "chain": chain, "said": None, "record_id": None}
            for stamp, seq, digest, chain in self._connection.rows("SELECT timestamp, seq, line, chain FROM _erased")
        ]
        for line in lines:
            line["digest"] = None if line["said"] is None else line_digest(line["said"])
        ordered = sorted(
            [*lines, *erased], key=lambda one: (one["timestamp"], one["seq"], one["record_id"] is not None)
        )
        previous: str | None = ""
        gaps, removed, links = [], [], []
        for at, line in enumerate(ordered):
            following = ordered[at + 1] if at + 1 < len(ordered) else None
            follows = previous is None or (
                line["digest"] is not None and chain_link(previous, line["digest"]) == line["chain"]
            )
            if line["record_id"] is None:  # an erased line is all digest
                if not follows and line["digest"] is not None:
                    gaps.append((line["timestamp"], line["seq"]))
                previous = line["chain"]
                continue
            expected = None if previous is None or line["digest"] is None else chain_link(previous, line["digest"])
            if not follows and expected is not None and following is not None and (
                following["digest"] is not None and chain_link(expected, following["digest"]) == following["chain"]
            ):  # fmt: skip
                links.append((expected, line))  # only the link itself is damaged
                previous = expected
                continue
            if not (follows and self._is_itself(line, records, trusted=previous is not None)):
                if line["digest"] is None or not self._is_itself(line, records, trusted=False):
                    removed.append(line)
                    previous = line["chain"] if _leads_to(line["chain"], following) else None
                    continue
                gaps.append((line["timestamp"], line["seq"]))
            previous = line["chain"]
        self._write_log(gaps, removed, links)

    def _is_itself(self, line: dict[str, Any], records: dict[str, tuple[Any, ...]], *, trusted: bool) -> bool:
        """Say whether a line is what was written: by the chain, or else by its record and the id that follows."""
        if trusted:
            return True
        record = records.get(line["record_id"])
        if record is not None and record != (
            line["record_no"], line["content_hash"], line["schema_version"], line["variable"]
        ):  # fmt: skip
            return False
        try:
            kinds = {key.name: key.value_type for key in states.load_keys(self._connection)}
            schema = {name: key_value(kinds[name], text) for name, text in line["texts"].items()}
            version = json.loads(line["version_keys"])
            expected = ids.record_id(line["identity"], line["schema_version"], line["content_hash"], schema, version)
        except (ValueError, TypeError, LookupError, AttributeError, SciDBError):
            return False
        return bool(expected == line["record_id"])

    def _write_log(
        self,
        gaps: Iterable[tuple[str, int]],
        removed: Iterable[dict[str, Any]],
        links: Iterable[tuple[str, dict[str, Any]]],
    ) -> None:
        where = "record_id = ? AND timestamp = ? AND seq = ?"
        for link, line in links:
            at = [line["record_id"], line["timestamp"], line["seq"]]
            self._connection.execute(f"UPDATE _record_metadata SET chain = ? WHERE {where}", [link, *at])
        marks = [(stamp, seq, None, None, self._removal) for stamp, seq in gaps]
        for line in removed:
            at = [line["record_id"], line["timestamp"], line["seq"]]
            self._connection.execute(f"DELETE FROM _record_metadata WHERE {where}", at)
            marks.append((line["timestamp"], line["seq"], None, line["chain"], self._removal))
            self._lose(line, "A line of the log is damaged, and was left out.")
        insert_rows(self._connection, TABLES["_erased"], marks)
        for stamp, _ in gaps:
            self.lost.append(
                Problem("chain", f"Lines of the log before {stamp} are lost, or damaged.", timestamp=stamp)
            )

    def _lose(self, line: dict[str, Any], what: str, kind: str = "line") -> None:
        kinds = {key.name: key.value_type for key in states.load_keys(self._connection)}
        schema = {}
        for name, text in line["texts"].items():
            try:
                schema[name] = key_value(kinds.get(name), text)
            except ValueError:
                schema[name] = text
        version = line["version_keys"] or "{}"
        self.lost.append(Problem(kind, what, line["record_id"], line["variable"], schema, version, line["timestamp"]))

    # -------------------------------------------------------------- records

    def _settle_records(self) -> None:
        """Keep records that have a line, and lines that have a record; and of records those with all their rows."""
        connection = self._connection
        known = {name for (name,) in connection.rows("SELECT record_id FROM _records")}
        alone = [line for line in read_lines(connection) if line["record_id"] not in known]
        for line in alone:
            self._lose(line, "The value is lost.", "value")
        drop_records(connection, {line["record_id"] for line in alone}, self._removal)
        unlogged = connection.rows(
            "SELECT record_id, variable_name FROM _records WHERE record_id NOT IN "
            "(SELECT record_id FROM _record_metadata)"
        )
        for record_id, variable in unlogged:
            what = "The lines of the log are lost that say where the value belongs."
            self.lost.append(Problem("line", what, record_id, variable))
        drop_records(connection, [record_id for record_id, _ in unlogged], self._removal)
        found = Findings(connection)
        check_tables(found)
        check_keys(found)
        check_layouts(found)
        bad = [one for one in found.named() if one.record_id is not None]
        for one in bad:
            at = (one.record_id, one.variable, one.schema, one.version_keys, one.timestamp)
            self.lost.append(Problem("value", f"The value is lost: {one.what}", *at))
        drop_records(connection, [one.record_id for one in bad if one.record_id is not None], self._removal)
        _drop_rows(found)

    # -------------------------------------------------------------- calls, and what names records

    def _settle_calls(self) -> None:
        """Name calls that lines of the log speak of; what was known of them is lost."""
        connection = self._connection
        calls = connection.rows(
            "SELECT call_id, min(lineage_id), min(timestamp) FROM _record_metadata WHERE call_id IS NOT NULL "
            "AND call_id NOT IN (SELECT call_id FROM _calls) GROUP BY ALL"
        )
        rows = [
            dict.fromkeys(TABLES["_calls"].names)
            | {"call_id": one, "lineage_id": lineage, "timestamp": stamp, "seq": 0}
            for one, lineage, stamp in calls
        ]
        insert_rows(connection, TABLES["_calls"], [tuple(row.values()) for row in rows])
        self.lost += [Problem("call", f"What is known of the call {one} is lost.") for one, _, _ in calls]
        lineages = connection.rows(
            "SELECT DISTINCT lineage_id FROM (SELECT lineage_id FROM _record_metadata UNION ALL SELECT lineage_id FROM "
            "_calls) WHERE lineage_id IS NOT NULL AND lineage_id NOT IN (SELECT lineage_id FROM _computations)"
        )
        # Of a kind that is never recalled.
        insert_rows(
            connection, TABLES["_computations"], [(one, _LOST, "", "", "1", "uncacheable", None) for (one,) in lineages]
        )
        number_anew(connection)
        self.lost += [Problem("call", f"What is known of the computation {one} is lost.") for (one,) in lineages]
        for column, table in (("run_id", "_runs"), ("environment_id", "_environments")):
            connection.execute(
                f"UPDATE _calls SET {column} = NULL WHERE {column} NOT IN (SELECT {column} FROM {table})"
            )
        connection.execute("DELETE FROM _call_inputs WHERE call_id NOT IN (SELECT call_id FROM _calls)")

    def _settle_labels(self) -> None:
        """Take out what names a run, a variable or a text that is lost."""
        connection = self._connection
        for table, column, target, key in (
            ("_failures", "run_id", "_runs", "run_id"),
            ("_variable_groups", "variable_name", "_variables", "variable_name"),
        ):
            connection.execute(f"DELETE FROM {table} WHERE {column} NOT IN (SELECT {key} FROM {target})")
        removals = {name for (name,) in connection.rows("SELECT removal_id FROM _removals")} | {self._removal}
        for (name,) in connection.rows("SELECT DISTINCT removal_id FROM _erased"):
            if name not in removals:
                connection.execute("UPDATE _erased SET removal_id = ? WHERE removal_id = ?", [self._removal, name])
        texts = {digest for (digest,) in connection.rows("SELECT source_hash FROM _sources")}
        for number, name, sources in connection.rows("SELECT rowid, function_name, sources FROM _functions"):
            try:
                is_whole = set(json.loads(sources).values()) <= texts
            except (ValueError, TypeError, AttributeError):
                is_whole = False
            if not is_whole:
                connection.execute("DELETE FROM _functions WHERE rowid = ?", [number])
                self.lost.append(Problem("code", f"The code of {name}() is lost."))


def _drop_rows(found: Findings) -> None:
    """Delete the rows of records that are not there any more, and tables of which there is no variable."""
    variables = {name for (name,) in found.connection.rows("SELECT variable_name FROM _variables")}
    for table in data_tables(found):
        if variable_of(table) not in variables:
            found.connection.execute(f"DROP TABLE {quote(table)}")
            continue
        found.connection.execute(f"DELETE FROM {quote(table)} WHERE record_no NOT IN (SELECT record_no FROM _records)")


def _is_name(name: object) -> bool:
    try:
        check_variable_name(str(name))
    except SciDBError:
        return False
    return isinstance(name, str)


def _leads_to(chain: str | None, following: dict[str, Any] | None) -> bool:
    if chain is None or following is None or following["digest"] is None:
        return False
    return bool(chain_link(chain, following["digest"]) == following["chain"])
